//! Which files these are, told from what the system says of them, without opening one.

use super::open;
use super::owned_path::Place;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};

/// Longer than the granularity of the times of any file system: FAT's, the coarsest, is two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// Of files in an order: each is there, with its inode, kind and rights, length, and times of writing and of change, or is not
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint([u64; 2]);

/// A fingerprint in the making.
#[derive(Debug, Default)]
pub struct Looked {
    hash: Sha256,
    /// Since the epoch, when the last of the files was changed.
    newest: Duration,
}

impl Looked {
    /// Takes the file at `place`, or that there is none; gives whether there is one. A link is taken as itself.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn at(&mut self, place: &(impl Place + ?Sized)) -> Result<bool, Errno> {
        let stat = match open::stat(place) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => {
                self.hash.update([0]);
                return Ok(false);
            }
            Err(e) => return Err(e),
        };
        // Not the device, which has another number on each host that mounts it, and after each start.
        let numbers = [stat.st_ino, stat.st_size as u64, u64::from(stat.st_mode)];
        let times = [stat.st_mtime as u64, stat.st_mtime_nsec, stat.st_ctime as u64, stat.st_ctime_nsec];
        self.hash.update([1]);
        for number in numbers.into_iter().chain(times) {
            self.hash.update(number.to_le_bytes());
        }
        let changed = Duration::new(u64::try_from(stat.st_ctime).unwrap_or(0), u32::try_from(stat.st_ctime_nsec).unwrap_or(0));
        self.newest = self.newest.max(changed);
        Ok(true)
    }

    /// The fingerprint, or None if a file was changed so short before `now` that another change could show the same times.
    pub fn settled(self, now: SystemTime) -> Option<Fingerprint> {
        let settled = SystemTime::UNIX_EPOCH.checked_add(self.newest + SETTLED)?;
        (settled <= now).then(|| self.fingerprint())
    }

    /// The fingerprint of files that do not change meanwhile.
    pub fn fingerprint(self) -> Fingerprint {
        let sum = self.hash.finalize();
        let half = |at: usize| sum[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Fingerprint([half(0), half(8)])
    }
}

/// That of the program that asks, which cannot be written to while it runs, or None if it lies nowhere any more.
pub fn of_this_program() -> Option<Fingerprint> {
    let mut looked = Looked::default();
    let there = looked.at(&std::env::current_exe().ok()?).ok()?;
    there.then(|| looked.fingerprint())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn of(paths: &[&Path]) -> Fingerprint {
        let mut looked = Looked::default();
        for path in paths {
            looked.at(*path).expect("looked at");
        }
        looked.fingerprint()
    }

    #[test]
    fn a_files_stamp_changes_with_every_write_and_with_no_read() {
        let dir = tempdir();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        fs::write(&first, "one").expect("written");
        let time = first.metadata().and_then(|meta| meta.modified()).expect("its time");
        let mut seen = vec![of(&[&first, &second])];
        fs::read(&first).expect("read");
        assert_eq!(seen[0], of(&[&first, &second]), "after it was read");
        let changes: [&dyn Fn(); 6] = [
            // The same length and the same time of writing: the time of change is nobody's to give back.
            &|| {
                fs::write(&first, "two").expect("written");
                File::options().write(true).open(&first).and_then(|file| file.set_modified(time)).expect("its old time");
            },
            &|| fs::rename(&first, &second).expect("renamed"),
            &|| fs::copy(&second, &first).map(drop).expect("copied"),
            &|| fs::remove_file(&second).expect("removed"),
            &|| symlink(&first, &second).expect("linked"),
            &|| fs::remove_file(&first).expect("removed"),
        ];
        for (index, change) in changes.iter().enumerate() {
            // A tick of the file system's clock.
            std::thread::sleep(Duration::from_millis(20));
            change();
            let now = of(&[&first, &second]);
            assert!(!seen.contains(&now), "after change {index}");
            seen.push(now);
        }
        assert_ne!(of(&[&second, &first]), of(&[&first, &second]), "in another order");
    }

    #[test]
    fn a_file_that_was_changed_just_now_or_in_the_future_has_none_that_holds() {
        let dir = tempdir();
        let path = dir.path().join("file");
        fs::write(&path, "one").expect("written");
        let changed = path.metadata().and_then(|meta| meta.modified()).expect("its time");
        let holds = |now: SystemTime| {
            let mut looked = Looked::default();
            assert_eq!(looked.at(path.as_path()), Ok(true));
            assert_eq!(looked.at(dir.path().join("absent").as_path()), Ok(false));
            looked.settled(now)
        };
        for (now, expected) in [
            (changed - Duration::from_secs(3600), false),
            (changed, false),
            (changed + Duration::from_secs(2), false),
            (changed + Duration::from_secs(4), true),
        ] {
            assert_eq!(holds(now).is_some(), expected, "{now:?}");
        }
    }
}
