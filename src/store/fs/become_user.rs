//! Gives one thread the rights of another user for a while, where this process is root: the kernel then decides what it may read.

use super::user::User;
use rustix::io::Errno;
use rustix::process::{Gid, Uid, getegid, geteuid, getgid, getgroups, getuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

const ROOT: Uid = Uid::ROOT;

/// This thread has the rights of another user until this is dropped. Other threads keep theirs.
#[derive(Debug)]
pub struct Become {
    groups: Vec<Gid>,
    gid: Gid,
    /// Rights belong to the thread that took them.
    _here: std::marker::PhantomData<*const ()>,
}

impl Become {
    /// None if this process cannot: it is not root, or its container took that from it.
    pub fn user(user: &User) -> Option<Become> {
        if !getuid().is_root() || !geteuid().is_root() {
            return None;
        }
        let before = Become { groups: getgroups().ok()?, gid: getegid(), _here: std::marker::PhantomData };
        // Groups first: without root's rights they cannot be changed. Where a step fails, the drop goes back.
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        set_thread_groups(&groups).ok()?;
        set_thread_res_gid(getgid(), Gid::from_raw(user.gid), before.gid).ok()?;
        set_thread_res_uid(ROOT, Uid::from_raw(user.uid), ROOT).ok()?;
        Some(before)
    }

    fn go_back(&self) -> Result<(), Errno> {
        set_thread_res_uid(ROOT, ROOT, ROOT)?;
        set_thread_res_gid(getgid(), self.gid, self.gid)?;
        set_thread_groups(&self.groups)
    }
}

impl Drop for Become {
    fn drop(&mut self) {
        if let Err(error) = self.go_back() {
            // Nothing that this thread does from here on would be done with the right rights.
            tracing::error!(error = error.to_string(), "a thread cannot take its own rights back");
            std::process::abort();
        }
    }
}
