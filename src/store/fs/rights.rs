//! Whose rights an input is read with: a daemon may read more than the user who named the file, and must not read it for them.

use super::become_user::Become;
use super::error::StoreError;
use super::user::{NO_GROUP, User};
use super::walk::{self, Wanted};
use rustix::io::Errno;
use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// The rights that inputs are read with: this process's own, or those of another user as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights(Option<Arc<User>>);

/// What this thread reads now is read for a user.
#[derive(Clone)]
struct Reading {
    user: Arc<User>,
    /// The kernel does not decide by that user's rights, so that every path is looked at here.
    by_walk: bool,
}

thread_local! {
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

impl Rights {
    /// Those of the owner of the directory `launch`, whose files name the inputs. To root, a directory of root's that lies in
    /// another user's is as good as that user's: they can exchange it.
    ///
    /// # Errors
    /// When the owner cannot be found out, or everybody may write there.
    pub fn of_owner(launch: &Path) -> Result<Rights, StoreError> {
        let fail = |e| StoreError::io("look at", launch, e);
        let directory = fs::metadata(launch).map_err(fail)?;
        let above = if rustix::process::geteuid().is_root() { owners_above(launch).map_err(fail)? } else { Vec::new() };
        let Some(uid) = std::iter::once(directory.uid()).chain(above).find(|uid| !reads_no_less(*uid)) else {
            return Ok(Rights::default());
        };
        if directory.mode() & 0o002 != 0 {
            return Err(StoreError::content(launch, "everybody may write there; take that right away (chmod o-w)"));
        }
        Rights::of_user(uid).map_err(fail)
    }

    /// Those of the user with this number.
    ///
    /// # Errors
    /// When the system does not say which groups the user is in.
    pub fn of_user(uid: u32) -> io::Result<Rights> {
        if reads_no_less(uid) {
            return Ok(Rights::default());
        }
        User::of(uid).map(|user| Rights(Some(Arc::new(user))))
    }

    /// Those of a process of the user with this number, which has these groups, the primary one first.
    pub fn of_process(uid: u32, groups: &[u32]) -> Rights {
        if reads_no_less(uid) {
            return Rights::default();
        }
        let gid = groups.first().copied().unwrap_or(NO_GROUP);
        Rights(Some(Arc::new(User { uid, gid, groups: groups.to_vec() })))
    }

    /// The user's number; none for this process's own rights.
    pub fn uid(&self) -> Option<u32> {
        self.0.as_ref().map(|user| user.uid)
    }

    /// Does `work`, whose reading finds only what the user may read as well. What it cannot do is write: this process's own files
    /// may be closed to that user.
    pub fn read<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(user) = &self.0 else { return work() };
        let became = Become::user(user);
        let _reading = Scope::begin(Reading { user: Arc::clone(user), by_walk: became.is_none() });
        work()
    }
}

/// Who owns the links and directories on the way to a directory, the nearest first.
fn owners_above(launch: &Path) -> io::Result<Vec<u32>> {
    let [named, real] = [std::path::absolute(launch)?, fs::canonicalize(launch)?];
    let ways = named.ancestors().chain(real.ancestors());
    ways.map(|path| fs::symlink_metadata(path).map(|meta| meta.uid())).collect()
}

/// Whoever that is, this process may read no more than they.
fn reads_no_less(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Ends the reading, and puts back what it interrupted.
struct Scope(Option<Reading>);

impl Scope {
    fn begin(reading: Reading) -> Scope {
        Scope(READING.replace(Some(reading)))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        READING.set(self.0.take());
    }
}

/// What `path` leads to for the user that this thread reads for. None if the kernel decides that by itself.
///
/// # Errors
/// Those that the user would get.
pub fn found(path: &Path, at_its_end: Option<Wanted>) -> io::Result<Option<OwnedFd>> {
    let Some(user) = READING.with_borrow(|reading| reading.as_ref().filter(|r| r.by_walk).map(|r| Arc::clone(&r.user))) else {
        return Ok(None);
    };
    walk::find(&user, &std::path::absolute(path)?, at_its_end).map(Some).map_err(io::Error::from)
}

/// The error, with the user whom it concerns where that is not who runs this process.
pub fn explained(error: io::Error) -> io::Error {
    match READING.with_borrow(|reading| reading.as_ref().map(|reading| reading.user.uid)) {
        Some(uid) if Errno::from_io_error(&error) == Some(Errno::ACCESS) => io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("user {uid}, to whom the launch directory belongs, may not read it"),
        ),
        _ => error,
    }
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
