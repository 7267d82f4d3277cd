//! What became of a job's trainer, judged by its folder alone: absence never means finished.

use super::local::process_identity::{self, Identity};
use crate::domain::device::Holder;
use crate::store::fs::error::StoreError;
use crate::store::fs::lock;
use crate::store::records::job_records::{EndRecord, TrainerRecord};
use crate::store::records::layout::JobDir;
use crate::store::records::record;

/// What a job's folder and the process table say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The trainer runs on this machine.
    Alive(Identity),
    /// It ended and said how.
    Ended(EndRecord),
    /// No trainer runs, and the last one, if there was one, ended without a word.
    Gone,
    /// Cannot be known from here, for this reason; the job must neither be taken for finished nor started again.
    Unknown(String),
}

/// Looks at the job's trainer. Never waits, and changes nothing.
pub fn look(job: &JobDir) -> Look {
    judge(job).unwrap_or_else(|error| Look::Unknown(error.to_string()))
}

/// As [`look`], where the caller knows that the job's trainer is gone: a record of it that cannot be read then hides nobody,
/// unless somebody holds the job's lock.
pub fn look_after_end(job: &JobDir) -> Look {
    judge(job).unwrap_or_else(|error| {
        let record = matches!(&error, StoreError::Content { path, .. } if [job.trainer_record(), job.end()].iter().any(|own| **own == **path));
        if record && matches!(lock::is_held(&job.lock()), Ok(false)) { Look::Gone } else { Look::Unknown(error.to_string()) }
    })
}

/// Who holds the job's lock.
pub fn holder(job: &JobDir) -> Holder {
    match lock::holder(&job.lock()) {
        Ok(None) => Holder::Nobody,
        Ok(Some(line)) => match lock::Holder::parse(&line) {
            Some(holder) if !process_identity::is_here(&holder.host, &holder.boot_id) => Holder::Elsewhere,
            holder => Holder::Here(holder.and_then(|holder| holder.device)),
        },
        // No trainer takes a lock that is none, such as a link; one that the disk does not give now may be held.
        Err(error) if error.is_of_the_file() => Holder::Elsewhere,
        Err(_) => Holder::Here(None),
    }
}

fn judge(job: &JobDir) -> Result<Look, StoreError> {
    let Some(trainer) = optional::<TrainerRecord>(record::read(&job.trainer_record()))? else {
        return without_trainer(job);
    };
    let here = process_identity::is_here(&trainer.host, &trainer.boot_id);
    if here {
        let identity = Identity::recorded(&trainer);
        let proc = |e| StoreError::io("look at", std::path::Path::new("/proc"), e);
        if identity.is_alive().map_err(proc)? {
            return Ok(Look::Alive(identity));
        }
    }
    // Read after the process was seen to be gone, so nothing is written to it any more.
    let end = optional::<EndRecord>(record::read(&job.end()))?.filter(|end| end.attempt == trainer.attempt);
    if lock::is_held(&job.lock())? {
        return Ok(Look::Unknown(format!(
            "{} is held by a process that is not the recorded one (pid {} on {:?})",
            job.lock().display(),
            trainer.pid,
            trainer.host
        )));
    }
    Ok(match end {
        Some(end) => Look::Ended(end),
        None if here => Look::Gone,
        None => Look::Unknown(format!(
            "its trainer was started on another machine, {:?}, and has not said how it ended",
            trainer.host
        )),
    })
}

