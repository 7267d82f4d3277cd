//! Takes a job's lock for the trainer that is about to be started, so that there is no moment in which it runs unseen.

use super::process_identity::{ProcessRun, lock_holder};
use super::trainer_evidence::{self, Verdict};
use crate::executor::assignment::Assignment;
use crate::store::fs::error::StoreError;
use crate::store::fs::lock::{self, Locking};
use crate::store::records::job_records::TrainerRecord;
use crate::store::records::layout::JobDir;
use crate::store::records::record;
use std::fs::File;

/// The locked file, to be handed over. `None` if somebody else holds it: then the trainer finds that out, and says so.
///
/// # Errors
/// If it cannot be taken.
pub fn take(assignment: &Assignment) -> Result<Option<File>, StoreError> {
    let job = &assignment.job;
    let place = job.lock();
    let unknown = |e| StoreError::io("say who takes the lock", &place, e);
    let words = lock_holder(Some(assignment.device.as_str().to_string())).map_err(unknown)?.line();
    let mut taken = lock::take(&place, &words)?;
    if matches!(taken, Locking::Busy { .. }) && is_of_the_original(job) {
        lock::replace(&place)?;
        taken = lock::take(&place, &words)?;
    }
    Ok(match taken {
        Locking::Held(lock) => lock.hand_over(),
        Locking::Busy { .. } => None,
    })
}

/// Whether the job's folder is a copy made of hard links, whose lock is the original's.
fn is_of_the_original(job: &JobDir) -> bool {
    let recorded = record::read::<TrainerRecord>(&job.trainer_record()).ok();
    let process = recorded.and_then(|recorded| ProcessRun::recorded(&recorded.run));
    process.is_some_and(|process| {
        let verdict = trainer_evidence::judge(job, process.identity.pid);
        matches!(verdict, Verdict::OfTheOriginal(_)) && process.identity.is_alive().unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Device;
    use crate::domain::network::precision::Precision;
    use crate::testing::{LockHolder, tempdir};
    use std::fs;

    #[test]
    fn a_linked_copy_gets_a_lock_of_its_own_and_a_job_that_is_trained_keeps_its() {
        let dir = tempdir();
        let [job, copy] = ["job-0", "job-1"].map(|name| JobDir::new(dir.path().join(name)));
        let take = |job: &JobDir| {
            let (device, precision) = (Device::gpu("GPU-1a").expect("a device"), Precision::Fp32);
            take(&Assignment { job: job.clone(), device, threads: 1, attempt: 1, precision, cache: None, reads_as: None })
                .expect("looked")
        };
        [&job, &copy].iter().for_each(|job| fs::create_dir_all(job.private()).expect("made"));
        let trainer = LockHolder::start("neurosearch-trainer", &job);
        let record = TrainerRecord {
            version: TrainerRecord::VERSION,
            run: trainer.identity().run().expect("a name"),
            device: "cpu".to_string(),
            threads: 1,
            precision: Precision::Fp32,
            attempt: 1,
        };
        for job in [&job, &copy] {
            record::write(&job.trainer_record(), &record).expect("written");
        }
        fs::hard_link(job.lock(), copy.lock()).expect("linked");
        assert!(take(&job).is_none(), "it is being trained");
        let held = take(&copy).expect("its own");
        assert!(lock::is_held(&job.lock()).expect("looked") && lock::is_held(&copy.lock()).expect("looked"));
        let words = lock::holder(&copy.lock()).expect("looked").and_then(|line| lock::LockHolder::parse(&line)).expect("words");
        assert_eq!(words.device.as_deref(), Some("GPU-1a"));
        drop((held, trainer));
        assert!(!lock::is_held(&copy.lock()).expect("looked"));
    }
}
