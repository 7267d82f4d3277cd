//! The state of a job without a daemon. The process that ran it may have died without updating it.

use super::local::process_identity::may_live;
use super::local::processes::Processes;
use super::trainer_status::{TrainerStatus, trainer_status};
use crate::domain::job::{Ended, FailureClass, JobState};
use crate::store::records::finished_folds;
use crate::store::records::job_records::JobRecord;
use crate::store::records::layout::JobDir;

/// The state in the record. If the record says that the job runs, but its starter and its trainer are both gone, the job's actual
/// fate.
pub fn shown(job: &JobDir, record: &JobRecord) -> JobState {
    let died = record.borrower.as_ref().is_some_and(|borrower| !may_live(borrower));
    if !died || !matches!(record.state, JobState::Running { .. }) {
        return record.state.clone();
    }
    // A job started from the command line runs on this machine.
    let word = match trainer_status(&Processes::default(), job) {
        TrainerStatus::Alive(..) | TrainerStatus::Unknown(_) => return record.state.clone(),
        // The record of an earlier attempt says nothing about an attempt that died before it wrote its own.
        TrainerStatus::Ended(end) if end.attempt == record.history.attempts => {
            Some(finished_folds::hold_to_results(end.ended, job))
        }
        TrainerStatus::Ended(_) | TrainerStatus::Gone => None,
    };
    match word {
        Some(Ended::Done) => JobState::Done,
        Some(Ended::Failed { class, sentence }) => JobState::Failed { class, sentence },
        Some(Ended::Interrupted { .. }) | None => {
            let sentence = "it ended while nobody watched; `neurosearch continue` of its folder goes on with it".to_string();
            JobState::Failed { class: FailureClass::Lost, sentence }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt_history::AttemptHistory;
    use crate::domain::device::Device;
    use crate::executor::Identity;
    use crate::store::fs::lock;
    use crate::store::records::job_records::{EndRecord, Starter};
    use crate::store::records::record;
    use crate::testing::tempdir;

    #[test]
    fn a_job_is_lost_only_where_whoever_ran_it_and_its_trainer_are_gone_without_a_word() {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("x"));
        std::fs::create_dir_all(job.private()).expect("made");
        let own = Identity::own().expect("found");
        let dead = Identity { start_time: own.start_time + 1, ..own.clone() };
        let running = JobState::Running { device: Some(Device::Cpu), since: 1 };
        let by = |borrower: Option<&Identity>, state: &JobState| JobRecord {
            borrower: borrower.map(Identity::as_borrower),
            history: AttemptHistory { attempts: 2, ..AttemptHistory::default() },
            state: state.clone(),
            ..JobRecord::queued(Starter::Command)
        };
        let word = |record: &JobRecord| shown(&job, record).as_str();
        assert_eq!(word(&by(Some(&own), &running)), "running", "it lives");
        assert_eq!(word(&by(None, &running)), "running", "nobody knows who ran it");
        assert_eq!(word(&by(Some(&dead), &JobState::Paused)), "paused");
        let lost = shown(&job, &by(Some(&dead), &running));
        assert!(
            matches!(&lost, JobState::Failed { class: FailureClass::Lost, sentence } if sentence.contains("continue")),
            "{lost:?}"
        );
        let held = lock::take(&job.lock(), "{}").expect("taken");
        assert_eq!(word(&by(Some(&dead), &running)), "running", "a trainer holds it");
        drop(held);
        for (attempt, ended, expected) in [
            (1, Ended::Done, FailureClass::Lost),
            (2, Ended::Interrupted { sentence: None }, FailureClass::Lost),
            (2, Ended::Done, FailureClass::Crashed),
        ] {
            record::write(&job.end(), &EndRecord { version: 1, ended: ended.clone(), attempt, unread: None }).expect("written");
            let now = shown(&job, &by(Some(&dead), &running));
            assert!(matches!(now, JobState::Failed { class, .. } if class == expected), "{ended:?}: {now:?}");
        }
    }
}
