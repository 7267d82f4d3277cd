//! A new job's folder: it appears under its name complete, by one rename, or not at all.

use super::job_records::JobRecord;
use super::layout::{JobDir, LaunchDir};
use super::record;
use crate::domain::job::JobName;
use crate::domain::words::Selection;
use crate::store::fs::error::StoreError;
use crate::store::fs::failpoint::{self, Point};
use crate::store::fs::lock::{self, Locking};
use crate::store::fs::open_dir::{Folder, Spot};
use crate::store::fs::owned_path::Below;
use crate::store::fs::{atomic, open};
use rustix::fs::FileType;
use rustix::io::Errno;

/// Begins the name of every folder that is still being made.
const UNFINISHED: &str = "new-";

/// How the making of a folder came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    Made(JobDir),
    /// Something with that name is there, and was left as it is.
    NameTaken,
}

/// Makes the folder of a job of `launch`: `commandline` (the text of `commandline.json`) and `record` are in it when it
/// appears. The launch directory's private folder must be there.
///
/// # Errors
/// Names the file that could not be written; then no folder has appeared.
pub fn make(launch: &LaunchDir, name: &JobName, commandline: &str, job: &JobRecord) -> Result<Made, StoreError> {
    let workshop = JobDir::at(launch.private().join(format!("{UNFINISHED}{name}")));
    discard(&workshop)?;
    make_in(&workshop, launch.job(name), commandline, job)
}

/// Who makes a folder beside others' work.
pub struct Maker<'a> {
    /// The line of a [`lock::LockHolder`].
    pub holder: &'a str,
    /// Whether a process of this number may be at work.
    pub lives: &'a dyn Fn(u32) -> bool,
}

/// As [`make`], for a folder anywhere, below a directory that is there. Nothing but the folder is left beside it; what a killed
/// maker left there is removed.
///
/// # Errors
/// As [`make`].
pub fn make_at(target: JobDir, commandline: &str, job: &JobRecord, maker: &Maker) -> Result<Made, StoreError> {
    // What cannot be removed now is in nobody's way, and goes another time.
    let _ = sweep_made_at(&target.place().folder(), maker.lives);
    let name = target.path().file_name().unwrap_or_default().to_string_lossy();
    let workshop = JobDir::at(target.place().beside(&format!(".{UNFINISHED}{name}.{}", std::process::id())));
    discard(&workshop)?;
    atomic::make_folder(workshop.place())?;
    let held = atomic::make_folder(&workshop.private()).and_then(|()| lock::take(&workshop.lock(), maker.holder));
    // It goes with the folder to its place, where the trainer takes it.
    let _lock = match held {
        Ok(Locking::Held(lock)) => lock,
        Ok(Locking::Busy { holder }) => {
            let sentence = format!("it is held by {}", lock::who(&holder));
            return Err(StoreError::content(workshop.path(), sentence));
        }
        Err(e) => {
            let _ = discard(&workshop);
            return Err(e);
        }
    };
    make_in(&workshop, target, commandline, job)
}

/// Fills `workshop`, on the file system of `target`, and renames it.
fn make_in(workshop: &JobDir, target: JobDir, commandline: &str, job: &JobRecord) -> Result<Made, StoreError> {
    let written = (|| {
        // One by one: a launch directory that was moved away must not come up again at its old place.
        failpoint::pass(Point::Create, target.path()).map_err(|e| StoreError::io("make", target.path(), e))?;
        atomic::make_folder(workshop.place())?;
        atomic::make_folder(&workshop.private())?;
        atomic::replace(&workshop.commandline(), commandline.as_bytes())?;
        record::write(&workshop.record(), job)?;
        rename(workshop, &target)
    })();
    match written {
        Ok(true) => atomic::settle(target.place()).map(|()| Made::Made(target)),
        Ok(false) => discard(workshop).map(|()| Made::NameTaken),
        Err(e) => {
            // Swept at the next start where it cannot be removed now.
            let _ = discard(workshop);
            Err(e)
        }
    }
}