fn without_trainer(job: &JobDir) -> Result<Look, StoreError> {
    if lock::is_held(&job.lock())? {
        return Ok(Look::Unknown(format!("{} is held by a trainer that has not yet said who it is", job.lock().display())));
    }
    // The trainer may have left its identity between the two looks.
    let record = job.trainer_record();
    if record.try_exists().map_err(|e| StoreError::io("look at", &record, e))? {
        return Ok(Look::Unknown(format!("{} has just appeared", job.trainer_record().display())));
    }
    Ok(optional::<EndRecord>(record::read(&job.end()))?.map_or(Look::Gone, Look::Ended))
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
    use super::*;
    use crate::domain::job::Ended;
    use crate::domain::network::precision::Precision;
    use crate::store::fs::lock::Locking;
    use crate::testing::tempdir;
    use std::fs;

    fn job() -> (tempfile::TempDir, JobDir) {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        (dir, job)
    }

    fn trainer(identity: &Identity, attempt: u32) -> TrainerRecord {
        TrainerRecord {
            version: 1,
            pid: identity.pid,
            start_time: identity.start_time,
            boot_id: identity.boot_id.clone(),
            host: process_identity::host(),
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

    fn end(attempt: u32) -> EndRecord {
        EndRecord { version: 1, ended: Ended::Done, attempt, unread: None }
    }

    #[test]
    fn a_damaged_last_word_keeps_the_end_unknown_to_all_but_the_one_who_saw_it() {
        let (_dir, job) = job();
        record::write(&job.trainer_record(), &trainer(&dead(), 1)).expect("written");
        fs::write(job.end(), "{").expect("written");
        assert!(matches!(look(&job), Look::Unknown(_)));
        assert_eq!(look_after_end(&job), Look::Gone);
    }

    #[test]
    fn a_damaged_record_keeps_the_end_unknown_to_all_but_the_one_who_reaped_the_trainer() {
        let (_dir, job) = job();
        fs::write(job.trainer_record(), "").expect("written");
        assert!(matches!(look(&job), Look::Unknown(_)));
        assert_eq!(look_after_end(&job), Look::Gone);
        let held = lock::take(&job.lock(), "another").expect("asked");
        assert!(matches!(held, Locking::Held(_)));
        assert!(matches!(look_after_end(&job), Look::Unknown(_)));
    }

    #[test]
    fn a_folder_without_records_has_no_trainer_and_is_not_finished() {
        let (_dir, job) = job();
        assert_eq!(look(&job), Look::Gone);
    }

    #[test]
    fn a_live_trainer_is_alive_even_where_it_has_said_its_last_word() {
        let (_dir, job) = job();
        let own = Identity::own().expect("found");
        record::write(&job.trainer_record(), &trainer(&own, 1)).expect("written");
        record::write(&job.end(), &end(1)).expect("written");
        assert_eq!(look(&job), Look::Alive(own));
    }

    #[test]
    fn an_earlier_attempts_end_is_not_this_attempts_end() {
        let (_dir, job) = job();
        record::write(&job.trainer_record(), &trainer(&dead(), 2)).expect("written");
        record::write(&job.end(), &end(1)).expect("written");
        assert_eq!(look(&job), Look::Gone);
        record::write(&job.end(), &end(2)).expect("written");
        assert_eq!(look(&job), Look::Ended(end(2)));
    }

    #[test]
    fn a_held_lock_without_a_known_trainer_is_unknown() {
        let (_dir, job) = job();
        let Locking::Held(held) = lock::take(&job.lock(), "{}").expect("taken") else { panic!("nobody else holds it") };
        assert!(matches!(look(&job), Look::Unknown(why) if why.contains("lock")));
        record::write(&job.trainer_record(), &trainer(&dead(), 1)).expect("written");
        assert!(matches!(look(&job), Look::Unknown(_)));
        drop(held);
        assert_eq!(look(&job), Look::Gone);
    }

    #[test]
    fn whoever_holds_a_job_tells_its_device_without_any_record() {
        let (_dir, job) = job();
        assert_eq!(holder(&job), Holder::Nobody);
        let own = lock::Holder {
            host: process_identity::host(),
            pid: 1,
            boot_id: process_identity::boot_id().expect("read"),
            device: Some("GPU-1a".to_string()),
        };
        let far = lock::Holder { host: "elsewhere.example".to_string(), boot_id: "another".to_string(), ..own.clone() };
        let by_hand = lock::Holder { device: None, ..own.clone() };
        for (line, expected) in [
            (own.line(), Holder::Here(Some("GPU-1a".to_string()))),
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
        let renamed = TrainerRecord { host: "before.example".to_string(), ..trainer(&dead(), 1) };
        record::write(&job.trainer_record(), &renamed).expect("written");
        assert_eq!(look(&job), Look::Gone);
    }

    #[test]
    fn another_machines_trainer_is_unknown_until_it_says_how_it_ended() {
        let (_dir, job) = job();
        let (host, boot_id) = ("elsewhere.example".to_string(), "another".to_string());
        let far = TrainerRecord { host, boot_id, ..trainer(&dead(), 1) };
        record::write(&job.trainer_record(), &far).expect("written");
        assert!(matches!(look(&job), Look::Unknown(why) if why.contains("elsewhere.example")));
        record::write(&job.end(), &end(1)).expect("written");
        assert_eq!(look(&job), Look::Ended(end(1)));
    }

    #[test]
    fn a_record_that_does_not_parse_is_unknown_and_named() {
        let (_dir, job) = job();
        fs::write(job.trainer_record(), "{").expect("written");
        assert!(matches!(look(&job), Look::Unknown(why) if why.contains("trainer.json")));
    }
}
