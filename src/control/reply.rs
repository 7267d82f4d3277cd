//! The JSON replies of the control socket, version 1. Fields are added, never changed or removed.

use crate::domain::job::LastFailure;
use crate::domain::network::footprint::Footprint;
use crate::domain::progress::Progress;
pub use crate::domain::search_state::{Counts, SearchState};
use crate::domain::search_terms::TimeLimit;
use serde::{Deserialize, Serialize};

/// The version in every reply, and the first part of every path.
pub const VERSION: u32 = 1;

/// `GET /v1/ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    pub version: u32,
    pub daemon: Daemon,
}

/// The daemon that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    pub program: String,
    pub pid: u32,
    pub host: String,
    /// Seconds since the Unix epoch.
    pub started_at: u64,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: u32,
    pub daemon: Daemon,
    pub searches: Vec<Search>,
    pub devices: Vec<Device>,
    /// Problems of the daemon as a whole, each a sentence with its cure.
    pub alarms: Vec<String>,
}

/// One launch directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Its path.
    pub launch: String,
    pub state: SearchState,
    pub seed: Option<u64>,
    pub n_jobs: Option<u64>,
    pub priority: i32,
    /// Most jobs at once. `None` if only the number of slots limits them.
    pub slots: Option<u32>,
    #[serde(default)]
    pub time_limit: Option<TimeLimit>,
    pub counts: Counts,
    /// One line a fault of `random_search.json`, as in `random_search.error`.
    pub faults: Vec<String>,
    /// Assumptions made when it was read.
    pub notices: Vec<String>,
    /// Why nothing new starts, and what was skipped.
    pub alarms: Vec<String>,
    pub running: Vec<Running>,
    /// Seconds until the last job that may start is done, estimated from the jobs so far. `None` if there is no basis for an
    /// estimate.
    #[serde(default)]
    pub left_seconds: Option<u64>,
}

/// A job that runs now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Running {
    pub job: String,
    pub device: String,
    /// Seconds since the Unix epoch.
    pub since: u64,
    pub attempt: u32,
    /// The trainer's last report. `None` before its first.
    pub progress: Option<Progress>,
    /// Seconds until the job is done, at its pace in this attempt. `None` if the pace is not known.
    #[serde(default)]
    pub left_seconds: Option<u64>,
}

/// One device and its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `cpu`, or a GPU's UUID.
    pub id: String,
    /// Position in the order of PCI buses, as `nvidia-smi` numbers GPUs. `None` for the CPU and for a missing GPU.
    #[serde(default)]
    pub index: Option<u32>,
    /// The model, as the driver names it.
    pub name: String,
    pub slots: u32,
    pub busy: u32,
    /// Bytes. `None` for the CPU.
    pub memory_total: Option<u64>,
    pub memory_free: Option<u64>,
    /// Percent. `None` if unknown.
    pub utilization: Option<u32>,
    /// Why it takes no new job. `None` if it does.
    pub out_of_use: Option<String>,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    pub version: u32,
    pub devices: Vec<Device>,
    /// Problems of the devices, each a sentence.
    pub alarms: Vec<String>,
}

/// `GET /v1/best?launch=PATH&most=N`: jobs with a result, best first. Each list has its first `most` jobs, or all. A server may
/// use any type that serializes as a [`BestJob`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best<J = BestJob> {
    pub version: u32,
    pub launch: String,
    /// Sorted by the balanced accuracy of the models selected by it, then of those selected by their loss.
    pub jobs: Vec<J>,
    /// Autoencoders, which have no accuracy. Sorted by validation loss, the lowest first.
    #[serde(default = "Vec::new")]
    pub autoencoders: Vec<J>,
    /// How many jobs of both kinds have a result.
    #[serde(default)]
    pub ranked: u64,
}

/// Balanced accuracies on the validation images, by how the model was selected. Means over the folds found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestJob {
    pub job: String,
    pub state: String,
    pub best_loss: Option<f64>,
    pub best_balanced_accuracy: Option<f64>,
    /// The validation loss of the models selected by it. `None` if several networks have one each.
    #[serde(default)]
    pub loss: Option<f64>,
    pub folds: Vec<BestFold>,
}

/// The same figures for one fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestFold {
    pub fold: u32,
    pub best_loss: Option<f64>,
    pub best_balanced_accuracy: Option<f64>,
    #[serde(default)]
    pub loss: Option<f64>,
}

/// `GET /v1/logs?path=PATH&attempt=N&from=BYTE`: a piece of what a trainer wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    pub version: u32,
    pub attempt: u32,
    /// Whole characters. Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The next piece's `from`.
    pub next: u64,
    /// This attempt runs, so more may come.
    pub running: bool,
    /// The job's last attempt so far. If it is higher than `attempt`, it has its own log.
    #[serde(default)]
    pub attempts: u32,
    /// The job's state, as in [`Job`].
    #[serde(default)]
    pub state: String,
}

/// `GET /v1/jobs?launch=PATH`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jobs {
    pub version: u32,
    pub launch: String,
    /// By index, then by name, job-2 before job-10.
    pub jobs: Vec<Job>,
}

/// `GET /v1/job?path=PATH`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneJob {
    pub version: u32,
    pub launch: String,
    pub job: Job,
    /// One sentence: what it is doing, or the main reason why it waits.
    pub why: String,
    /// Everything that keeps it from starting, the strongest reason first. Empty if the job does not wait.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// What it runs on, or will run on. `None` if that was never recorded.
    #[serde(default)]
    pub needs: Option<Needs>,
    /// Estimated parameters and bytes of its training. `None` if there is no estimate.
    #[serde(default)]
    pub footprint: Option<Footprint>,
    /// Its figures, as `/v1/best` ranks it. `None` before its first fold has results.
    #[serde(default)]
    pub result: Option<BestJob>,
    /// How often it was drawn again because the network did not fit the device.
    #[serde(default)]
    pub redraws: u32,
}

/// What a job needs in order to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// `cpu` or `gpu`.
    pub device: String,
}

/// One job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub name: String,
    pub index: Option<u64>,
    /// `undrawn` (it has no folder yet), `queued`, `running`, `paused`, `done`, `cancelled`, `failed` or `unrecorded`.
    pub state: String,
    /// The class of its failure. `None` if it did not fail.
    pub class: Option<String>,
    pub sentence: Option<String>,
    pub device: Option<String>,
    /// When its running attempt began, in seconds since the Unix epoch.
    #[serde(default)]
    pub since: Option<u64>,
    pub attempts: u32,
    pub failures_in_a_row: u32,
    /// How its last failed attempt failed, even if it was retried. `None` if none failed.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
    pub progress: Option<Progress>,
}

/// What a change over the socket did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub version: u32,
    /// One sentence for each thing done.
    pub done: Vec<String>,
}

/// A request that failed, with an HTTP status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub version: u32,
    /// What is wrong and what would work.
    pub error: String,
}
