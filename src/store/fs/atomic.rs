//! Replace a whole file, so that a reader sees the old one or the new one and a crash leaves one of the two.

use super::error::StoreError;
use super::failpoint::{self, Point};
use super::open;
use super::open_dir::{Folder, Spot, make_parts};
use super::owned_path::Place;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the name of every temporary file, so that a sweep knows a crash's leftovers.
pub const TEMPORARY: &str = ".tmp";

static COUNTER: AtomicU64 = AtomicU64::new(0);

fn temporary_for(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(".{name}.{}-{unique}{TEMPORARY}", std::process::id())
}

/// Whether `name` is that of a temporary file of [`replace`], whosever it is.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY)
}

/// Whether `name` is that of a temporary file that [`replace`] left for `file`, and whose process `lives` not.
pub(crate) fn is_left_of(name: &str, file: &str, lives: &dyn Fn(u32) -> bool) -> bool {
    let unique = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(file)?.strip_prefix('.')?.strip_suffix(TEMPORARY));
    let pid = unique.map(|unique| unique.split('-').next().and_then(|pid| pid.parse().ok()));
    pid.is_some_and(|pid| !pid.is_some_and(lives))
}

/// Makes `content` the whole content of `place`: temporary file beside it, sync, rename, sync of the directory.
///
/// # Errors
/// Names the file; the old content is then still whole.
pub fn replace(place: &(impl Place + ?Sized), content: &[u8]) -> Result<(), StoreError> {
    replace_with(place, |file| file.write_all(content))
}

/// As [`replace`], for content that is written piece by piece.
pub fn replace_with(place: &(impl Place + ?Sized), write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    settle_in(&replace_at(place.path(), || Spot::of(place), write)?, place.path())
}

/// As [`replace_with`], for several files in the very folder that was opened as theirs, whatever has its name by now: the new
/// names last over a power failure once the last of them is given to [`settle_all_in`].
pub fn replace_in(folder: &Folder, place: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), StoreError> {
    replace_at(place, || folder.spot(place.file_name().unwrap_or_default()), write).map(drop)
}

/// Makes the names that files of `folder` were given last over a power failure, that of `place` and those before it.
///
/// # Errors
/// Names the directory; the names are there all the same, for as long as the machine runs.
pub fn settle_all_in(folder: &Folder, place: &Path) -> Result<(), StoreError> {
    let spot = folder.spot(place.file_name().unwrap_or_default());
    settle_in(&spot.map_err(|e| StoreError::io("sync the directory of", place, e))?, place)
}

/// The new content has the name when this returns, but not yet for good.
fn replace_at<'a>(
    path: &Path,
    spot: impl FnOnce() -> io::Result<Spot<'a>>,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<Spot<'a>, StoreError> {
    let temporary = temporary_for(path);
    let spot = failpoint::pass(Point::Create, path).and_then(|()| spot());
    let spot = spot.map_err(|e| open::refused("replace", path, e))?;
    let result = (|| {
        let mut file = spot.create(&temporary)?;
        failpoint::pass(Point::Write, path)?;
        write(&mut file)?;
        failpoint::pass(Point::Sync, path)?;
        file.sync_all()?;
        failpoint::pass(Point::Rename, path)?;
        spot.rename_from(&temporary)
    })();
    if let Err(source) = result {
        // The failed attempt's file is useless, and whether it goes changes nothing for the reader.
        let _ = spot.unlink_beside(&temporary);
        return Err(StoreError::io("replace", path, source));
    }
    Ok(spot)
}

/// Makes the name that `place` was just given last over a power failure.
///
/// # Errors
/// Names the directory; the name is there all the same, for as long as the machine runs.
pub fn settle(place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
    let spot = Spot::of(place).map_err(|e| open::refused("sync the directory of", place.path(), e))?;
    settle_in(&spot, place.path())
}

/// As [`settle`], for a folder that is open.
pub(crate) fn settle_in(spot: &Spot<'_>, path: &Path) -> Result<(), StoreError> {
    let synced = failpoint::pass(Point::Directory, path).and_then(|()| spot.sync());
    synced.and_then(|()| failpoint::pass(Point::Done, path)).map_err(|e| StoreError::io("sync the directory of", path, e))
}