/// Removes what a crash left of folders that were being made, and of files that were being replaced, in this launch
/// directory and its private folder; of what an `analysis` writes too, or of a folder that `generate` was making, only where the
/// process `lives` not. Only whoever holds the launch directory's lock may.
pub fn sweep(launch: &LaunchDir, lives: impl Fn(u32) -> bool) -> Result<(), StoreError> {
    let tables = Selection::ALL.iter().map(|selection| launch.analysis_table(*selection));
    let tables = tables.chain([launch.jobs_table(), launch.known()]);
    let names = |paths: &mut dyn Iterator<Item = Below>| -> Vec<String> {
        paths.filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned())).collect()
    };
    let tables = names(&mut tables.into_iter());
    let ours = names(&mut [launch.error(), launch.search_record(), launch.probe()].into_iter());
    let left = |name: &str| {
        ours.iter().any(|file| atomic::is_left_of(name, file, &|_| false))
            || tables.iter().any(|table| atomic::is_left_of(name, table, &lives))
    };
    sweep_in(launch.place(), &left)?;
    sweep_made_at(launch.place(), &lives)?;
    sweep_in(&launch.private(), &|name| name.starts_with(UNFINISHED) || left(name))
}

/// Removes what [`make_at`] left in `place` where its process `lives` not. One of another machine has no number here, but its lock.
fn sweep_made_at(place: &Below, lives: &dyn Fn(u32) -> bool) -> Result<(), StoreError> {
    let Some(folder) = Folder::find(place)? else { return Ok(()) };
    for entry in folder.entries()?.iter().filter(|entry| entry.kind == FileType::Directory) {
        let name = entry.name.to_string_lossy();
        let unfinished = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(UNFINISHED)?.rsplit_once('.'));
        let Some(pid) = unfinished.and_then(|(_, pid)| pid.parse().ok()) else { continue };
        let lock = JobDir::at(folder.place().join(&entry.name)).lock();
        if !lives(pid) && !lock::is_held(&lock)? {
            folder.remove(&entry.name)?;
        }
    }
    Ok(())
}

fn sweep_in(place: &Below, left: &dyn Fn(&str) -> bool) -> Result<(), StoreError> {
    let Some(folder) = Folder::find(place)? else { return Ok(()) };
    for entry in folder.entries()? {
        if left(&entry.name.to_string_lossy()) {
            folder.remove(&entry.name)?;
        }
    }
    Ok(())
}

/// False where the target is there and not empty.
fn rename(from: &JobDir, to: &JobDir) -> Result<bool, StoreError> {
    let fail = |e| open::refused("make", to.path(), e);
    failpoint::pass(Point::Rename, to.path()).map_err(fail)?;
    let (from, to) = (Spot::of(from.place()).map_err(fail)?, Spot::of(to.place()).map_err(fail)?);
    // Without NOREPLACE: an empty folder of that name, as a crash between two steps leaves it, is taken over; one with
    // anything in it, a file or a link is never replaced by a folder.
    match from.rename_to(&to) {
        Ok(()) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(fail(e.into())),
    }
}

