//! Scans a launch directory off the actors' thread: its lock, space file and job folders.

use super::accept_space::{self, Accepted, SpaceJudgement};
use super::job_folder::{Owner, found, record_of, trainer};
use crate::daemon::permissions::how_to_write;
use crate::domain::job::JobName;
use crate::engine::react::SpaceNews;
use crate::engine::restore::{FoundJob, FoundRecord, Theirs, TrainerSeen};
use crate::executor::local::process_identity::{is_here, may_be_writing};
use crate::executor::{Executor, shown};
use crate::store::fs::atomic;
use crate::store::fs::error::StoreError;
use crate::store::fs::lock::{self, Lock, Locking};
use crate::store::fs::rights::Rights;
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::list_jobs::{self, FolderTime};
use crate::store::records::search_record::SearchRecord;
use crate::store::records::space_file::{self, SpaceFile, Stamp};
use crate::store::records::{create_job, progress, sweep};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the sampler knows already, so that the scan reads only what is new.
#[derive(Debug, Clone)]
pub struct KnownBefore {
    /// None before the lock was taken.
    pub locked: Option<Arc<Locked>>,
    pub holder: Arc<str>,
    pub executor: Arc<dyn Executor>,
    /// The file when it was last judged. `None` to judge it again.
    pub judged: Option<Stamp>,
    /// The file after it was stable for long enough. Accepted only if it has not changed since.
    pub settled_file: Option<Stamp>,
    /// Jobs with the stamps of their folders.
    pub folders: Arc<HashMap<JobName, FolderTime>>,
    /// Every job that is believed to have a folder.
    pub jobs: HashSet<JobName>,
    /// Jobs among them whose record could not be read.
    pub unread: HashSet<JobName>,
    /// Indices that are not drawn, because something that is not a job has their folder's name.
    pub taken: Vec<(u64, JobName)>,
    /// Jobs of other owners, and whether a user has asked for the daemon to take them over.
    pub foreign: HashMap<JobName, bool>,
    /// With the number of the attempt that may still run.
    pub unclear: Vec<(JobName, u32)>,
    /// Jobs that are over: their folds change no more.
    pub settled: HashSet<JobName>,
}

/// A launch directory whose lock is ours.
#[derive(Debug)]
pub struct Locked {
    pub lock: Lock,
    /// Device and inode of the directory.
    pub directory: (u64, u64),
}

/// The directory's lock.
#[derive(Debug)]
pub enum DirectoryHeld {
    /// It was ours before.
    Already,
    Now {
        locked: Locked,
        record: Option<SearchRecord>,
    },
    /// Its file was removed, and locked again. What lay beside it is gone as well.
    Again(Locked),
    /// Somebody else holds it, or it cannot be taken. The sentence says which. `for_good`: waiting would show no trainer of ours.
    No {
        sentence: String,
        for_good: bool,
    },
    /// It was ours, and somebody else holds it now.
    Lost(String),
    /// The directory is gone, or another one has its name.
    Gone,
}

/// The current state of the space file.
#[derive(Debug)]
pub struct SpaceSeen {
    pub news: SpaceNews<Accepted>,
    /// The file that this describes. `None` if there is none, or none that can be told from another.
    pub stamp: Option<Stamp>,
    /// The folds that it names, ascending, whether it is accepted or not. `None` if it cannot be read as a space.
    pub folds: Option<Vec<u32>>,
}

/// The result of a scan.
#[derive(Debug)]
pub struct ScanResult {
    pub held: DirectoryHeld,
    /// None if it is as it was, or cannot be looked at now: what was known of it holds.
    pub space: Option<SpaceSeen>,
    pub found: Vec<FoundJob>,
    pub gone: Vec<JobName>,
    pub foreign: Vec<(JobName, Theirs)>,
    /// Indices whose names are free again.
    pub freed: Vec<u64>,
    pub unclear: Vec<(JobName, TrainerSeen, u64)>,
    /// None if nothing changed.
    pub folders: Option<HashMap<JobName, FolderTime>>,
    pub tables_missing: bool,
    /// What could not be read, one sentence each.
    pub troubles: Vec<String>,
    /// Time spent on the job folders, without reading data.
    pub took: Duration,
}

