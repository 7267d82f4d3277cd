//! Finds what a path leads to for another user, by the owners, modes and access lists of everything on the way.
//!
//! For a process that cannot become that user. The kernel's own rules are followed step by step; what they do not show is not
//! seen: rules of a security module, or access lists that only a file server knows.

use super::user::User;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, getxattr, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

/// Links on one way, at most; the kernel's own number.
const MOST_LINKS: usize = 40;

/// Only a place: nothing is read, and no pipe or device is touched.
const PLACE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a user wants of a file or directory: the bits of one class of its mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Read = 4,
    /// To go through a directory.
    Pass = 1,
}

/// What the absolute `path` leads to for `user`, links followed; with `at_its_end`, only where the user has that right there.
///
/// # Errors
/// Those that the user would get.
pub fn find(user: &User, path: &Path, at_its_end: Option<Wanted>) -> Result<OwnedFd, Errno> {
    let mut at = root()?;
    let mut ahead: VecDeque<OsString> = parts(path.as_os_str());
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part == "/" {
            at = root()?;
            continue;
        }
        let stat = fstat(&at)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        allowed(user, &at, &stat, Wanted::Pass)?;
        let next = openat(&at, &part, PLACE, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&next)?.st_mode) != FileType::Symlink {
            at = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = OsString::from_vec(readlinkat(&next, "", Vec::new())?.into_bytes());
        for part in parts(&target).into_iter().rev() {
            ahead.push_front(part);
        }
    }
    if let Some(wanted) = at_its_end {
        allowed(user, &at, &fstat(&at)?, wanted)?;
    }
    Ok(at)
}

fn root() -> Result<OwnedFd, Errno> {
    openat(CWD, "/", PLACE, Mode::empty())
}

fn parts(path: &OsStr) -> VecDeque<OsString> {
    let parts = Path::new(path).components().filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

fn allowed(user: &User, file: &OwnedFd, stat: &Stat, wanted: Wanted) -> Result<(), Errno> {
    let wants = |bits: u32| bits & wanted as u32 != 0;
    let mode = stat.st_mode;
    // As in the kernel: the list is not asked about the owner, nor where the mode, which shows its mask, gives the group nothing.
    let list = if user.uid == stat.st_uid || mode & 0o070 == 0 { None } else { access_list(file)? };
    let may = match list {
        Some(list) => list.allows(user, stat.st_gid, wants),
        None if user.uid == stat.st_uid => wants(mode >> 6),
        None if user.is_in(stat.st_gid) => wants(mode >> 3),
        None => wants(mode),
    };
    if may { Ok(()) } else { Err(Errno::ACCESS) }
}

/// A POSIX access list: tag, rights, and the number of the user or group that a tag may name.
struct AccessList(Vec<(u16, u16, u32)>);

/// Tags as Linux stores them.
const USER: u16 = 0x02;
const OWNING_GROUP: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// None if the mode says everything.
fn access_list(file: &OwnedFd) -> Result<Option<AccessList>, Errno> {
    let mut bytes = vec![0; 1 << 16];
    // A file that is only a place has no attributes by itself, but this name leads to it.
    match getxattr(format!("/proc/self/fd/{}", file.as_raw_fd()), "system.posix_acl_access", bytes.as_mut_slice()) {
        // The first four bytes are the version of the format.
        Ok(length) => Ok(Some(AccessList::parse(bytes.get(4..length).ok_or(Errno::IO)?))),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(e),
    }
}

impl AccessList {
    fn parse(bytes: &[u8]) -> AccessList {
        let entry = |e: &[u8]| {
            (u16::from_le_bytes([e[0], e[1]]), u16::from_le_bytes([e[2], e[3]]), u32::from_le_bytes([e[4], e[5], e[6], e[7]]))
        };
        AccessList(bytes.chunks_exact(8).map(entry).collect())
    }

    /// The rules of acl(5) for a user who does not own the file: their own entry, else any of their groups', else that of all
    /// others.
    fn allows(&self, user: &User, owning_group: u32, wants: impl Fn(u32) -> bool) -> bool {
        let rights = |wanted: u16| self.0.iter().find(|(tag, ..)| *tag == wanted).map(|(_, rights, _)| *rights);
        let mask = rights(MASK).unwrap_or(0o7);
        if let Some((_, own, _)) = self.0.iter().find(|(tag, _, id)| *tag == USER && *id == user.uid) {
            return wants((own & mask).into());
        }
        let of_user = |(tag, _, id): &&(u16, u16, u32)| match *tag {
            OWNING_GROUP => user.is_in(owning_group),
            GROUP => user.is_in(*id),
            _ => false,
        };
        let mut groups = self.0.iter().filter(of_user).peekable();
        if groups.peek().is_some() {
            return groups.any(|(_, rights, _)| wants((rights & mask).into()));
        }
        rights(OTHER).is_some_and(|rights| wants(rights.into()))
    }
}