fn discard(workshop: &JobDir) -> Result<(), StoreError> {
    let removed = Spot::of(workshop.place()).and_then(|spot| spot.remove());
    removed.map(drop).map_err(|e| open::refused("remove", workshop.path(), e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::records::job_records::Starter;
    use crate::testing::tempdir;
    use std::fs;

    fn launch() -> (tempfile::TempDir, LaunchDir) {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        fs::create_dir(launch.private()).expect("made");
        (dir, launch)
    }

    fn job_record() -> JobRecord {
        JobRecord { index: Some(0), search_seed: Some(1), ..JobRecord::queued(Starter::Daemon) }
    }

    const MAKER: Maker = Maker { holder: "{}", lives: &|pid| pid == 7 };

    fn name() -> JobName {
        JobName::numbered("job", 0).expect("a name")
    }

    #[test]
    fn the_folder_appears_with_its_options_and_its_record() {
        let (_dir, launch) = launch();
        let Made::Made(job) = make(&launch, &name(), "{}\n", &job_record()).expect("made") else { panic!("taken") };
        assert_eq!(fs::read_to_string(job.commandline()).expect("read"), "{}\n");
        assert_eq!(record::read::<JobRecord>(&job.record()).expect("read"), job_record());
        assert_eq!(fs::read_dir(launch.private()).expect("listed").count(), 0);
    }

    #[test]
    fn an_empty_folder_is_taken_over_and_anything_else_is_left_alone() {
        let (_dir, launch) = launch();
        let target = launch.job(&name());
        fs::create_dir(target.path()).expect("made");
        assert!(matches!(make(&launch, &name(), "{}\n", &job_record()), Ok(Made::Made(_))));
        assert_eq!(make(&launch, &name(), "{}\n", &job_record()).expect("tried"), Made::NameTaken);
        fs::remove_dir_all(target.path()).expect("removed");
        std::os::unix::fs::symlink("/", target.path()).expect("linked");
        assert_eq!(make(&launch, &name(), "{}\n", &job_record()).expect("tried"), Made::NameTaken);
    }

    #[test]
    fn a_folder_outside_a_launch_directory_leaves_nothing_beside_it() {
        let dir = tempdir();
        let target = JobDir::new(dir.path().join("again"));
        assert!(matches!(make_at(target.clone(), "{}\n", &job_record(), &MAKER), Ok(Made::Made(_))));
        assert_eq!(make_at(target.clone(), "[]\n", &job_record(), &MAKER).expect("tried"), Made::NameTaken);
        assert_eq!(fs::read_to_string(target.commandline()).expect("read"), "{}\n");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn what_a_killed_maker_left_is_swept_and_what_a_live_one_makes_stays() {
        let (_dir, launch) = launch();
        let left = |name: &str| launch.folder(name);
        let plant = || {
            for name in [".new-a.b.6", ".new-far.8", ".new-live.7", ".new-mine"] {
                fs::create_dir_all(left(name).private()).expect("made");
            }
            fs::write(left(".new-a.b.6").lock(), "").expect("written");
            fs::write(launch.path().join(".new-file.6"), "").expect("written");
        };
        plant();
        let held = lock::take(&left(".new-far.8").lock(), "another machine's").expect("taken");
        let stay = || [".new-far.8", ".new-live.7", ".new-mine", ".new-file.6"].iter().all(|name| left(name).path().exists());
        make_at(launch.job(&name()), "{}\n", &job_record(), &MAKER).expect("made");
        assert!(!left(".new-a.b.6").path().exists() && stay());
        plant();
        sweep(&launch, MAKER.lives).expect("swept");
        assert!(!left(".new-a.b.6").path().exists() && stay());
        drop(held);
        sweep(&launch, MAKER.lives).expect("swept");
        assert!(!left(".new-far.8").path().exists() && left(".new-live.7").path().exists());
        assert!(!lock::is_held(&launch.job(&name()).lock()).expect("looked"), "the trainer may take it");
    }

    #[test]
    fn a_sweep_removes_what_a_crash_left_and_nothing_else() {
        let (_dir, launch) = launch();
        fs::create_dir_all(launch.private().join("new-job-3/.neurosearch")).expect("made");
        fs::write(launch.private().join(".search.json.1-1.tmp"), "").expect("written");
        fs::write(launch.path().join(".random_search.error.1-1.tmp"), "").expect("written");
        fs::write(launch.path().join("..analysis.1-1.tmp"), "").expect("written");
        fs::write(launch.path().join(".mine.tmp"), "").expect("written");
        fs::write(launch.private().join("search.json"), "").expect("written");
        let table = launch.path().join(".jobs.tsv.7-1.tmp");
        fs::write(&table, "").expect("written");
        sweep(&launch, |pid| pid == 7).expect("swept");
        fs::remove_file(table).expect("it was another's, who lives");
        let names = |path| {
            let names =
                fs::read_dir(path).expect("listed").map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        assert_eq!(names(launch.path().to_path_buf()), [".mine.tmp", ".neurosearch"]);
        assert_eq!(names(launch.private().into()), ["search.json"]);
    }
}