/// Looks. May block for as long as the file system does.
pub fn look(launch: &LaunchDir, known: &KnownBefore) -> ScanResult {
    let held = hold(launch, known);
    let mut looked = ScanResult {
        held,
        space: None,
        found: Vec::new(),
        gone: Vec::new(),
        foreign: Vec::new(),
        freed: Vec::new(),
        unclear: Vec::new(),
        folders: None,
        tables_missing: false,
        troubles: Vec::new(),
        took: Duration::ZERO,
    };
    if matches!(looked.held, DirectoryHeld::Already | DirectoryHeld::Now { .. } | DirectoryHeld::Again(_)) {
        let begun = Instant::now();
        let changed = |name: JobName| {
            let before = known.folders.get(&name).filter(|_| known.settled.contains(&name));
            let changed = list_jobs::changed(&launch.job(&name), before.copied());
            (name, changed)
        };
        let folders = list_jobs::jobs(launch).map(|names| names.into_iter().map(changed).collect());
        looked.took = begun.elapsed();
        match folders {
            Ok(now) => compare(launch, known, now, &mut looked),
            Err(e) => looked.troubles.push(e.to_string()),
        }
        match space(launch, known) {
            Ok(seen) => looked.space = seen,
            Err(e) => looked.troubles.push(e.to_string()),
        }
        let tables = crate::domain::words::Selection::ALL.iter().map(|selection| launch.analysis_table(*selection));
        looked.tables_missing = tables.into_iter().chain([launch.jobs_table()]).any(|table| !table.exists());
    }
    looked
}

