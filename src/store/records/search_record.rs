//! The daemon's record of a search, `search.json`.

use super::record::Record;
use serde::{Deserialize, Serialize};

/// `search.json`; written by the daemon that holds the launch directory's lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    pub version: u32,
    pub seed: u64,
    pub n_jobs: u64,
    pub job_prefix: String,
    /// The accepted space, as read, and its SHA-256 in hexadecimal.
    pub space: serde_json::Value,
    pub space_sha256: String,
    pub paused: bool,
    pub priority: i32,
    /// Most jobs of this search at once; none: as many as there are slots.
    pub slots: Option<u32>,
    pub time_limit_hours: Option<f64>,
    /// When that ends, in seconds since the Unix epoch: nothing new is started then.
    #[serde(default)]
    pub time_limit_ends: Option<u64>,
}

impl Record for SearchRecord {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}
