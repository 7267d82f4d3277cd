//! A lock on a directory, held by a process for as long as it lives, that says who holds it.

use super::error::StoreError;
use super::open;
use super::owned_path::Place;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Who holds a lock, as one line of JSON in its file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    pub host: String,
    pub pid: u32,
    pub boot_id: String,
    /// What a trainer was assigned: `cpu`, or a GPU's UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl LockHolder {
    pub fn line(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// The line as it was read; none where it says something else.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

/// The words in a lock as a person reads them; there are none yet for a moment after it was taken.
pub fn who(holder: &str) -> String {
    if holder.is_empty() {
        return "a process that took it just now".to_string();
    }
    LockHolder::parse(holder)
        .map_or_else(|| format!("{holder:?}"), |holder| format!("process {} on {:?}", holder.pid, holder.host))
}

/// The open file is the lock: it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Whether the lock is still the file of that name: one that was removed or replaced keeps nobody out any more.
    ///
    /// # Errors
    /// When the path cannot be looked at; that nothing is there is no error.
    pub fn is_at(&self, path: &Path) -> Result<bool, StoreError> {
        let fail = |e| StoreError::io("look at the lock", path, e);
        let own = self.file.metadata().map_err(fail)?;
        match std::fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(fail(e)),
        }
    }
}

impl Drop for Lock {
    /// Closing alone would leave the lock to a process that is being started just now, until it has become its program.
    fn drop(&mut self) {
        // What fails here ends with the process at the latest.
        let _ = self.file.unlock();
    }
}

/// Either the lock, or the words of whoever holds it.
#[derive(Debug)]
pub enum Locking {
    Held(Lock),
    Busy { holder: String },
}

/// Takes the lock `place`, writing `holder` (the line of a [`LockHolder`]) into it.
///
/// # Errors
/// When the file cannot be made or written; that somebody else holds it is no error.
pub fn take(place: &(impl Place + ?Sized), holder: &str) -> Result<Locking, StoreError> {
    let fail = |e| StoreError::io("lock", place.path(), e);
    let mut file = open::lock(place)?;
    if acquire(&file).map_err(fail)? {
        // In place, against the house's rule: a rename would leave the lock on a file nobody can open.
        file.set_len(0).map_err(fail)?;
        file.write_all(holder.as_bytes()).map_err(fail)?;
        return Ok(Locking::Held(Lock { file }));
    }
    file.rewind().map_err(fail)?;
    words(file).map(|holder| Locking::Busy { holder }).map_err(fail)
}

fn words(file: File) -> std::io::Result<String> {
    let mut words = Vec::new();
    file.take(4096).read_to_end(&mut words)?;
    Ok(String::from_utf8_lossy(&words).into_owned())
}

/// How long [`acquire`] asks again where only lookers stand in its way; each is gone within microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Locks `file` alone; false where somebody else holds it. [`is_held`] takes a shared lock for a moment, and that is no
/// holder: only where a shared lock is refused too does somebody hold it alone.
fn acquire(file: &File) -> std::io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(e),
        }
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(e)) => return Err(e),
        }
        if Instant::now() >= deadline {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Takes the lock `place` without a word in it; none where somebody holds it, or there is none.
///
/// # Errors
/// When the file cannot be looked at.
pub fn take_free(place: &(impl Place + ?Sized)) -> Result<Option<Lock>, StoreError> {
    match open::read(place) {
        Ok(file) => match acquire(&file) {
            Ok(true) => Ok(Some(Lock { file })),
            Ok(false) => Ok(None),
            Err(e) => Err(StoreError::io("lock", place.path(), e)),
        },
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether somebody holds the lock now, without keeping it.
pub fn is_held(place: &(impl Place + ?Sized)) -> Result<bool, StoreError> {
    holder(place).map(|holder| holder.is_some())
}

/// The words of whoever holds the lock now, without keeping it; none where nobody does.
pub fn holder(place: &(impl Place + ?Sized)) -> Result<Option<String>, StoreError> {
    while_held(place, words)
}

/// What the system says of the lock's file; none where nobody holds it.
pub fn held_file(place: &(impl Place + ?Sized)) -> Result<Option<Metadata>, StoreError> {
    while_held(place, |file| file.metadata())
}

fn while_held<T>(place: &(impl Place + ?Sized), read: impl FnOnce(File) -> std::io::Result<T>) -> Result<Option<T>, StoreError> {
    let fail = |e| StoreError::io("look at the lock", place.path(), e);
    match open::read(place) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| None).map_err(fail),
            Err(TryLockError::WouldBlock) => read(file).map(Some).map_err(fail),
            Err(TryLockError::Error(e)) => Err(fail(e)),
        },
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn the_second_taker_is_told_who_holds_it_and_the_lock_ends_with_its_holder() {
        let dir = tempdir();
        let path = dir.path().join("lock");
        assert!(!is_held(&path).expect("looked"));
        let first = take(&path, "{\"pid\":1}").expect("taken");
        assert!(is_held(&path).expect("looked"));
        match take(&path, "other").expect("asked") {
            Locking::Busy { holder } => {
                assert_eq!((holder.as_str(), who("").as_str()), ("{\"pid\":1}", "a process that took it just now"))
            }
            Locking::Held(_) => panic!("two holders"),
        }
        drop(first);
        assert!(matches!(take(&path, "other").expect("asked"), Locking::Held(_)));
    }

    #[test]
    fn a_lock_whose_file_was_removed_or_replaced_is_seen_to_be_none() {
        let dir = tempdir();
        let path = dir.path().join("lock");
        let Ok(Locking::Held(lock)) = take(&path, "me") else { panic!("not taken") };
        assert!(lock.is_at(&path).expect("looked"));
        std::fs::remove_file(&path).expect("removed");
        assert!(!lock.is_at(&path).expect("looked"));
        assert!(matches!(take(&path, "another"), Ok(Locking::Held(_))));
        assert!(!lock.is_at(&path).expect("looked"));
    }

    #[test]
    fn those_who_only_look_never_keep_a_taker_out() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempdir();
        let path = dir.path().join("lock");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        is_held(&path).expect("looked");
                    }
                });
            }
            let refused = (0..500).filter(|_| !matches!(take(&path, "me"), Ok(Locking::Held(_)))).count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(refused, 0);
        });
    }
}
