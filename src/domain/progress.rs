//! What a trainer reports while it works: the content of `progress.json`.

use serde::{Deserialize, Serialize};

/// Where a trainer is. Counts are from 0 and of the work done: `epoch` is the running epoch, `batches_done` counts its finished batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub version: u32,
    /// Index of the fold as in `fold-i`.
    pub fold: u32,
    /// How many folds of this job are finished, and how many it has.
    pub folds_done: u32,
    pub folds: u32,
    /// The running CNN of a multicnn and their number; none for other networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<u32>,
    pub epoch: u32,
    pub epochs: u32,
    pub batches_done: u64,
    pub batches: u64,
    pub phase: Phase,
    /// The last evaluation's mean loss and balanced accuracy, once there is one.
    #[serde(default)]
    pub loss_train: Option<f64>,
    #[serde(default)]
    pub loss_valid: Option<f64>,
    #[serde(default)]
    pub balanced_accuracy_train: Option<f64>,
    #[serde(default)]
    pub balanced_accuracy_valid: Option<f64>,
    /// Median seconds of one training step so far; stalls are judged by it.
    #[serde(default)]
    pub step_seconds: Option<f64>,
    /// Seconds since the Unix epoch of this report, and of the last finished step.
    pub written_at: f64,
    pub last_step_at: f64,
    /// Counts checkpoints of this job over all attempts; a rise is progress.
    pub checkpoints: u64,
}

impl Progress {
    /// The share of the whole job's work that is done, from 0 to 1: folds, the networks of a fold, epochs and batches each
    /// count evenly. Early stopping can only make it jump ahead.
    pub fn fraction(&self) -> f64 {
        let part = |done: f64, all: f64| if all > 0.0 { (done / all).clamp(0.0, 1.0) } else { 0.0 };
        let epoch = part(self.batches_done as f64, self.batches as f64);
        let network = part(f64::from(self.epoch) + epoch, f64::from(self.epochs));
        let fold = match (self.network, self.networks) {
            (Some(running), Some(all)) => part(f64::from(running) + network, f64::from(all)),
            _ => network,
        };
        let remaining = if self.folds_done >= self.folds { 0.0 } else { fold };
        part(f64::from(self.folds_done) + remaining, f64::from(self.folds))
    }
}

/// What the trainer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Loading,
    Training,
    Evaluating,
    Writing,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::progress;

    #[test]
    fn folds_networks_epochs_and_batches_count_evenly() {
        assert_eq!(progress().fraction(), 0.0);
        assert_eq!(Progress { folds_done: 1, epoch: 5, batches_done: 2, ..progress() }.fraction(), (1.0 + 5.5 / 10.0) / 2.0);
        let multi = Progress { network: Some(3), networks: Some(4), epoch: 5, ..progress() };
        assert_eq!(multi.fraction(), (3.5 / 4.0) / 2.0);
        assert_eq!(Progress { folds_done: 2, epoch: 9, batches_done: 4, ..progress() }.fraction(), 1.0);
    }

    #[test]
    fn a_report_of_nothing_to_do_is_no_division_by_zero() {
        assert_eq!(Progress { folds: 0, epochs: 0, batches: 0, ..progress() }.fraction(), 0.0);
    }
}
