//! Whether a launch directory takes writes, and has room for what its jobs have to write.

use super::layout::{JobDir, LaunchDir};
use crate::store::fs::error::StoreError;
use crate::store::fs::open_dir::Folder;
use crate::store::fs::owned_path::Below;
use crate::store::fs::{atomic, open};
use rustix::fs::{FileType, Stat};

/// Bytes that must be free where nobody knows how much a job has to write; on a small disk a twentieth of it will do.
const LEAST: u64 = 64 << 20;

/// Tries the directory: it must take a file, and have `wanted` bytes free, or `LEAST` where that is more.
///
/// # Errors
/// Names the directory, and says how much is free and how much is wanted.
pub fn probe(launch: &LaunchDir, wanted: u64) -> Result<(), StoreError> {
    let path = launch.probe();
    atomic::replace(&path, &[b' '; 1 << 16])?;
    atomic::remove(&path)?;
    let disk = rustix::fs::statvfs(launch.path()).map_err(|e| StoreError::io("look at the room in", launch.path(), e.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let wanted = wanted.max(LEAST.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 20));
    if free < wanted {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let sentence = format!("only {} MiB are free on its disk; it goes on with {} MiB", free >> 20, mib(wanted));
        return Err(StoreError::content(launch.path(), sentence));
    }
    Ok(())
}

/// Bytes that the job's next checkpoint takes beside the last one, by the largest there is; 0 where there is none.
pub fn wanted(job: &JobDir) -> u64 {
    let below = |folder: &Below| Folder::open(folder).and_then(|folder| folder.entries()).unwrap_or_default();
    let folds = below(&job.private()).into_iter().filter(|entry| entry.name.as_encoded_bytes().starts_with(b"fold-"));
    let folds = folds.map(|fold| job.private().join(fold.name));
    let files = folds.flat_map(|fold| below(&fold).into_iter().map(move |file| fold.join(file.name)));
    let regular = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let largest = files.filter_map(|file| open::stat(&file).ok()).filter(regular).map(|stat| stat.st_size.unsigned_abs()).max();
    largest.unwrap_or(0).saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_lack_of_room_is_told_with_both_numbers_and_a_probe_leaves_nothing() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        assert!(probe(&launch, 0).expect_err("no private folder").is_missing());
        fs::create_dir(launch.private()).expect("made");
        probe(&launch, 1).expect("room");
        assert_eq!(fs::read_dir(launch.private()).expect("listed").count(), 0);
        let error = probe(&launch, 1 << 62).expect_err("no disk has that").to_string();
        assert!(error.contains("MiB are free") && error.contains(&format!("{} MiB", 1u64 << 42)), "{error}");
    }

    #[test]
    fn a_checkpoint_wants_room_beside_the_last_one() {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        assert_eq!(wanted(&job), 0);
        fs::create_dir_all(job.fold(1).private()).expect("made");
        fs::write(job.fold(1).checkpoint(0), [0; 1000]).expect("written");
        fs::write(job.fold(1).checkpoint(1), [0; 3000]).expect("written");
        assert_eq!(wanted(&job), 6000);
    }
}