/// Removes what is at `place`, with everything in it where it is a folder, and makes that last; that it is not there is no error.
///
/// # Errors
/// Names it; of a folder a part may be gone.
pub fn remove(place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
    remove_at(place.path(), || Spot::of(place))
}

/// As [`remove`], in the very folder that was opened as the one of `place`, whatever has its name by now.
pub fn remove_in(folder: &Folder, place: &Path) -> Result<(), StoreError> {
    remove_at(place, || folder.spot(place.file_name().unwrap_or_default()))
}

fn remove_at<'a>(path: &Path, spot: impl FnOnce() -> io::Result<Spot<'a>>) -> Result<(), StoreError> {
    let removed = failpoint::pass(Point::Remove, path).and_then(|()| {
        let spot = spot()?;
        if spot.remove()? { spot.sync() } else { Ok(()) }
    });
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(open::refused("remove", path, e)),
        _ => Ok(()),
    }
}

/// Makes the folder `place` where there is none; only the folder above it has to be there.
///
/// # Errors
/// Names the folder. What is there already may be something other than a folder.
pub fn make_folder(place: &(impl Place + ?Sized)) -> Result<(), StoreError> {
    let made = Spot::of(place).and_then(|spot| spot.make_folder());
    made.map(drop).map_err(|e| open::refused("make", place.path(), e))
}

/// Makes `directory` and those above it that are missing.
///
/// # Errors
/// Names the directory.
pub fn make_directory(directory: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(|e| StoreError::io("make", directory, e))
}

/// Makes `directory`, which is `base` or lies below it, where only `base` has to be there already: one that was moved away
/// meanwhile must not come up again, empty, at its old place. Nothing is made behind a link.
///
/// # Errors
/// Names the directory that could not be made.
pub fn make_below(base: &Path, directory: &Path) -> Result<(), StoreError> {
    let below = directory.strip_prefix(base).map_err(|e| StoreError::io("create", directory, io::Error::other(e)))?;
    make_parts(base, below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn a_leftover_is_told_by_its_file_and_by_its_process() {
        let left = |name: &str| is_left_of(name, "job.json", &|pid| pid == 7);
        for (name, expected) in [
            (".job.json.8-0.tmp", true),
            (".job.json.7-0.tmp", false),
            (".job.json.old.tmp", true),
            (".job.json.tmp", false),
            ("job.json.8-0.tmp", false),
            (".jobs.json.8-0.tmp", false),
        ] {
            assert_eq!(left(name), expected, "{name}");
        }
        assert!(is_left_of(&temporary_for(Path::new("/x/job.json")), "job.json", &|_| false));
        assert!(!is_left_of(&temporary_for(Path::new("/x/job.json")), "job.json", &|pid| pid == std::process::id()));
    }

    #[test]
    fn the_new_content_is_whole_and_no_temporary_file_stays() {
        let dir = tempdir();
        let path = dir.path().join("record.json");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    /// The kernel syncs a file or a directory, and refuses to sync a device.
    const NOT_SYNCED: &str = "/dev/null";

    #[test]
    fn content_that_is_not_synced_does_not_get_the_name() {
        let dir = tempdir();
        let path = dir.path().join("record.json");
        replace(&path, b"old").expect("replaced");
        let device = File::options().write(true).open(NOT_SYNCED).expect("opened");
        replace_with(&path, |file| {
            *file = device;
            Ok(())
        })
        .expect_err("the file cannot be synced");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
    }

    #[test]
    fn a_name_does_not_last_before_its_directory_is_synced() {
        let path = Path::new("/nowhere/record.json");
        let device = File::open(NOT_SYNCED).expect("opened");
        let spot = Spot::in_folder(device.into(), "record.json".as_ref());
        let error = settle_in(&spot, path).expect_err("the directory cannot be synced");
        assert!(error.to_string().contains("sync the directory of /nowhere/record.json"), "{error}");
    }

    #[test]
    fn folders_are_made_below_a_base_that_is_there_and_nowhere_else() {
        let dir = tempdir();
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
        let dir = tempdir();
        let path = dir.path().join("record.json");
        replace(&path, b"old").expect("replaced");
        let error = replace_with(&path, |_| Err(io::Error::from_raw_os_error(28))).expect_err("no space");
        assert!(error.to_string().contains("record.json"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }
}
