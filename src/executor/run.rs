//! The interface between the daemon and what runs trainers: an executor starts and finds runs.

use super::assignment::Assignment;
use super::found_devices::FoundDevices;
use crate::domain::device::Device;
use crate::domain::job::Ended;
use crate::store::records::layout::JobDir;
use crate::store::records::run_id::RunId;
use std::fmt::{Debug, Display};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Something that runs trainers: the processes of this machine, or a cluster's queue. Its methods may wait for a disk or another
/// program, so actors call them off their own thread.
pub trait Executor: Debug + Send + Sync {
    /// Whether it could start a trainer now, checked before anything is made for one. The error is one sentence.
    fn check(&self) -> Result<(), String>;

    /// The devices it has, and who else uses them. Without `gpus`, only the CPU is listed.
    fn devices(&self, gpus: bool) -> FoundDevices;

    /// Bytes that one more job may take on the device. The CPU has `cpu_slots` slots. `None` if unknown.
    fn room(&self, device: &Device, cpu_slots: u32) -> Option<u64>;

    /// Starts the job's trainer, or submits it. The job's folder and its private folder must exist. If the trainer may have been
    /// started, the result is a run and no error.
    fn start(&self, assignment: &Assignment) -> Result<Box<dyn Run>, NotStarted>;

    /// The run that the job's trainer recorded as its own. A record can be copied or forged, so the executor finds out by itself
    /// whether the run is this job's. A run of another executor is unknown.
    ///
    /// # Errors
    /// If it cannot be looked up now.
    fn find(&self, job: &JobDir, run: &RunId) -> io::Result<FoundRun>;

    /// Jobs are about to come, so the executor may prepare.
    fn expect_jobs(&self) {}

    /// Updates the state of all its runs, and removes what is no longer used. Called every few seconds. The error is one
    /// sentence: nothing new is known then, and no run counts as ended because of it.
    fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
}

/// One trainer, started or found. No method waits: a question to another program is sent, and a later [`poll`](Run::poll) has the
/// answer. Dropping it leaves the trainer running. Its display name is the one people know: `process 17`.
pub trait Run: Debug + Display + Send {
    /// Its current state. A run that is over stays so.
    ///
    /// # Errors
    /// If it cannot be examined, or a requested stop fails. It may be called again.
    fn poll(&mut self) -> io::Result<RunState>;

    /// A descriptor that becomes readable once the run has ended. `None` if only polling tells.
    fn wake(&self) -> Option<OwnedFd>;

    /// Asks the trainer to end by itself, and kills it after `grace`. A second call can only shorten the time.
    ///
    /// # Errors
    /// If it cannot be stopped from here.
    fn stop(&mut self, grace: Duration) -> io::Result<()>;
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Not begun yet, for this reason.
    Waiting(String),
    Running,
    /// It has ended, in the way that its executor knows. The trainer's own record takes precedence. `None` if nobody saw it end.
    Over(Option<Ended>),
}

/// The trainer could not be started, so nothing runs. Each variant has one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// The job's own folder is the reason.
    #[error("{0}")]
    Job(String),
    /// The reason would affect every job.
    #[error("{0}")]
    Surroundings(String),
}

/// What an executor knows about a recorded run.
#[derive(Debug)]
pub enum FoundRun {
    Alive(Box<dyn Run>),
    /// It no longer runs.
    Over,
    /// It runs, and is not this job's trainer, for this reason. `holds_its_lock`: it is the trainer of another job, and this job's
    /// folder is a copy of that one which shares the lock's file.
    Another {
        why: String,
        holds_its_lock: bool,
    },
    /// It cannot be known from here whether it runs, for this reason.
    Unknown(String),
}
