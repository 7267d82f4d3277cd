//! The seam at which a trainer runs somewhere: an executor starts trainers and finds them again, and each of them is a run.

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

/// Something that runs trainers: the processes of this machine, or a queue of a cluster. Its methods may wait, on a disk or on
/// another program, so actors call them off their own thread.
pub trait Executor: Debug + Send + Sync {
    /// Whether it could start a trainer now, before anything is made for one. The error is one sentence.
    fn check(&self) -> Result<(), String>;

    /// The devices it has, and who else uses them; without `gpus`, only the CPU is looked for.
    fn devices(&self, gpus: bool) -> FoundDevices;

    /// Bytes that one more job may take on the device, of whose slots the CPU has `cpu_slots`. None where nobody knows.
    fn room(&self, device: &Device, cpu_slots: u32) -> Option<u64>;

    /// Starts the job's trainer, or submits it. The job's folder and its private folder must be there. Where the trainer may
    /// have been started, the answer is a run and no error.
    fn start(&self, assignment: &Assignment) -> Result<Box<dyn Run>, NotStarted>;

    /// The run that the job's trainer recorded as its own. A run of another executor's is unknown.
    ///
    /// # Errors
    /// It cannot be looked for now.
    fn find(&self, job: &JobDir, run: &RunId) -> io::Result<FoundRun>;

    /// Jobs are about to come: time to get ready for them.
    fn expect_jobs(&self) {}

    /// Learns anew how all its runs are, and clears up what is not used any more; called every few seconds. The error is one
    /// sentence: nothing new is known then, and no run counts as ended for it.
    fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
}

/// One trainer, started or found. No method waits: what needs another program's answer is begun, and known at a later
/// [`poll`](Run::poll). Dropping it leaves the trainer running. Displayed, it is named as people know it: `process 17`.
pub trait Run: Debug + Display + Send {
    /// How it is now. A run that is over stays so.
    ///
    /// # Errors
    /// It cannot be looked at, or a stop that was asked for does not get through; it may be asked again.
    fn poll(&mut self) -> io::Result<RunState>;

    /// A descriptor that can be read from once the run has ended; none where only asking tells.
    fn wake(&self) -> Option<OwnedFd>;

    /// Asks the trainer to end by itself, and kills it after `grace`. Asked again, it can only come sooner.
    ///
    /// # Errors
    /// It cannot be stopped from here.
    fn stop(&mut self, grace: Duration) -> io::Result<()>;
}

/// How a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Not begun yet, for this reason.
    Waiting(String),
    Running,
    /// It has ended, as far as its executor knows how; the trainer's own word comes first. None where nobody saw it end.
    Over(Option<Ended>),
}

/// The trainer could not be started; nothing runs. Each has one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// Because of the job's own folder.
    #[error("{0}")]
    Job(String),
    /// Because of something that every job would meet.
    #[error("{0}")]
    Surroundings(String),
}

/// What an executor knows of a recorded run.
#[derive(Debug)]
pub enum FoundRun {
    Alive(Box<dyn Run>),
    /// It runs no more.
    Over,
    /// Whether it runs cannot be known from here, for this reason.
    Unknown(String),
}
