//! Removes what killed processes left of files that were being replaced in a job's folder; each writer sweeps its own.

use super::layout::JobDir;
use crate::store::fs::error::StoreError;
use crate::store::fs::open_dir::{DirEntry, Folder};
use crate::store::fs::{atomic, lock};
use rustix::fs::FileType;

/// The deepest folder below a fold that anything of ours is written in.
const DEEPEST: usize = 8;

/// What the job's starter left of its record, unless the process `lives` that did. Only the starter may, and not while it
/// writes the record.
///
/// # Errors
/// Names the folder or file.
pub fn by_starter(job: &JobDir, lives: impl Fn(u32) -> bool) -> Result<(), StoreError> {
    let record = record_name(job);
    let Some(private) = Folder::find(&job.private())? else { return Ok(()) };
    sweep(&private, &|name| atomic::is_left_of(name, &record, &lives)).map(drop)
}

fn record_name(job: &JobDir) -> String {
    job.record().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What trainers left of a job whose trainer is gone, which perhaps no other comes to sweep any more; nothing if one still
/// runs.
///
/// # Errors
/// Names the folder or file.
pub fn after_end(job: &JobDir) -> Result<(), StoreError> {
    match lock::take_free(&job.lock())? {
        Some(_lock) => by_trainer(job),
        None => Ok(()),
    }
}

/// What earlier trainers left, in the job's folder and its folds. Only the holder of the job's lock may.
///
/// # Errors
/// Names the folder or file.
pub fn by_trainer(job: &JobDir) -> Result<(), StoreError> {
    let record = record_name(job);
    let left = |name: &str| atomic::is_temporary(name) && !atomic::is_left_of(name, &record, &|_| false);
    for place in [job.place().clone(), job.private()] {
        let Some(folder) = Folder::find(&place)? else { continue };
        for entry in sweep(&folder, &left)? {
            if entry.name.as_encoded_bytes().starts_with(b"fold-")
                && let Some(fold) = folder.below(&entry.name)?
            {
                sweep_below(&fold, &left, DEEPEST)?;
            }
        }
    }
    Ok(())
}

fn sweep_below(folder: &Folder, left: &dyn Fn(&str) -> bool, deepest: usize) -> Result<(), StoreError> {
    for entry in sweep(folder, left)? {
        if entry.kind == FileType::Directory
            && deepest > 0
            && let Some(below) = folder.below(&entry.name)?
        {
            sweep_below(&below, left, deepest - 1)?;
        }
    }
    Ok(())
}

/// Gives what else is in the folder.
fn sweep(folder: &Folder, left: &dyn Fn(&str) -> bool) -> Result<Vec<DirEntry>, StoreError> {
    let is_left = |entry: &DirEntry| entry.kind == FileType::RegularFile && left(&entry.name.to_string_lossy());
    let (swept, others): (Vec<_>, Vec<_>) = folder.entries()?.into_iter().partition(is_left);
    swept.iter().try_for_each(|entry| folder.remove(&entry.name))?;
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;
    use std::path::Path;

    fn left(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![dir.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("listed").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn each_writer_removes_its_own_leftovers_and_nothing_else() {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        let models = job.fold(0).path().join("models/best_loss");
        for folder in [&*job.private(), &**job.fold(0).private(), &*models] {
            fs::create_dir_all(folder).expect("made");
        }
        let files: [std::path::PathBuf; 7] = [
            job.private().join(".job.json.7-0.tmp").into(),
            job.private().join(".progress.json.7-1.tmp").into(),
            job.fold(0).private().join(".checkpoint-3.7-2.tmp").into(),
            models.join(".model_best.pth.tar.7-3.tmp"),
            job.path().join(".environment.txt.7-4.tmp"),
            job.path().join("mine.tmp"),
            job.record().into(),
        ];
        for file in files {
            fs::write(file, "").expect("written");
        }
        by_trainer(&job).expect("swept");
        assert_eq!(left(dir.path()), [".job.json.7-0.tmp", "job.json", "mine.tmp"]);
        by_starter(&job, |pid| pid == 7).expect("swept");
        assert_eq!(left(dir.path()), [".job.json.7-0.tmp", "job.json", "mine.tmp"], "it may be writing");
        by_starter(&job, |_| false).expect("swept");
        assert_eq!(left(dir.path()), ["job.json", "mine.tmp"]);
        by_starter(&JobDir::new(dir.path().join("absent")), |_| false).expect("nothing to sweep");
    }

    #[test]
    fn what_lies_in_a_job_that_is_over_goes_unless_a_trainer_still_runs() {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        fs::write(job.private().join(".progress.json.7-1.tmp"), "").expect("written");
        after_end(&job).expect("it was never started: nothing is a trainer's");
        let held = lock::take(&job.lock(), "somebody").expect("taken");
        after_end(&job).expect("held");
        assert_eq!(left(dir.path()), [".progress.json.7-1.tmp", "lock"]);
        drop(held);
        after_end(&job).expect("swept");
        assert_eq!(left(dir.path()), ["lock"]);
        assert_eq!(fs::read_to_string(job.lock()).expect("read"), "somebody", "who held it last is still told");
    }
}
