//! What a job's attempts came to so far, as its record and the daemon's decisions both have it.

use super::job::{FailureClass, LastFailure, PendingRequest};
use serde::{Deserialize, Serialize};

/// The counters of one job. Its fields, in this order, are those of `job.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptHistory {
    /// How often a trainer was started.
    pub attempts: u32,
    /// Counted failures without a new checkpoint between them.
    pub failures_in_a_row: u32,
    /// How many of those were kills from outside.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kills_in_a_row: u32,
    /// How the last attempt that came to nothing did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// What somebody asked for and is not done yet.
    #[serde(rename = "wish", default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingRequest>,
    /// The highest count of checkpoints seen.
    pub checkpoints_seen: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl AttemptHistory {
    /// No failure of the past counts any more.
    pub const fn forgive(&mut self) {
        self.failures_in_a_row = 0;
        self.kills_in_a_row = 0;
    }

    /// Takes note of the checkpoints there are: with more than `before` the attempt, no failure counts any more.
    pub fn note_checkpoints(&mut self, checkpoints: u64, before: u64) {
        self.checkpoints_seen = self.checkpoints_seen.max(checkpoints);
        if self.checkpoints_seen > before {
            self.forgive();
        }
    }

    /// Takes note of how the last attempt failed, without counting it.
    pub fn note_failure(&mut self, class: FailureClass, sentence: String) {
        self.last_failure = Some(LastFailure { attempt: self.attempts, class, sentence });
    }

    /// Counts a failure; answers how many of its kind there were in a row. Kills say little about the job, so they have a count
    /// of their own.
    pub fn count_failure(&mut self, class: FailureClass) -> u32 {
        self.failures_in_a_row += 1;
        if class == FailureClass::Killed {
            self.kills_in_a_row += 1;
            self.kills_in_a_row
        } else {
            self.failures_in_a_row.saturating_sub(self.kills_in_a_row)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_written_with_the_keys_and_the_order_of_the_first_records() {
        let least = AttemptHistory { attempts: 2, failures_in_a_row: 1, checkpoints_seen: 11, ..AttemptHistory::default() };
        let text = r#"{"attempts":2,"failures_in_a_row":1,"checkpoints_seen":11}"#;
        assert_eq!(serde_json::to_string(&least).expect("written"), text);
        assert_eq!(serde_json::from_str::<AttemptHistory>(text).expect("read"), least);
        let all = r#"{"attempts":2,"failures_in_a_row":1,"kills_in_a_row":1,"last_failure":{"attempt":2,"class":"killed","sentence":"a signal"},"wish":"pause","checkpoints_seen":11}"#;
        let read: AttemptHistory = serde_json::from_str(all).expect("read");
        assert_eq!(read.pending, Some(PendingRequest::Pause));
        assert_eq!(serde_json::to_string(&read).expect("written"), all);
    }

    #[test]
    fn a_new_checkpoint_forgives_what_failed_before_it_and_an_old_one_does_not() {
        let failed = AttemptHistory { failures_in_a_row: 2, kills_in_a_row: 1, checkpoints_seen: 5, ..AttemptHistory::default() };
        for (checkpoints, before, left) in [(5, 5, (2, 1, 5)), (4, 5, (2, 1, 5)), (6, 5, (0, 0, 6)), (4, 3, (0, 0, 5))] {
            let mut history = failed.clone();
            history.note_checkpoints(checkpoints, before);
            let counted = (history.failures_in_a_row, history.kills_in_a_row, history.checkpoints_seen);
            assert_eq!(counted, left, "{checkpoints} {before}");
        }
    }

    #[test]
    fn kills_and_other_failures_are_counted_apart() {
        let mut history = AttemptHistory::default();
        let kinds = [FailureClass::Killed, FailureClass::Crashed, FailureClass::Killed, FailureClass::Stalled];
        assert_eq!(kinds.map(|class| history.count_failure(class)), [1, 1, 2, 2]);
        history.forgive();
        assert_eq!(history, AttemptHistory::default());
    }
}
