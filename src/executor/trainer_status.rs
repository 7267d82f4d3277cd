//! Decides what became of a job's trainer, from its folder and its executor. Absence never means finished.

use super::local::process_identity;
use super::run::{Executor, FoundRun, Run};
use crate::domain::device::{Device, Holder};
use crate::store::fs::error::StoreError;
use crate::store::fs::lock;
use crate::store::records::job_records::{EndRecord, TrainerRecord};
use crate::store::records::layout::JobDir;
use crate::store::records::record;
use tracing::info;

/// The combined report of a job's folder and the executor.
#[derive(Debug)]
pub enum TrainerStatus {
    /// The trainer runs. With its record.
    Alive(Box<dyn Run>, Box<TrainerRecord>),
    /// It ended and recorded how.
    Ended(EndRecord),
    /// No trainer runs. The last one, if any, ended without a record.
    Gone,
    /// It cannot be known from here, for this reason. The job must neither count as finished nor be started again.
    Unknown(String),
}

/// Looks up the job's trainer, assuming that `executor` runs it. May wait for the disk and the executor. Changes nothing.
pub fn trainer_status(executor: &dyn Executor, job: &JobDir) -> TrainerStatus {
    judge(executor, job).unwrap_or_else(|error| TrainerStatus::Unknown(error.to_string()))
}

/// As [`trainer_status`], for a caller that knows that the job's trainer is gone. An unreadable record of it then hides nobody,
/// unless somebody holds the job's lock.
pub fn trainer_status_after_end(executor: &dyn Executor, job: &JobDir) -> TrainerStatus {
    judge(executor, job).unwrap_or_else(|error| {
        let records = [job.trainer_record(), job.end()];
        let damaged = matches!(&error, StoreError::Content { path, .. } if records.iter().any(|own| **own == **path));
        let free = || matches!(lock::is_held(&job.lock()), Ok(false));
        if damaged && free() { TrainerStatus::Gone } else { TrainerStatus::Unknown(error.to_string()) }
    })
}

/// Who holds the job's lock.
pub fn holder(job: &JobDir) -> Holder {
    match lock::holder(&job.lock()) {
        Ok(None) => Holder::Nobody,
        Ok(Some(line)) => match lock::LockHolder::parse(&line) {
            Some(holder) if !process_identity::is_here(&holder.host, &holder.boot_id) => Holder::Elsewhere,
            holder => Holder::Here(holder.and_then(|holder| Device::try_from(holder.device?).ok())),
        },
        // No trainer takes a lock that is not a regular file, such as a link. A lock that the disk cannot read now may be held.
        Err(error) if error.is_of_the_file() => Holder::Elsewhere,
        Err(_) => Holder::Here(None),
    }
}

fn judge(executor: &dyn Executor, job: &JobDir) -> Result<TrainerStatus, StoreError> {
    let Some(trainer) = optional::<TrainerRecord>(record::read(&job.trainer_record()))? else {
        return without_record(job);
    };
    let found = executor.find(job, &trainer.run).map_err(|e| StoreError::io("find the trainer of", job.path(), e))?;
    let another = match found {
        FoundRun::Alive(run) => return Ok(TrainerStatus::Alive(run, Box::new(trainer))),
        FoundRun::Another { ref why, .. } | FoundRun::Unknown(ref why) => format!("; {why}"),
        FoundRun::Over => String::new(),
    };
    // Read after the run was over, so it changes no more.
    let end = optional::<EndRecord>(record::read(&job.end()))?.filter(|end| end.attempt == trainer.attempt);
    let of_the_original = matches!(found, FoundRun::Another { holds_its_lock: true, .. });
    if !of_the_original && let Some(holder) = lock::holder(&job.lock())? {
        let (lock, who) = (job.lock(), lock::who(&holder));
        let why = format!("{} is held, and not by its trainer as far as is known: {who}{another}", lock.display());
        return Ok(TrainerStatus::Unknown(why));
    }
    Ok(match (end, found) {
        (Some(end), _) => TrainerStatus::Ended(end),
        (None, FoundRun::Unknown(why)) => TrainerStatus::Unknown(why),
        (None, FoundRun::Another { why, .. }) => {
            info!(job = ?job.path(), why, "the job's own trainer is gone");
            TrainerStatus::Gone
        }
        (None, FoundRun::Over | FoundRun::Alive(_)) => TrainerStatus::Gone,
    })
}

