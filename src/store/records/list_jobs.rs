//! One look over a directory: which folders of a launch directory are jobs, and which directories are launch directories.

use super::job_records::JobRecord;
use super::layout::{JobDir, LaunchDir};
use super::record;
use crate::domain::job::JobName;
use crate::store::fs::error::StoreError;
use crate::store::fs::open_dir::Folder;
use crate::store::fs::owned_path::Below;
use std::fs::{self, DirEntry, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// When a job's folder last changed, by which an unchanged one need not be read again; in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderTime {
    folder: i128,
    /// The sum of its folds' times: it moves when a fold appears or finishes.
    folds: i128,
}

/// Every folder directly below `launch` that is a job: real directories only, with a `commandline.json`.
///
/// # Errors
/// When the launch directory cannot be listed.
pub fn jobs(launch: &LaunchDir) -> Result<Vec<JobName>, StoreError> {
    let folders = entries(launch.path())?.into_iter().filter(|(_, kind)| kind.is_dir());
    let names = folders.filter_map(|(entry, _)| JobName::try_from(entry.file_name().to_string_lossy().into_owned()).ok());
    Ok(names.filter(|name| is_job(launch.job(name).path())).collect())
}

/// When the job's folder last changed. Of a job that is over, `over` is what this gave before: its folds change no more, and are
/// looked at only where its own folder has changed.
pub fn changed(job: &JobDir, over: Option<FolderTime>) -> FolderTime {
    let of = |path: &Path| {
        fs::symlink_metadata(path).map_or(0, |meta| i128::from(meta.ctime()) * 1_000_000_000 + i128::from(meta.ctime_nsec()))
    };
    let folder = of(job.path());
    if let Some(before) = over.filter(|before| before.folder == folder) {
        return before;
    }
    let entries = Folder::open(job.place()).and_then(|folder| folder.entries()).unwrap_or_default().into_iter();
    let folds = entries.filter(|entry| entry.name.as_encoded_bytes().starts_with(b"fold-"));
    FolderTime { folder, folds: folds.map(|fold| of(&job.place().join(fold.name))).sum() }
}

/// A job's record, or None if it has none.
///
/// # Errors
/// When there is one that cannot be read: then nobody knows the job's state.
pub fn record_of(job: &JobDir) -> Result<Option<JobRecord>, StoreError> {
    record::read_optional(&job.record())
}

/// A folder with a `commandline.json` is a job, and never a launch directory.
pub fn is_job(folder: &Path) -> bool {
    may_be_there(&JobDir::new(folder).commandline())
}

/// Whether something is there, or may be: an error is no absence, or a job would be forgotten for a moment's failure.
fn may_be_there(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(e) => !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// What a look at a watched directory found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// Every directory in which a space file could appear: the root, and each directory below it that is not a job.
    pub directories: Vec<PathBuf>,
    /// Those in which there is one, or was one when a search was accepted.
    pub launches: Vec<LaunchDir>,
    /// Directories into which nobody let us look, so that there may be one.
    pub closed: Vec<PathBuf>,
}

/// Looks at a watched directory and directly below it.
///
/// # Errors
/// When it cannot be listed, as when it is gone.
pub fn watched(root: &Path) -> Result<Watched, StoreError> {
    let mut found = Watched::default();
    let below = entries(root)?;
    consider(root, &mut found);
    for (entry, kind) in below {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && !hidden {
            consider(&entry.path(), &mut found);
        }
    }
    Ok(found)
}

fn consider(directory: &Path, found: &mut Watched) {
    let launch = LaunchDir::new(directory);
    // What a file system keeps for its own repairs is no search, and is closed on every machine.
    if is_closed(&launch) && !directory.ends_with("lost+found") {
        return found.closed.push(directory.to_path_buf());
    }
    if is_job(directory) {
        return;
    }
    found.directories.push(directory.to_path_buf());
    let has = |path: Below| fs::symlink_metadata(path).is_ok();
    if has(launch.space()) || has(launch.search_record()) {
        found.launches.push(launch);
    }
}

fn is_closed(launch: &LaunchDir) -> bool {
    fs::symlink_metadata(launch.space()).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied)
}

/// The entries of a directory; one that vanishes while it is listed is left out.
fn entries(directory: &Path) -> Result<Vec<(DirEntry, FileType)>, StoreError> {
    let fail = |e| StoreError::io("list", directory, e);
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        match entry.file_type() {
            Ok(kind) => entries.push((entry, kind)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(StoreError::io("look at", &entry.path(), e)),
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn make_job(folder: &Path) {
        fs::create_dir_all(folder).expect("made");
        fs::write(folder.join("commandline.json"), "{}").expect("written");
    }

    #[test]
    fn a_launch_directory_is_the_root_or_directly_below_it_and_never_a_job() {
        let dir = tempdir();
        let root = dir.path();
        for below in ["a", "b/deep", "job-0", ".hidden"] {
            fs::create_dir_all(root.join(below)).expect("made");
            fs::write(root.join(below).join("random_search.json"), "{}").expect("written");
        }
        make_job(&root.join("job-0"));
        let found = watched(root).expect("looked");
        assert_eq!(found.launches, [LaunchDir::new(root.join("a"))]);
        let mut directories = found.directories;
        directories.sort();
        assert_eq!(directories, [root.to_path_buf(), root.join("a"), root.join("b")]);
    }

    #[test]
    fn jobs_are_real_folders_with_options() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        make_job(&dir.path().join("job-0"));
        make_job(&dir.path().join("not a name"));
        fs::create_dir_all(dir.path().join("job-1/.neurosearch")).expect("made");
        fs::write(dir.path().join("job-1/.neurosearch/job.json"), "{}").expect("written");
        fs::create_dir(dir.path().join("plain")).expect("made");
        std::os::unix::fs::symlink(dir.path().join("job-0"), dir.path().join("job-2")).expect("linked");
        let mut names: Vec<String> = jobs(&launch).expect("scanned").into_iter().map(|name| name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["job-0"]);
    }

    #[test]
    fn an_error_is_no_absence() {
        let dir = tempdir();
        let circle = dir.path().join("circle");
        std::os::unix::fs::symlink(&circle, &circle).expect("a link to itself");
        assert!(is_job(&circle), "nobody can tell");
        assert!(!is_job(&dir.path().join("absent")));
    }

    #[test]
    fn a_finished_fold_changes_the_stamp_of_its_jobs_folder() {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        let fold = job.path().join("fold-0");
        make_job(job.path());
        fs::create_dir(&fold).expect("made");
        let before = changed(&job, None);
        assert_eq!(changed(&job, Some(before)), before);
        fs::create_dir(fold.join("cnn_classification")).expect("made");
        let after = changed(&job, None);
        assert_ne!(after, before);
        assert_eq!(
            (changed(&job, Some(before)), changed(&job, Some(after))),
            (before, after),
            "whether it is over makes no change"
        );
        fs::create_dir(job.path().join("fold-1")).expect("made");
        assert_eq!(changed(&job, Some(before)), changed(&job, None));
    }
}
