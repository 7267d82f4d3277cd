//! A lock on a directory, held by a process for as long as it lives, that says who holds it.

use super::error::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The open file is the lock: it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Either the lock, or the words of whoever holds it.
#[derive(Debug)]
pub enum Locking {
    Held(Lock),
    Busy { holder: String },
}

/// Takes the lock `path`, writing `holder` (host, pid, boot id as one line of JSON) into it.
///
/// # Errors
/// When the file cannot be made or written; that somebody else holds it is no error.
pub fn take(path: &Path, holder: &str) -> Result<Locking, StoreError> {
    let fail = |e| StoreError::io("lock", path, e);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {
            // In place, against the house's rule: a rename would leave the lock on a file nobody can open.
            file.set_len(0).map_err(fail)?;
            file.write_all(holder.as_bytes()).map_err(fail)?;
            Ok(Locking::Held(Lock { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.rewind().map_err(fail)?;
            file.take(4096).read_to_string(&mut holder).map_err(fail)?;
            Ok(Locking::Busy { holder })
        }
        Err(TryLockError::Error(e)) => Err(fail(e)),
    }
}

/// Whether somebody holds the lock now, without keeping it.
pub fn is_held(path: &Path) -> Result<bool, StoreError> {
    match File::open(path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(StoreError::io("look at the lock", path, e)),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("look at the lock", path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_who_holds_it_and_the_lock_ends_with_its_holder() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("lock");
        assert!(!is_held(&path).expect("looked"));
        let first = take(&path, "{\"pid\":1}").expect("taken");
        assert!(is_held(&path).expect("looked"));
        match take(&path, "other").expect("asked") {
            Locking::Busy { holder } => assert_eq!(holder, "{\"pid\":1}"),
            Locking::Held(_) => panic!("two holders"),
        }
        drop(first);
        assert!(matches!(take(&path, "other").expect("asked"), Locking::Held(_)));
    }
}
