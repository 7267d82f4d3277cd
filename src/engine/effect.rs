//! What a decision asks the world to do; the actors carry it out and decide nothing.

use super::state::{Demand, Job, Lease, Search};
use crate::domain::attempt_history::AttemptHistory;
use crate::domain::device::Device;
use crate::domain::job::{JobName, JobState};

/// The part of a job's record that the daemon's decisions change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordUpdate {
    pub state: JobState,
    pub history: AttemptHistory,
}

/// One thing to do, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell the devices how many jobs could start.
    Ask(Demand),
    /// Draw job `index`, check it, and write its folder; without a lease, it is drawn only to record the failure.
    Draw { index: u64, lease: Option<Lease>, failure: Option<String> },
    /// Write the record (it says running), then start attempt `attempt`.
    Launch { job: JobName, lease: Lease, attempt: u32, update: RecordUpdate },
    /// Claim a slot on the device of a live trainer, then follow it.
    Claim { job: JobName, device: Device },
    /// Follow the live trainer of a job whose slot is claimed.
    Follow { job: JobName, lease: Lease },
    /// Ask the job's trainer to stop: signal, grace, kill.
    Stop { job: JobName },
    /// Give the slot back; `failed` counts against the device.
    Release { lease: Lease, job: Option<JobName>, failed: bool },
    /// Bring the job's record up to date; its rows in the tables follow once that is tried.
    Record { job: JobName, update: RecordUpdate },
    /// Bring the search's record up to date.
    RecordSearch,
    /// Report the job's retry as due after this many seconds.
    Rest { job: JobName, seconds: u64 },
    /// After this many seconds, try whether the directory takes writes and has room again.
    Probe { seconds: u64 },
    /// The job's rows in the tables are out of date.
    Tabulate { job: JobName },
    /// All of the tables are.
    TabulateAll,
    /// A table is not there.
    WriteTables,
    /// Tell whoever reads the log; the text may hold untrusted words.
    Say(String),
}

/// What the job's record has to say now, in this state.
pub(super) fn update(job: &Job, state: JobState) -> RecordUpdate {
    RecordUpdate { state, history: job.history.clone() }
}

/// Asks for the job's record to be brought up to date.
pub(super) fn record(search: &Search, name: &JobName, effects: &mut Vec<Effect>) {
    if let Some(job) = search.jobs.get(name)
        && let Some(state) = job.state()
    {
        effects.push(Effect::Record { job: name.clone(), update: update(job, state) });
    }
}

/// Tells the devices what could start, if they were told something else before.
pub(super) fn ask(search: &mut Search, effects: &mut Vec<Effect>) {
    let demand = search.demand();
    if demand != search.told {
        search.told = demand;
        effects.push(Effect::Ask(demand));
    }
}