fn without_record(job: &JobDir) -> Result<TrainerStatus, StoreError> {
    if lock::is_held(&job.lock())? {
        let why = format!("{} is held by a trainer that has not yet said who it is", job.lock().display());
        return Ok(TrainerStatus::Unknown(why));
    }
    // The trainer may have written its identity between the two looks.
    let record = job.trainer_record();
    if record.try_exists().map_err(|e| StoreError::io("look at", &record, e))? {
        return Ok(TrainerStatus::Unknown(format!("{} has just appeared", record.display())));
    }
    let end = optional::<EndRecord>(record::read(&job.end()))?;
    Ok(end.map_or(TrainerStatus::Gone, TrainerStatus::Ended))
}

fn optional<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::TrainerStatus::{Alive, Ended, Gone, Unknown};
    use super::*;
    use crate::domain::job;
    use crate::domain::network::precision::Precision;
    use crate::executor::local::process_identity::{Identity, ProcessRun};
    use crate::executor::local::processes::Processes;
    use crate::store::fs::lock::Locking;
    use crate::store::records::run_id::RunId;
    use crate::testing::{LockHolder, tempdir};
    use std::fs;

    fn job() -> (tempfile::TempDir, JobDir) {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        (dir, job)
    }

    fn trainer(identity: &Identity, attempt: u32) -> TrainerRecord {
        TrainerRecord {
            version: TrainerRecord::VERSION,
            run: identity.run().expect("a name"),
            device: "cpu".to_string(),
            threads: 1,
            precision: Precision::Fp32,
            attempt,
        }
    }

    fn dead() -> Identity {
        let own = Identity::own().expect("found");
        Identity { start_time: own.start_time + 1, ..own }
    }

    /// As if it were on another machine, or on this one under another name.
    fn on(host: &str, identity: Identity) -> TrainerRecord {
        let run = RunId::new("process", &ProcessRun { identity, host: host.to_string() }).expect("a name");
        TrainerRecord { run, ..trainer(&dead(), 1) }
    }

    fn look(job: &JobDir) -> TrainerStatus {
        trainer_status(&Processes::default(), job)
    }

    fn look_after_end(job: &JobDir) -> TrainerStatus {
        trainer_status_after_end(&Processes::default(), job)
    }

    fn end(attempt: u32) -> EndRecord {
        EndRecord { version: 1, ended: job::Ended::Done, attempt, unread: None }
    }

    #[test]
    fn a_damaged_last_word_keeps_the_end_unknown_to_all_but_the_one_who_saw_it() {
        let (_dir, job) = job();
        record::write(&job.trainer_record(), &trainer(&dead(), 1)).expect("written");
        fs::write(job.end(), "{").expect("written");
        assert!(matches!(look(&job), Unknown(_)));
        assert!(matches!(look_after_end(&job), Gone));
    }

    #[test]
    fn a_damaged_record_keeps_the_end_unknown_to_all_but_the_one_who_reaped_the_trainer() {
        let (_dir, job) = job();
        fs::write(job.trainer_record(), "").expect("written");
        assert!(matches!(look(&job), Unknown(_)));
        assert!(matches!(look_after_end(&job), Gone));
        let held = lock::take(&job.lock(), "another").expect("asked");
        assert!(matches!(held, Locking::Held(_)));
        assert!(matches!(look_after_end(&job), Unknown(_)));
    }

    #[test]
    fn a_folder_without_records_has_no_trainer_and_is_not_finished() {
        let (_dir, job) = job();
        assert!(matches!(look(&job), Gone));
    }

    #[test]
    fn a_live_trainer_is_alive_even_where_it_has_said_its_last_word() {
        let (_dir, job) = job();
        let holder = LockHolder::start("neurosearch-trainer", &job);
        let identity = holder.identity();
        record::write(&job.trainer_record(), &trainer(&identity, 1)).expect("written");
        record::write(&job.end(), &end(1)).expect("written");
        let Alive(run, record) = look(&job) else { panic!("it lives") };
        assert_eq!((run.to_string(), record.attempt), (format!("process {}", identity.pid), 1));
    }

    #[test]
    fn a_copy_of_a_job_that_runs_has_lost_its_trainer_with_or_without_hard_links() {
        let (dir, job) = job();
        let holder = LockHolder::start("neurosearch-trainer", &job);
        record::write(&job.trainer_record(), &trainer(&holder.identity(), 1)).expect("written");
        for option in ["-r", "-al"] {
            let copy = JobDir::new(dir.path().join(format!("copy{option}")));
            let copied = std::process::Command::new("cp").arg(option).args([job.path(), copy.path()]).status();
            assert!(copied.expect("cp runs").success());
            assert!(matches!(look(&copy), Gone), "{option}: {:?}", look(&copy));
            assert!(matches!(look(&job), Alive(..)), "{option}: the original runs");
        }
    }

    #[test]
    fn a_lock_that_another_process_than_the_recorded_one_holds_is_left_alone_with_the_reason() {
        let (_dir, job) = job();
        let holder = LockHolder::start("neurosearch-trainer", &job);
        for (recorded, reason) in [(Identity::own().expect("found"), "does not hold the lock"), (dead(), "lock is held")] {
            record::write(&job.trainer_record(), &trainer(&recorded, 1)).expect("written");
            assert!(matches!(look(&job), Unknown(why) if why.contains(reason)), "{:?}", look(&job));
        }
        drop(holder);
        record::write(&job.trainer_record(), &trainer(&Identity::own().expect("found"), 1)).expect("written");
        assert!(matches!(look(&job), Gone), "nobody holds it");
    }

    #[test]
    fn an_earlier_attempts_end_is_not_this_attempts_end() {
        let (_dir, job) = job();
        record::write(&job.trainer_record(), &trainer(&dead(), 2)).expect("written");
        record::write(&job.end(), &end(1)).expect("written");
        assert!(matches!(look(&job), Gone));
        record::write(&job.end(), &end(2)).expect("written");
        assert!(matches!(look(&job), Ended(said) if said == end(2)));
    }

    #[test]
    fn a_held_lock_without_a_known_trainer_is_unknown() {
        let (_dir, job) = job();
        let Locking::Held(held) = lock::take(&job.lock(), "{}").expect("taken") else { panic!("nobody else holds it") };
        assert!(matches!(look(&job), Unknown(why) if why.contains("lock")));
        record::write(&job.trainer_record(), &trainer(&dead(), 1)).expect("written");
        assert!(matches!(look(&job), Unknown(_)));
        drop(held);
        assert!(matches!(look(&job), Gone));
    }

    #[test]
    fn whoever_holds_a_job_tells_its_device_without_any_record() {
        let (_dir, job) = job();
        assert_eq!(holder(&job), Holder::Nobody);
        let own = lock::LockHolder {
            host: process_identity::host(),
            pid: 1,
            boot_id: process_identity::boot_id().expect("read"),
            device: Some("GPU-1a".to_string()),
        };
        let far = lock::LockHolder { host: "elsewhere.example".to_string(), boot_id: "another".to_string(), ..own.clone() };
        let by_hand = lock::LockHolder { device: None, ..own.clone() };
        for (line, expected) in [
            (own.line(), Holder::Here(Device::gpu("GPU-1a").ok())),
            (far.line(), Holder::Elsewhere),
            (by_hand.line(), Holder::Here(None)),
            (String::new(), Holder::Here(None)),
        ] {
            let Locking::Held(_held) = lock::take(&job.lock(), &line).expect("asked") else { panic!("nobody else holds it") };
            assert_eq!(holder(&job), expected, "{line:?}");
        }
        fs::remove_file(job.lock()).expect("removed");
        std::os::unix::fs::symlink("/etc/hostname", job.lock()).expect("linked");
        assert_eq!(holder(&job), Holder::Elsewhere, "no trainer follows a link");
    }

    #[test]
    fn this_machine_under_another_name_is_still_this_machine() {
        let (_dir, job) = job();
        record::write(&job.trainer_record(), &on("before.example", dead())).expect("written");
        assert!(matches!(look(&job), Gone));
    }

    #[test]
    fn another_machines_trainer_is_unknown_until_it_says_how_it_ended() {
        let (_dir, job) = job();
        let far = on("elsewhere.example", Identity { boot_id: "another".to_string(), ..dead() });
        record::write(&job.trainer_record(), &far).expect("written");
        assert!(matches!(look(&job), Unknown(why) if why.contains("elsewhere.example")));
        record::write(&job.end(), &end(1)).expect("written");
        assert!(matches!(look(&job), Ended(said) if said == end(1)));
    }

    #[test]
    fn another_executors_trainer_is_left_alone_until_it_says_how_it_ended() {
        let (_dir, job) = job();
        let run = RunId::new("slurm", &4711).expect("a name");
        record::write(&job.trainer_record(), &TrainerRecord { run, ..trainer(&dead(), 1) }).expect("written");
        assert!(matches!(look(&job), Unknown(why) if why.contains("slurm")));
        assert!(matches!(look_after_end(&job), Unknown(_)), "whoever saw another one end knows nothing of it");
        record::write(&job.end(), &end(1)).expect("written");
        assert!(matches!(look(&job), Ended(said) if said == end(1)));
    }

    #[test]
    fn a_record_that_does_not_parse_is_unknown_and_named() {
        let (_dir, job) = job();
        fs::write(job.trainer_record(), "{").expect("written");
        assert!(matches!(look(&job), Unknown(why) if why.contains("trainer.json")));
    }
}
