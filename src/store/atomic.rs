//! Replace a whole file, so that a reader sees the old one or the new one and a crash leaves one of the two.

use super::error::StoreError;
use super::failpoint::{self, Point};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the name of every temporary file, so that a sweep knows a crash's leftovers.
pub const TEMPORARY: &str = ".tmp";

static COUNTER: AtomicU64 = AtomicU64::new(0);

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{unique}{TEMPORARY}", std::process::id()))
}

/// Makes `content` the whole content of `path`: temporary file beside it, sync, rename, sync of the directory.
///
/// # Errors
/// Names `path`; the old content is then still whole.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    replace_with(path, |file| file.write_all(content))
}

/// As [`replace`], for content that is written piece by piece.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> Result<(), StoreError> {
    let temporary = temporary_beside(path);
    let result = (|| {
        failpoint::pass(Point::Create, path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        failpoint::pass(Point::Write, path)?;
        write(&mut file)?;
        failpoint::pass(Point::Sync, path)?;
        file.sync_all()?;
        failpoint::pass(Point::Rename, path)?;
        fs::rename(&temporary, path)
    })();
    if let Err(source) = result {
        // The failed attempt's file is useless, and whether it goes changes nothing for the reader.
        let _ = fs::remove_file(&temporary);
        return Err(StoreError::io("replace", path, source));
    }
    settle(path)
}

/// Makes the name that `path` was just given last over a power failure.
///
/// # Errors
/// Names the directory; the name is there all the same, for as long as the machine runs.
pub fn settle(path: &Path) -> Result<(), StoreError> {
    let fail = |e| StoreError::io("sync the directory of", path, e);
    failpoint::pass(Point::Directory, path).map_err(fail)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))?;
    failpoint::pass(Point::Done, path).map_err(fail)
}

/// Removes the file, if it is there.
///
/// # Errors
/// Names the file, which is still there.
pub fn remove_file(path: &Path) -> Result<(), StoreError> {
    remove_by(path, |path| fs::remove_file(path))
}

/// Removes the folder with everything in it, if it is there.
///
/// # Errors
/// Names the folder, of which a part may be gone.
pub fn remove_folder(path: &Path) -> Result<(), StoreError> {
    remove_by(path, |path| fs::remove_dir_all(path))
}

fn remove_by(path: &Path, remove: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), StoreError> {
    match failpoint::pass(Point::Remove, path).and_then(|()| remove(path)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Makes `directory` and those above it that are missing.
///
/// # Errors
/// Names the directory.
pub fn make_directory(directory: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(|e| StoreError::io("make", directory, e))
}

/// Makes `directory`, which is `base` or lies below it, where only `base` has to be there already: one that was moved away
/// meanwhile must not come up again, empty, at its old place.
///
/// # Errors
/// Names the directory that could not be made.
pub fn make_below(base: &Path, directory: &Path) -> Result<(), StoreError> {
    let fail = |path: &Path, e| StoreError::io("create", path, e);
    let below = directory.strip_prefix(base).map_err(|e| fail(directory, std::io::Error::other(e)))?;
    let mut path = base.to_path_buf();
    for part in below {
        path.push(part);
        if !path.is_dir() {
            failpoint::pass(Point::Create, &path).map_err(|e| fail(&path, e))?;
        }
        match fs::create_dir(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(fail(&path, e)),
            _ => {}
        }
    }
    Ok(())
}

/// Makes renames and removals in `directory` last over a power failure.
pub fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| StoreError::io("sync", directory, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_is_whole_and_no_temporary_file_stays() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("record.json");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn folders_are_made_below_a_base_that_is_there_and_nowhere_else() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (base, wanted) = (dir.path().join("job"), dir.path().join("job/fold-0/models"));
        make_below(&base, &wanted).expect_err("the base is gone");
        assert!(!base.exists());
        fs::create_dir(&base).expect("made");
        for _ in 0..2 {
            make_below(&base, &wanted).expect("made");
            assert!(wanted.is_dir());
        }
        make_below(&base, dir.path()).expect_err("not below");
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_names_the_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("record.json");
        replace(&path, b"old").expect("replaced");
        let error = replace_with(&path, |_| Err(std::io::Error::from_raw_os_error(28))).expect_err("no space");
        assert!(error.to_string().contains("record.json"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
