//! What a search is doing, and how many of its jobs stand where.

use super::job::JobState;
use serde::{Deserialize, Serialize};

/// What a search is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchState {
    /// Its file is not yet believed: still being written, or just found.
    #[default]
    Settling,
    /// Its file is at fault; `faults` says how.
    Refused,
    /// Jobs run, or wait for a slot.
    Active,
    Paused,
    /// Nothing new starts; `alarms` says why.
    Held,
    /// Every job has ended.
    Finished,
}

/// Jobs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not drawn yet, or being drawn now.
    pub undrawn: u64,
    pub queued: u64,
    pub running: u64,
    pub paused: u64,
    pub done: u64,
    pub cancelled: u64,
    pub failed: u64,
    /// Folders without a record: made elsewhere.
    pub unrecorded: u64,
}

impl Counts {
    /// Counts a job in this state.
    pub const fn add(&mut self, state: Option<&JobState>) {
        *match state {
            None => &mut self.unrecorded,
            Some(JobState::Queued) => &mut self.queued,
            Some(JobState::Running { .. }) => &mut self.running,
            Some(JobState::Paused) => &mut self.paused,
            Some(JobState::Done) => &mut self.done,
            Some(JobState::Cancelled) => &mut self.cancelled,
            Some(JobState::Failed { .. }) => &mut self.failed,
        } += 1;
    }

    /// No job of the search is to start any more, and none runs.
    pub const fn is_over(&self) -> bool {
        self.queued + self.running + self.paused + self.undrawn == 0
    }
}
