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

/// What the trainer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Loading,
    Training,
    Evaluating,
    Writing,
}
