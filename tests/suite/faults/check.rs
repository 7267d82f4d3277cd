//! What must hold of a launch directory whatever was done to it: every file parses, no job is lost, none ran twice, the tables are those of a fresh scan.

use crate::stand_in::until;
use neurosearch::analysis::Tables;
use neurosearch::domain::job::{JobName, JobState};
use neurosearch::domain::progress::Progress;
use neurosearch::domain::words::Selection;
use neurosearch::store::records::job_records::{EndRecord, JobRecord, TrainerRecord, read_options};
use neurosearch::store::records::layout::{JobDir, LaunchDir};
use neurosearch::store::records::record;
use neurosearch::store::records::search_record::SearchRecord;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Asserts that the search in `launch` is over, and whole: `jobs` jobs are done, each trained by the stand-in trainer for
/// `epochs` epochs of its one fold, once. A live daemon may still be writing its last record.
pub fn assert_whole(launch: &Path, jobs: u64, epochs: u64) {
    until("every record is written", || {
        let done = |index| {
            let record = record::read::<JobRecord>(&job(launch, index).record());
            record.is_ok_and(|record| record.state == JobState::Done)
        };
        (0..jobs).all(done) && !files(launch).iter().any(|path| path.extension().is_some_and(|e| e == "tmp"))
    });
    assert_readable(launch);
    assert_nothing_lost(launch, jobs);
    for index in 0..jobs {
        assert_trained_once(&job(launch, index), epochs);
    }
    assert_tables_are_true(launch);
}

/// The folder of a job by its index.
pub fn job(launch: &Path, index: u64) -> JobDir {
    LaunchDir::new(launch).job(&JobName::numbered("job", index).expect("a name"))
}

/// The attempts whose trainer was started at all, in order.
pub fn begun(job: &JobDir) -> Vec<u32> {
    attempts(job, "begun")
}

/// The attempts whose trainer got as far as the job's lock, in order.
pub fn starts(job: &JobDir) -> Vec<u32> {
    attempts(job, "starts")
}

fn attempts(job: &JobDir, file: &str) -> Vec<u32> {
    let text = fs::read_to_string(job.private().join(file)).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

/// Every file below `folder`.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        // A folder may go between two looks.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

/// Every record of every kind is read as what it is, and nothing half-written lies about.
pub fn assert_readable(launch: &Path) {
    let own = LaunchDir::new(launch).space();
    for path in files(launch) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let read = match name.as_ref() {
            "search.json" => record::read::<SearchRecord>(&path).map(drop),
            "job.json" => record::read::<JobRecord>(&path).map(drop),
            "trainer.json" => record::read::<TrainerRecord>(&path).map(drop),
            "progress.json" => record::read::<Progress>(&path).map(drop),
            "end.json" => record::read::<EndRecord>(&path).map(drop),
            "commandline.json" => read_options(&path).map(drop),
            other if other.ends_with(".json") && *path != *own => record::read_json::<serde_json::Value>(&path).map(drop),
            _ => Ok(()),
        };
        read.unwrap_or_else(|e| panic!("unreadable: {e}"));
        assert!(!name.starts_with("new-"), "left behind: {}", path.display());
        if name.ends_with(".tmp") {
            // A live daemon may be writing it this instant; one that was left behind stays, and fails.
            until(&format!("{} is not left behind", path.display()), || !path.exists());
        }
    }
}

/// There is a folder for every index and no other, and each is done.
pub fn assert_nothing_lost(launch: &Path, jobs: u64) {
    let mut indices = BTreeSet::new();
    for entry in fs::read_dir(launch).expect("listed").flatten() {
        let folder = JobDir::new(entry.path());
        if !folder.record().exists() {
            continue;
        }
        let record: JobRecord = record::read(&folder.record()).expect("a record");
        assert_eq!(record.state, JobState::Done, "{}", folder.path().display());
        assert!(indices.insert(record.index.expect("an index")), "drawn twice: {}", folder.path().display());
        assert_eq!(*folder.path(), *job(launch, record.index.unwrap_or_default()).path());
    }
    let missing: Vec<u64> = (0..jobs).filter(|index| !indices.contains(index)).collect();
    assert!(missing.is_empty() && indices.len() as u64 == jobs, "lost {missing:?} of {jobs}, found {}", indices.len());
}

/// Every epoch was trained once, in order, by attempts that follow one another.
fn assert_trained_once(job: &JobDir, epochs: u64) {
    let text = fs::read_to_string(job.private().join("epochs")).unwrap_or_default();
    let trained: Vec<&str> = text.lines().filter_map(|line| line.rsplit_once(' ').map(|(epoch, _)| epoch)).collect();
    let wanted: Vec<String> = (0..epochs).map(|epoch| format!("fold-0 epoch-{epoch}")).collect();
    assert_eq!(trained, wanted, "{}", job.path().display());
    let starts = starts(job);
    assert!(starts.is_sorted_by(|a, b| a < b), "{}: attempts {starts:?}", job.path().display());
}

/// The tables on the disk become those that a fresh look at the folders gives.
pub fn assert_tables_are_true(launch: &Path) {
    let directory = LaunchDir::new(launch);
    let mut fresh = Tables::new(directory.clone());
    fresh.scan().expect("scanned");
    let mut jobs = Vec::new();
    fresh.jobs_into(&mut jobs).expect("written");
    let mut wanted = vec![(directory.jobs_table(), String::from_utf8(jobs).expect("UTF-8"))];
    wanted.extend(Selection::ALL.iter().map(|selection| (directory.analysis_table(*selection), fresh.analysis(*selection))));
    for (path, text) in wanted {
        until(&format!("{} is that of a fresh scan", path.display()), || {
            fs::read_to_string(&path).is_ok_and(|written| written == text)
        });
    }
}
