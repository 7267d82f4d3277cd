//! A search's work on the disk: draws, records, and the file of faults.

use super::accept_space::Accepted;
use super::chosen_job::{self, Chosen};
use super::draw::{self, DrawSlot};
use super::scan;
use crate::domain::device::{Device, Need};
use crate::domain::job::{JobName, JobState};
use crate::domain::network::device_fit::{self, OnTooLarge};
use crate::domain::search_terms::Terms;
use crate::engine::effect::RecordUpdate;
use crate::engine::react::{Drawn, NotDrawn};
use crate::engine::state::Lease;
use crate::executor::Executor;
use crate::store::fs::error::StoreError;
use crate::store::fs::rights::Rights;
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::search_record::SearchRecord;
use crate::store::records::{free_space, list_jobs, record, space_file, sweep};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::warn;

/// One piece of work on the disk.
#[derive(Debug)]
pub enum DiskTask {
    Draw {
        index: u64,
        /// The device of the waiting slot, or why there is none.
        device: Result<Device, String>,
    },
    Record {
        job: JobName,
        update: RecordUpdate,
    },
    Launch {
        job: JobName,
        lease: Lease,
        attempt: u32,
        update: RecordUpdate,
    },
    Search(Box<SearchRecord>),
    /// The text of `random_search.error`. `None` removes the file.
    Error(Option<String>),
    /// Whether the directory accepts writes again and has enough free bytes.
    Probe {
        wanted: u64,
    },
    /// A job chosen by a user, and who waits for its name.
    Enqueue {
        chosen: Chosen,
        answer: oneshot::Sender<Result<JobName, String>>,
    },
}

impl DiskTask {
    /// Whether it begins nothing new.
    pub fn only_records(&self) -> bool {
        matches!(self, DiskTask::Record { .. } | DiskTask::Search(_) | DiskTask::Error(_))
    }
}

/// The result of the work.
#[derive(Debug)]
pub enum DiskTaskDone {
    Drawn(u64, Result<(JobName, Drawn), NotDrawn>),
    Recorded(JobName, Result<usize, StoreError>),
    Launchable {
        job: JobName,
        lease: Lease,
        attempt: u32,
        /// The trainer's threads, and the user with whose rights it reads.
        recorded: Result<(usize, Option<u32>), StoreError>,
    },
    /// It does not fit the device, for this reason.
    TooLarge(JobName, String),
    SearchRecorded(Result<(), StoreError>),
    ErrorWritten(Result<(), StoreError>),
    /// The folder of a chosen job, or why there is none; and who waits for its name.
    Enqueued {
        made: Result<JobName, String>,
        need: Need,
        answer: oneshot::Sender<Result<JobName, String>>,
    },
    Probed(Result<(), StoreError>),
    /// The directory is not ours now: the work waits.
    Away(DiskTask),
}

/// What the work needs in addition to the task.
pub struct DiskWorker {
    pub launch: LaunchDir,
    /// Device and inode that the directory must have.
    pub directory: Option<(u64, u64)>,
    pub terms: Option<Terms>,
    pub accepted: Option<Accepted>,
    pub threads: usize,
    pub cpu_slots: u32,
    pub executor: Arc<dyn Executor>,
    pub on_too_large: OnTooLarge,
}

impl DiskWorker {
    /// Does the task, which may take long where the disk is slow.
    pub fn work(&self, task: DiskTask) -> DiskTaskDone {
        // Whatever bears the name now must not get the records of what bore it before.
        if self.directory.is_some() && scan::directory(&self.launch).ok().flatten() != self.directory {
            return DiskTaskDone::Away(task);
        }
        match task {
            DiskTask::Draw { index, device } => DiskTaskDone::Drawn(index, self.draw(index, device)),
            DiskTask::Record { job, update } => {
                let folder = self.launch.job(&job);
                let recorded = update_record(&folder, &update, self.threads);
                if update.state.is_given_up()
                    && let Err(e) = sweep::after_end(&folder)
                {
                    // The next start tries again.
                    warn!(job = ?folder.path(), error = e.to_string(), "what a trainer left was not removed");
                }
                DiskTaskDone::Recorded(job, recorded)
            }
            DiskTask::Launch { job, lease, attempt, update } => {
                if let Some(sentence) = self.too_large(&job, &lease, &update) {
                    return DiskTaskDone::TooLarge(job, sentence);
                }
                let rights = Rights::of_owner(self.launch.path());
                let record = || update_record(&self.launch.job(&job), &update, self.threads);
                let recorded = rights.and_then(|rights| record().map(|threads| (threads, rights.uid())));
                DiskTaskDone::Launchable { job, lease, attempt, recorded }
            }
            DiskTask::Search(search) => DiskTaskDone::SearchRecorded(record::write(&self.launch.search_record(), &search)),
            DiskTask::Error(Some(text)) => DiskTaskDone::ErrorWritten(space_file::write_error(&self.launch, &text)),
            DiskTask::Error(None) => DiskTaskDone::ErrorWritten(space_file::clear_error(&self.launch)),
            DiskTask::Enqueue { chosen, answer } => {
                DiskTaskDone::Enqueued { made: chosen_job::make(&self.launch, &chosen), need: chosen.need, answer }
            }
            DiskTask::Probe { wanted } => DiskTaskDone::Probed(free_space::probe(&self.launch, wanted)),
        }
    }

    fn draw(&self, index: u64, device: Result<Device, String>) -> Result<(JobName, Drawn), NotDrawn> {
        let slot = device.map(|device| DrawSlot {
            room: self.executor.room(&device, self.cpu_slots),
            device,
            on_too_large: self.on_too_large,
        });
        match (&self.accepted, &self.terms) {
            (Some(accepted), Some(terms)) => draw::draw_job(&self.launch, accepted, terms, index, &slot),
            _ => Err(NotDrawn::Refused("no space is accepted".to_string())),
        }
    }

    /// Why the job cannot train on the device of its slot. A job with a checkpoint has done so already, and is not checked again.
    fn too_large(&self, job: &JobName, lease: &Lease, update: &RecordUpdate) -> Option<String> {
        let record = list_jobs::record_of(&self.launch.job(job)).ok().flatten();
        let footprint = record.and_then(|record| record.footprint).filter(|_| update.history.checkpoints_seen == 0)?;
        device_fit::too_large(&footprint, self.executor.room(&lease.device, self.cpu_slots), lease.device.as_str())
    }
}

/// Updates a job's record, and keeps what the update does not name. Returns the threads of its attempts.
fn update_record(job: &JobDir, update: &RecordUpdate, threads: usize) -> Result<usize, StoreError> {
    let old = list_jobs::record_of(job)?.unwrap_or_else(|| JobRecord::queued(Starter::Daemon));
    let threads = old.threads.unwrap_or(threads);
    // Its device is not known before its slot is claimed. Until then the record knows better.
    let unknown = matches!(&update.state, JobState::Running { device: None, .. });
    let new = JobRecord {
        borrower: None,
        state: if unknown { old.state } else { update.state.clone() },
        history: update.history.clone(),
        threads: if update.history.attempts > 0 { Some(threads) } else { old.threads },
        ..old
    };
    record::write(&job.record(), &new).map(|()| threads)
}