/// Device and inode of the directory with the launch directory's name. `None` if there is none.
///
/// # Errors
/// If that cannot be known.
pub fn directory(launch: &LaunchDir) -> Result<Option<(u64, u64)>, StoreError> {
    match std::fs::metadata(launch.path()) {
        Ok(meta) => Ok(meta.is_dir().then(|| (meta.dev(), meta.ino()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io("look at", launch.path(), e)),
    }
}

fn hold(launch: &LaunchDir, known: &KnownBefore) -> DirectoryHeld {
    let directory = match directory(launch) {
        Ok(Some(directory)) => directory,
        Ok(None) => return DirectoryHeld::Gone,
        Err(e) => return not_to_be_had(launch, &e, ""),
    };
    let again = match &known.locked {
        Some(locked) if locked.directory != directory => return DirectoryHeld::Gone,
        Some(locked) => match locked.lock.is_at(&launch.lock()) {
            Ok(true) => return DirectoryHeld::Already,
            Ok(false) => true,
            Err(e) => return not_to_be_had(launch, &e, ""),
        },
        None => false,
    };
    match take(launch, &known.holder) {
        Ok(Locking::Busy { holder }) => {
            let sentence = if *holder == *known.holder {
                "this daemon serves it under another name still, and is about to notice".to_string()
            } else {
                format!("another daemon serves this directory: {}", lock::who(&holder))
            };
            // One on this machine may be about to end, and its trainers are ours then.
            let for_good = lock::LockHolder::parse(&holder).is_some_and(|holder| !is_here(&holder.host, &holder.boot_id));
            if again { DirectoryHeld::Lost(sentence) } else { DirectoryHeld::No { sentence, for_good } }
        }
        Ok(Locking::Held(lock)) if again => DirectoryHeld::Again(Locked { lock, directory }),
        Ok(Locking::Held(lock)) => {
            match SearchRecord::read(launch).and_then(|record| create_job::sweep(launch, may_be_writing).map(|()| record)) {
                Ok(record) => DirectoryHeld::Now { locked: Locked { lock, directory }, record },
                Err(e) => not_to_be_had(launch, &e, ""),
            }
        }
        Err(e) => {
            let cure = how_to_write(launch.path()).into_iter().map(|line| format!("; {line}"));
            not_to_be_had(launch, &e, &cure.collect::<String>())
        }
    }
}

/// A disk may give the directory in a moment, with live trainers in it, unless no daemon has ever looked after it.
fn not_to_be_had(launch: &LaunchDir, error: &StoreError, cure: &str) -> DirectoryHeld {
    let for_good = error.is_of_the_file() || matches!(SearchRecord::read(launch), Ok(None));
    DirectoryHeld::No { sentence: format!("{error}{cure}"), for_good }
}

fn take(launch: &LaunchDir, holder: &str) -> Result<Locking, StoreError> {
    atomic::make_folder(&launch.private())?;
    lock::take(&launch.lock(), holder)
}

/// None if it is as it was when it was last judged.
fn space(launch: &LaunchDir, known: &KnownBefore) -> Result<Option<SpaceSeen>, StoreError> {
    let seen = |news, stamp| Some(SpaceSeen { news, stamp, folds: None });
    let Some(stamp) = space_file::stamp(launch)? else { return Ok(seen(SpaceNews::Missing, None)) };
    if known.judged == Some(stamp) {
        return Ok(None);
    }
    if known.settled_file != Some(stamp) {
        return Ok(seen(SpaceNews::Unsettled, Some(stamp)));
    }
    let read = match Rights::of_owner(launch.path()) {
        // The owner may have moved a file here that only we may read.
        Ok(rights) => space_file::read(launch, None, &rights),
        Err(e) if e.is_of_the_file() => SpaceFile::Refused { stamp: Some(stamp), sentence: e.to_string() },
        Err(e) => return Err(e),
    };
    Ok(match read {
        SpaceFile::Missing => seen(SpaceNews::Missing, None),
        SpaceFile::Unchanged => None,
        SpaceFile::Text { stamp: read, .. } if read != stamp => seen(SpaceNews::Unsettled, Some(read)),
        SpaceFile::Text { text, .. } => {
            let SpaceJudgement { folds, accepted } = accept_space::judge(launch, &text);
            let news = accepted.map_or_else(SpaceNews::Refused, SpaceNews::Accepted);
            Some(SpaceSeen { news, stamp: Some(stamp), folds })
        }
        SpaceFile::Refused { stamp, sentence } => seen(SpaceNews::Refused(sentence), stamp),
    })
}

/// What is new, gone or changed among the job folders.
fn compare(launch: &LaunchDir, known: &KnownBefore, now: HashMap<JobName, FolderTime>, looked: &mut ScanResult) {
    let first = matches!(looked.held, DirectoryHeld::Now { .. });
    for name in now.keys().filter(|name| !known.folders.contains_key(*name) || known.unread.contains(*name)) {
        let found = found(&*known.executor, launch, name, false);
        if first && let Ok(Some(record)) = &found.record {
            looked.troubles.extend(sweep_first(&launch.job(name), record).err().map(|e| e.to_string()));
        }
        looked.found.push(found);
    }
    looked.gone = known.jobs.iter().filter(|name| !now.contains_key(*name)).cloned().collect();
    for (name, asked) in known.foreign.iter().filter(|(name, _)| now.contains_key(*name)) {
        match record_of(&launch.job(name), *asked) {
            Ok(Some((_, Owner::Ours))) => looked.found.push(found(&*known.executor, launch, name, *asked)),
            Ok(Some((record, owner))) => {
                let state = Some(shown(&launch.job(name), &record));
                looked
                    .foreign
                    .push((name.clone(), Theirs { state, attempts: record.history.attempts, elsewhere: owner.elsewhere() }));
            }
            Ok(None) => looked.foreign.push((name.clone(), Theirs::default())),
            Err(e) => looked.troubles.push(e.to_string()),
        }
    }
    let is_gone =
        |name| std::fs::symlink_metadata(launch.job(name).path()).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    looked.freed = known.taken.iter().filter(|(_, name)| is_gone(name)).map(|(index, _)| *index).collect();
    for (name, attempt) in &known.unclear {
        let job = launch.job(name);
        looked.unclear.push((name.clone(), trainer(&*known.executor, &job, *attempt), progress::checkpoints(&job)));
    }
    looked.unclear.retain(|(name, ..)| now.contains_key(name));
    if now != *known.folders {
        looked.folders = Some(now);
    }
    looked.found.sort_by(|a, b| a.name.cmp(&b.name));
}

/// This daemon has written nothing yet, so half-written files in its jobs come from a dead daemon. Jobs that others started may
/// be in the middle of a write.
fn sweep_first(job: &JobDir, record: &FoundRecord) -> Result<(), StoreError> {
    if record.ours {
        sweep::by_starter(job, |_| false)?;
    }
    if record.ours && record.state.is_given_up() { sweep::after_end(job) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Processes;
    use crate::executor::local::process_identity;
    use crate::testing::tempdir;
    use rustix::io::Errno;

    #[test]
    fn a_directory_is_refused_for_good_where_no_trainer_of_ours_can_be_waited_for() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        let error = |code: Errno| StoreError::io("lock", dir.path(), code.into());
        let for_good = |held| match held {
            DirectoryHeld::No { for_good, .. } => for_good,
            other => panic!("{other:?}"),
        };
        assert!(for_good(not_to_be_had(&launch, &error(Errno::ROFS), "")), "never served");
        std::fs::create_dir(launch.private()).expect("made");
        std::fs::write(launch.search_record(), "{").expect("written");
        assert!(!for_good(not_to_be_had(&launch, &error(Errno::ROFS), "")), "trainers may live in it");
        assert!(for_good(not_to_be_had(&launch, &error(Errno::ACCESS), "")));
        let boot_id = process_identity::boot_id().expect("read");
        let here = lock::LockHolder { host: process_identity::host(), pid: 1, boot_id, device: None };
        let far = lock::LockHolder { host: "elsewhere.example".to_string(), boot_id: "another".to_string(), ..here.clone() };
        let known = KnownBefore {
            locked: None,
            holder: "{}".into(),
            executor: Arc::new(Processes::default()),
            judged: None,
            settled_file: None,
            folders: Arc::default(),
            jobs: HashSet::new(),
            unread: HashSet::new(),
            taken: Vec::new(),
            foreign: HashMap::new(),
            unclear: Vec::new(),
            settled: HashSet::new(),
        };
        for (holder, expected) in [(here, false), (far, true)] {
            let held = lock::take(&launch.lock(), &holder.line()).expect("taken");
            assert_eq!(for_good(hold(&launch, &known)), expected, "{holder:?}");
            drop(held);
        }
    }
}
