//! A lock on a directory, held by a process for as long as it lives, that says who holds it.

use super::atomic;
use super::error::StoreError;
use super::open;
use super::owned_path::Place;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
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

    /// The line as it was read, or None if it says something else.
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
    /// `None` once it was handed over.
    file: Option<File>,
}

impl Lock {
    fn on(file: File) -> Self {
        Lock { file: Some(file) }
    }

    /// Whether the lock is still the file of that name: one that was removed or replaced keeps nobody out any more.
    ///
    /// # Errors
    /// When the path cannot be looked at; that nothing is there is no error.
    pub fn is_at(&self, place: &(impl Place + ?Sized)) -> Result<bool, StoreError> {
        self.file.as_ref().map_or(Ok(false), |file| is_at(file, place))
    }

    /// In place, against the house's rule: a rename would leave the lock on a file nobody can open.
    fn say(mut self, holder: &str) -> std::io::Result<Self> {
        if let Some(file) = &mut self.file {
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(holder.as_bytes())?;
        }
        Ok(self)
    }

    /// The locked file, for a process that is to be started with it. The lock ends when every process that has it has closed it.
    pub fn hand_over(mut self) -> Option<File> {
        self.file.take()
    }
}

fn is_at(file: &File, place: &(impl Place + ?Sized)) -> Result<bool, StoreError> {
    let fail = |e| StoreError::io("look at the lock", place.path(), e);
    let own = file.metadata().map_err(fail)?;
    match open::stat(place) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (own.dev(), own.ino())),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(fail(e.into())),
    }
}

impl Drop for Lock {
    /// Closing alone would leave the lock to a process that is being started just now, until it has become its program.
    fn drop(&mut self) {
        // What fails here ends with the process at the latest.
        self.file.iter().for_each(|file| drop(file.unlock()));
    }
}

/// Either the lock, or the words of whoever holds it.
#[derive(Debug)]
pub enum Locking {
    Held(Lock),
    Busy { holder: String },
}

/// Takes the lock `place`, writing `holder` (the line of a [`LockHolder`]) into it. A file that has other names too, as in a copy
/// made of hard links, is replaced first: what is locked and written here would be so there.
///
/// # Errors
/// When the file cannot be made or written; that somebody else holds it is no error.
pub fn take(place: &(impl Place + ?Sized), holder: &str) -> Result<Locking, StoreError> {
    let fail = |e| StoreError::io("lock", place.path(), e);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut file = open::lock(place)?;
        if !acquire(&file).map_err(fail)? {
            file.rewind().map_err(fail)?;
            return words(file).map(|holder| Locking::Busy { holder }).map_err(fail);
        }
        let links = file.metadata().map_err(fail)?.nlink();
        let lock = Lock::on(file);
        if links > 1 {
            replace(place)?;
        } else if lock.is_at(place)? {
            return lock.say(holder).map(Locking::Held).map_err(fail);
        }
        // Somebody has replaced it, this process or another one.
        if Instant::now() >= deadline {
            return Err(fail(std::io::ErrorKind::TimedOut.into()));
        }
    }
}

/// Makes the lock `place` a new file, which nobody holds. Who holds the old one does so under its other names alone.
///
/// # Errors
/// When the file cannot be made.
pub fn replace(place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
    atomic::replace(place, b"")
}

/// The lock `place` that the process which started this one took and handed over as `file`, with `holder` for its words. None if
/// `file` is another one.
///
/// # Errors
/// When the files cannot be looked at or written.
pub fn take_over(place: &(impl Place + ?Sized), file: File, holder: &str) -> Result<Option<Lock>, StoreError> {
    let fail = |e| StoreError::io("lock", place.path(), e);
    if !is_at(&file, place)? || !acquire(&file).map_err(fail)? {
        return Ok(None);
    }
    Lock::on(file).say(holder).map(Some).map_err(fail)
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

/// Takes the lock `place` without a word in it, or None if somebody holds it, or there is none.
///
/// # Errors
/// When the file cannot be looked at.
pub fn take_free(place: &(impl Place + ?Sized)) -> Result<Option<Lock>, StoreError> {
    match open::read(place) {
        Ok(file) => match acquire(&file) {
            Ok(true) => Ok(Some(Lock::on(file))),
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

/// The words of whoever holds the lock now, without keeping it, or None if nobody does.
pub fn holder(place: &(impl Place + ?Sized)) -> Result<Option<String>, StoreError> {
    while_held(place, words)
}

/// What the system says of the lock's file, or None if nobody holds it.
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
    fn a_lock_with_other_names_is_replaced_and_nothing_is_written_under_those() {
        let dir = tempdir();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        std::fs::write(&first, "precious").expect("written");
        std::fs::hard_link(&first, &second).expect("linked");
        let Ok(Locking::Held(lock)) = take(&second, "me") else { panic!("not taken") };
        assert!(lock.is_at(&second).expect("looked") && is_held(&second).expect("looked"));
        assert_eq!(std::fs::read_to_string(&first).expect("read"), "precious");
        assert!(!is_held(&first).expect("looked"));
        drop(lock);
        std::fs::remove_file(&second).expect("removed");
        std::fs::hard_link(&first, &second).expect("linked");
        let holder = File::open(&first).expect("opened");
        holder.try_lock().expect("locked");
        assert!(matches!(take(&second, "me"), Ok(Locking::Busy { .. })), "held under its other name");
        replace(&second).expect("replaced");
        assert!(matches!(take(&second, "me"), Ok(Locking::Held(_))));
    }

    #[test]
    fn a_lock_that_was_handed_over_outlives_the_one_who_took_it() {
        let dir = tempdir();
        let path = dir.path().join("lock");
        let Ok(Locking::Held(lock)) = take(&path, "a starter with a long name") else { panic!("not taken") };
        let file = lock.hand_over().expect("once");
        let theirs = file.try_clone().expect("as a child has it");
        drop(file);
        assert_eq!(holder(&path).expect("looked").as_deref(), Some("a starter with a long name"));
        assert!(take_over(&dir.path().join("other"), theirs.try_clone().expect("cloned"), "x").expect("looked").is_none());
        let lock = take_over(&path, theirs, "its trainer").expect("looked").expect("it is that one");
        assert_eq!(holder(&path).expect("looked").as_deref(), Some("its trainer"));
        drop(lock);
        assert!(!is_held(&path).expect("looked"));
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
