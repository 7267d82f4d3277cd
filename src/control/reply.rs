//! The replies of the control socket, version 1: what `GET /v1/...` gives as JSON. A field is added, never changed or removed.

use crate::domain::job::LastFailure;
use crate::domain::network::footprint::Footprint;
use crate::domain::progress::Progress;
pub use crate::domain::search_state::{Counts, SearchState};
use crate::domain::search_terms::TimeLimit;
use serde::{Deserialize, Serialize};

/// The version that every reply carries, and the first part of every path.
pub const VERSION: u32 = 1;

/// `GET /v1/ping`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    pub version: u32,
    pub daemon: Daemon,
}

/// Who answers.
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
    /// What is wrong with the daemon as a whole, each a sentence with its cure.
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
    /// Most jobs at once; none: as many as there are slots.
    pub slots: Option<u32>,
    #[serde(default)]
    pub time_limit: Option<TimeLimit>,
    pub counts: Counts,
    /// One line a fault of `random_search.json`, as in `random_search.error`.
    pub faults: Vec<String>,
    /// What was assumed in reading it.
    pub notices: Vec<String>,
    /// Why nothing new is started, and what was left aside.
    pub alarms: Vec<String>,
    pub running: Vec<Running>,
    /// Seconds until the last job that may start is done, as the jobs so far tell; none where nothing tells.
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
    /// The trainer's last report; none before its first.
    pub progress: Option<Progress>,
    /// Seconds until the job is done, at its pace in this attempt; none while nothing tells it.
    #[serde(default)]
    pub left_seconds: Option<u64>,
}

/// One device and its slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `cpu`, or a GPU's UUID.
    pub id: String,
    /// Of a GPU: its place in the order of PCI buses, as `nvidia-smi` numbers it; none for the CPU and for a GPU that is gone.
    #[serde(default)]
    pub index: Option<u32>,
    /// The model, as the driver names it.
    pub name: String,
    pub slots: u32,
    pub busy: u32,
    /// Bytes; none for the CPU.
    pub memory_total: Option<u64>,
    pub memory_free: Option<u64>,
    /// Percent; none where nobody can tell.
    pub utilization: Option<u32>,
    /// Why it takes no new job; none where it does.
    pub out_of_use: Option<String>,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices {
    pub version: u32,
    pub devices: Vec<Device>,
    /// What is wrong with them, each a sentence.
    pub alarms: Vec<String>,
}

/// `GET /v1/best?launch=PATH&most=N`: jobs with a result, best first; the first `most` of each list, or all. Whoever answers
/// may give each as anything that is written as a [`BestJob`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best<J = BestJob> {
    pub version: u32,
    pub launch: String,
    /// By the balanced accuracy of the models kept for it, then of those kept for their loss.
    pub jobs: Vec<J>,
    /// Autoencoders, which have no accuracy: by their validation loss, the lowest first.
    #[serde(default = "Vec::new")]
    pub autoencoders: Vec<J>,
    /// How many jobs have a result, of either kind.
    #[serde(default)]
    pub ranked: u64,
}

/// Balanced accuracies on the validation images, by the selection of the model; means over the folds found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestJob {
    pub job: String,
    pub state: String,
    pub best_loss: Option<f64>,
    pub best_balanced_accuracy: Option<f64>,
    /// The validation loss of the models kept for it; none where several networks have one each.
    #[serde(default)]
    pub loss: Option<f64>,
    pub folds: Vec<BestFold>,
}

/// The same of one fold.
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
    /// Whole characters; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// The next piece's `from`.
    pub next: u64,
    /// This attempt runs: more may come.
    pub running: bool,
    /// The job's last attempt so far; a higher one than `attempt` has a log of its own.
    #[serde(default)]
    pub attempts: u32,
    /// The job's, as in [`Job`].
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
    /// One sentence: what it is doing, or what it waits for first of all.
    pub why: String,
    /// Everything that keeps it from starting, the strongest first; empty for a job that does not wait.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// What it runs on, or will run on; none where nobody recorded that.
    #[serde(default)]
    pub needs: Option<Needs>,
    /// Parameters and bytes that its training is foreseen to take; none where nobody foresaw it.
    #[serde(default)]
    pub footprint: Option<Footprint>,
    /// Its figures, as `/v1/best` ranks it; none before its first fold has results.
    #[serde(default)]
    pub result: Option<BestJob>,
    /// How often its draw was repeated because the network would not fit the device.
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
    /// Of a failure.
    pub class: Option<String>,
    pub sentence: Option<String>,
    pub device: Option<String>,
    /// When its running attempt began, in seconds since the Unix epoch.
    #[serde(default)]
    pub since: Option<u64>,
    pub attempts: u32,
    pub failures_in_a_row: u32,
    /// How its last attempt that came to nothing did so, even where it was tried again.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
    pub progress: Option<Progress>,
}

/// What a change over the socket did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub version: u32,
    /// One sentence for each thing that was done.
    pub done: Vec<String>,
}

/// A request that could not be answered; comes with an HTTP status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub version: u32,
    /// What is wrong and what would work.
    pub error: String,
}
