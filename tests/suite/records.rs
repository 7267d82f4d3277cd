//! An old sample of each record is read as it was meant: a format may grow, and must never lose a file that was written before.

use crate::harness::tempdir;
use neurosearch::domain::device::Device;
use neurosearch::domain::job::{Ended, FailureClass, JobState};
use neurosearch::domain::progress::{Phase, Progress};
use neurosearch::domain::words::Mode;
use neurosearch::executor::local::process_identity::ProcessRun;
use neurosearch::store::fs::lock::{self, LockHolder, Locking};
use neurosearch::store::records::job_records::{EndRecord, JobRecord, Starter, TrainerRecord, read_options};
use neurosearch::store::records::record::{self, Record};
use neurosearch::store::records::search_record::SearchRecord;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records").join(name)
}

/// The sample, which must also be written again with everything that stands in it.
fn read<T: Record + Serialize>(name: &str) -> T {
    let path = sample(name);
    let record: T = record::read(&path).unwrap_or_else(|e| panic!("{e}"));
    let old: Value = record::read_json(&path).expect("JSON");
    let new = serde_json::to_value(&record).expect("JSON");
    for (key, value) in old.as_object().expect("an object") {
        assert_eq!(new.get(key), Some(value), "{name}: {key}");
    }
    record
}

#[test]
fn the_search_record_of_version_1_is_read() {
    let SearchRecord { version, terms } = read("search-1.json");
    assert_eq!((version, terms.seed, terms.n_jobs, terms.priority), (1, 7, 20, -3));
    assert_eq!((terms.job_prefix.as_str(), terms.paused, terms.slots, terms.time_limit), ("job", true, Some(2), None));
    assert_eq!(terms.space["mode"], "image");
}

#[test]
fn the_job_records_of_version_1_are_read_with_and_without_what_came_later() {
    let record: JobRecord = read("job-1.json");
    let history = &record.history;
    assert_eq!((record.index, history.attempts, history.failures_in_a_row, history.checkpoints_seen), (Some(3), 2, 1, 11));
    assert_eq!(record.state, JobState::Running { device: Some(Device::Cpu), since: 1_763_900_000 });
    assert_eq!((record.starter, record.threads), (Starter::Daemon, Some(2)));
    let failed: JobRecord = read("job-1-failed.json");
    let class = FailureClass::BadData;
    assert_eq!(failed.state, JobState::Failed { class, sentence: "the image of sub-0 is missing".to_string() });
    assert_eq!((failed.starter, failed.redraws, failed.threads), (Starter::Command, 0, None), "absent in the first version");
}

#[test]
fn a_trainers_record_of_version_1_says_the_same_as_one_of_version_2() {
    let trainer: TrainerRecord = read("trainer-2.json");
    assert_eq!((trainer.device.as_str(), trainer.threads, trainer.attempt), ("cpu", 2, 2));
    let process = ProcessRun::recorded(&trainer.run).expect("a process");
    assert_eq!((process.identity.pid, process.identity.start_time, process.host.as_str()), (4321, 987_654, "node-7"));
    let old: TrainerRecord = record::read(&sample("trainer-1.json")).expect("readable");
    assert_eq!(TrainerRecord { version: 2, ..old }, trainer);
    let queued: TrainerRecord = read("trainer-2-queue.json");
    assert_eq!((queued.run.kind(), ProcessRun::recorded(&queued.run)), ("queue", None), "what another executor runs");
}

#[test]
fn the_reports_of_version_1_are_read() {
    let progress: Progress = read("progress-1.json");
    assert_eq!((progress.fold, progress.epoch, progress.batches_done, progress.checkpoints), (1, 4, 7, 11));
    assert_eq!((progress.phase, progress.loss_valid), (Phase::Training, Some(0.625)));
    let least: Progress = read("progress-1-first.json");
    assert_eq!((least.network, least.loss_train, least.step_seconds), (None, None, None));
}

#[test]
fn the_ends_of_version_1_are_read() {
    let ends = ["end-1-done.json", "end-1-interrupted.json", "end-1-failed.json"].map(read::<EndRecord>);
    assert_eq!(ends.each_ref().map(|end| end.attempt), [1, 2, 3]);
    assert_eq!((&ends[0].ended, &ends[1].ended), (&Ended::Done, &Ended::Interrupted { sentence: None }));
    assert!(matches!(&ends[2].ended, Ended::Failed { class: FailureClass::OutOfMemory, .. }));
}

#[test]
fn the_holder_in_a_lock_of_version_1_is_told_to_the_next() {
    let dir = tempdir();
    let path = dir.path().join("lock");
    std::fs::copy(sample("lock-1.json"), &path).expect("copied");
    let held = std::fs::File::open(&path).expect("opened");
    held.try_lock().expect("nobody else holds it");
    assert!(lock::is_held(&path).expect("looked"));
    let Locking::Busy { holder } = lock::take(&path, "another").expect("asked") else { panic!("two holders") };
    let holder = LockHolder::parse(&holder).expect("who holds it");
    assert_eq!((holder.pid, holder.host.as_str(), holder.device), (4321, "node-7", None), "no device in the first version");
}

#[test]
fn a_jobs_options_as_first_written_are_read() {
    let (options, notices) = read_options(&sample("job/commandline-1.json")).expect("readable");
    assert_eq!(notices, [], "every key is known");
    assert_eq!((options.mode.mode(), options.epochs, options.seed), (Mode::Image, 20, Some(42)));
    assert_eq!(options.learning_rate, 0.000_564_341_234_567_890_1);
}
