//! A user of the system: number and groups, as they would have them after a login.

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::MaybeUninit;

/// The group of a user whom the system does not list; files seldom belong to it.
pub const NO_GROUP: u32 = 65_534;

/// Most bytes of an entry in the list of users.
const MOST_BYTES: usize = 1 << 20;

/// Most groups that a user can have.
const MOST_GROUPS: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// Every group, the primary one among them.
    pub groups: Vec<u32>,
}

impl User {
    /// The user with the number `uid`. A user whom the system does not list has no groups.
    ///
    /// # Errors
    /// When the list cannot be asked, as when it is on another machine.
    pub fn of(uid: u32) -> io::Result<User> {
        let mut buffer = vec![0; 1 << 12];
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        loop {
            let mut found = std::ptr::null_mut();
            // SAFETY: every pointer belongs to a live value, and the length is the buffer's.
            let code = unsafe { libc::getpwuid_r(uid, entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
            match code {
                // SAFETY: the call succeeded and found an entry, which is whole and points into the live buffer.
                0 if !found.is_null() => return User::listed(uid, unsafe { entry.assume_init_ref() }),
                // The other codes are further ways to say that there is no such user.
                0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM => {
                    return Ok(User { uid, gid: NO_GROUP, groups: vec![NO_GROUP] });
                }
                libc::ERANGE if buffer.len() < MOST_BYTES => buffer.resize(buffer.len() * 2, 0),
                libc::EINTR => {}
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    }

    fn listed(uid: u32, entry: &libc::passwd) -> io::Result<User> {
        let gid = entry.pw_gid;
        // SAFETY: the name of an entry ends in a zero byte, and outlives this call.
        let groups = groups(unsafe { CStr::from_ptr(entry.pw_name) }, gid)?;
        Ok(User { uid, gid, groups })
    }

    pub fn is_in(&self, group: u32) -> bool {
        self.groups.contains(&group)
    }
}

fn groups(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = c_int::try_from(groups.len()).map_err(io::Error::other)?;
        // SAFETY: the name is a C string, and at most `count` groups are written into the live list.
        let answer = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        let found = usize::try_from(count).unwrap_or_default();
        if answer >= 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        if groups.len() >= MOST_GROUPS {
            return Err(io::Error::other("a user is in more groups than the system allows"));
        }
        groups.resize(found.max(groups.len() * 2), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_user_has_groups_and_one_that_nobody_lists_has_none() {
        let root = User::of(0).expect("asked");
        assert_eq!((root.uid, root.gid, root.is_in(0)), (0, 0, true));
        let nobody = User::of(61_001).expect("asked");
        assert_eq!(nobody, User { uid: 61_001, gid: NO_GROUP, groups: vec![NO_GROUP] });
    }
}
