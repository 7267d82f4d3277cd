//! Reads one job's folder during a scan: its owner, its progress, and its trainer's fate.

use crate::daemon::attempt_result::unwatched;
use crate::domain::device::{Device, Holder, Need};
use crate::domain::job::{JobName, RunElsewhere};
use crate::engine::restore::{FoundJob, FoundRecord, TrainerSeen, Unread};
use crate::executor::local::process_identity::{is_here, may_live};
use crate::executor::{self, Executor, TrainerStatus, shown, trainer_status};
use crate::store::fs::error::StoreError;
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::{list_jobs, progress, record};
use serde::Deserialize;
use serde_json::Value;

/// Who is in charge of a job.
pub enum Owner {
    Ours,
    /// It is ours, and somebody else runs it for us.
    Elsewhere(RunElsewhere),
    SomebodyElses,
}

impl Owner {
    pub fn elsewhere(self) -> Option<RunElsewhere> {
        match self {
            Owner::Elsewhere(elsewhere) => Some(elsewhere),
            Owner::Ours | Owner::SomebodyElses => None,
        }
    }
}

/// The job's record, and who is in charge of the job. `asked`: an authorised user has said that nobody on another machine is.
/// This is believed if nobody holds the job.
pub fn record_of(job: &JobDir, asked: bool) -> Result<Option<(JobRecord, Owner)>, StoreError> {
    let Some(record) = list_jobs::record_of(job)? else { return Ok(None) };
    if record.starter != Starter::Daemon {
        return Ok(Some((record, Owner::SomebodyElses)));
    }
    let Some(borrower) = &record.borrower else { return Ok(Some((record, Owner::Ours))) };
    let away = !is_here(&borrower.host, &borrower.boot_id);
    let given_back = away && asked && executor::holder(job) == Holder::Nobody;
    if may_live(borrower) && !given_back {
        let elsewhere = RunElsewhere { pid: borrower.pid, host: borrower.host.clone(), away };
        return Ok(Some((record, Owner::Elsewhere(elsewhere))));
    }
    // Read again: the last record may have been written after the first reading. No more can follow.
    Ok(list_jobs::record_of(job)?.map(|record| (record, Owner::Ours)))
}

/// The job as a look finds it; `asked` as in [`record_of`].
pub fn found(executor: &dyn Executor, launch: &LaunchDir, name: &JobName, asked: bool) -> FoundJob {
    let job = launch.job(name);
    let read = record_of(&job, asked).and_then(|record| {
        // Finished jobs too, since they may be run again.
        let ours = matches!(record, Some((_, Owner::Ours)));
        let need = if ours { need(&job)? } else { Need::Cpu };
        Ok((record.map(|(record, owner)| restored(executor, &job, record, owner)), need))
    });
    match read {
        Ok((record, need)) => FoundJob { name: name.clone(), record: Ok(record), need },
        Err(e) => {
            let trainer = trainer(executor, &job, 0);
            let need = match trainer.device() {
                Some(device) if *device != Device::Cpu => Need::Gpu,
                _ => Need::Cpu,
            };
            FoundJob { name: name.clone(), record: Err(Unread { why: e.to_string(), trainer }), need }
        }
    }
}

fn restored(executor: &dyn Executor, job: &JobDir, record: JobRecord, owner: Owner) -> FoundRecord {
    let ours = matches!(owner, Owner::Ours);
    let over = record.state.is_final() || !ours;
    FoundRecord {
        index: record.index,
        ours,
        state: if ours { record.state.clone() } else { shown(job, &record) },
        elsewhere: owner.elsewhere(),
        trainer: if over { TrainerSeen::Gone(None) } else { trainer(executor, job, record.history.attempts) },
        checkpoints: if over { 0 } else { progress::checkpoints(job) },
        history: record.history,
    }
}

/// The kind of device, from the one key that decides it. Faulty options are left to the trainer to refuse.
///
/// # Errors
/// If the disk cannot read them now. A job must not be sent to a GPU for that.
fn need(job: &JobDir) -> Result<Need, StoreError> {
    match record::read_json::<UseCpuKey>(&job.commandline()) {
        Ok(UseCpuKey { use_cpu: Value::Bool(true) }) => Ok(Need::Cpu),
        Err(e) if !e.is_missing() && !matches!(e, StoreError::Content { .. }) => Err(e),
        _ => Ok(Need::Gpu),
    }
}

/// Only this key, since a first scan reads every job's file.
#[derive(Deserialize)]
struct UseCpuKey {
    #[serde(default)]
    use_cpu: Value,
}

/// The state of the trainer. `attempt` is the last one that was recorded as started.
pub fn trainer(executor: &dyn Executor, job: &JobDir, attempt: u32) -> TrainerSeen {
    match trainer_status(executor, job) {
        TrainerStatus::Alive(_, record) => match Device::try_from(record.device) {
            Ok(device) => TrainerSeen::Alive(device),
            Err(e) => TrainerSeen::Unclear { why: e.to_string(), holder: holder(job) },
        },
        // The record of an earlier attempt says nothing about an attempt that died before it wrote its own.
        TrainerStatus::Ended(end) => {
            let word = (end.attempt == attempt).then_some(end.ended);
            TrainerSeen::Gone(word.and_then(|ended| unwatched(job, ended)))
        }
        TrainerStatus::Gone => TrainerSeen::Gone(None),
        TrainerStatus::Unknown(why) => TrainerSeen::Unclear { why, holder: holder(job) },
    }
}

/// Who holds the job. A CPU job can be nowhere else, even if nothing more is known.
fn holder(job: &JobDir) -> Holder {
    match executor::holder(job) {
        Holder::Here(None) if matches!(need(job), Ok(Need::Cpu)) => Holder::Here(Some(Device::Cpu)),
        holder => holder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{FailureClass, JobState};
    use crate::executor::Processes;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_job_that_may_be_tried_again_needs_what_its_options_say() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        let name = JobName::numbered("job", 0).expect("a name");
        let job = launch.job(&name);
        fs::create_dir_all(job.private()).expect("made");
        let failed = JobState::Failed { class: FailureClass::Device, sentence: "no GPU".to_string() };
        for (use_cpu, need) in [(true, Need::Cpu), (false, Need::Gpu)] {
            fs::write(job.commandline(), format!("{{\"use_cpu\": {use_cpu}}}")).expect("written");
            for state in [JobState::Queued, JobState::Paused, JobState::Cancelled, JobState::Done, failed.clone()] {
                record::write(&job.record(), &JobRecord { state: state.clone(), ..JobRecord::queued(Starter::Daemon) })
                    .expect("written");
                assert_eq!(found(&Processes::default(), &launch, &name, false).need, need, "{state:?}");
            }
        }
    }
}
