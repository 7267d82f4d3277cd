//! The records in a job's folder: its options, the starter's record, the trainer's identity, and how the trainer ended.

use super::layout::JobDir;
use super::record::{self, Record};
use super::run_id::RunId;
use crate::domain::attempt_history::AttemptHistory;
use crate::domain::job::{Ended, JobState};
use crate::domain::network::footprint::Footprint;
use crate::domain::network::precision::Precision;
use crate::domain::options::JobOptions;
use crate::domain::options::read::Outline;
use crate::domain::space::Flags;
use crate::domain::text::fault::{Fault, Faults};
use crate::store::fs::atomic;
use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Place;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// Who started a job, and so is the only writer of its record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Starter {
    Daemon,
    /// `generate`, `retrain`, or `continue` of such a job: the daemon shows and tabulates such a job, and never touches it.
    #[default]
    Command,
}

/// A process of the command line, told from every other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Borrower {
    pub pid: u32,
    pub start_time: u64,
    pub boot_id: String,
    pub host: String,
}

/// `job.json`; written by whoever starts the job: the daemon, `generate` or `retrain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub version: u32,
    #[serde(default)]
    pub starter: Starter,
    /// The process that runs the job from the command line. One that `continue` runs in the daemon's stead is the daemon's again
    /// once that process is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub borrower: Option<Borrower>,
    /// The job's index in its search; none for a job of somebody's own choosing.
    pub index: Option<u64>,
    /// Seed of the search it was drawn under.
    pub search_seed: Option<u64>,
    /// SHA-256 of the space it was drawn from, in hexadecimal.
    pub space_sha256: Option<String>,
    #[serde(flatten)]
    pub state: JobState,
    #[serde(flatten)]
    pub history: AttemptHistory,
    /// How often the draw was repeated because the network would not fit the device.
    #[serde(default)]
    pub redraws: u32,
    /// What its training was foreseen to take; none in a record that was made before that was foreseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Footprint>,
    /// Flags of `generate`, which won over the space: together with it, seed and index, what the job was drawn from.
    #[serde(default, skip_serializing_if = "Flags::is_none")]
    pub flags: Flags,
    /// Threads of its first attempt, which every later one uses again; none before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

impl EndRecord {
    /// The last word of the job's attempt `attempt`, or None if there is none that can be read, or only an earlier attempt's.
    pub fn of_attempt(job: &JobDir, attempt: u32) -> Option<EndRecord> {
        record::read::<EndRecord>(&job.end()).ok().filter(|end| end.attempt == attempt)
    }
}

impl JobRecord {
    /// The record of a job that was not started yet and belongs to no search.
    pub fn queued(starter: Starter) -> Self {
        JobRecord {
            version: 1,
            starter,
            borrower: None,
            index: None,
            search_seed: None,
            space_sha256: None,
            state: JobState::Queued,
            history: AttemptHistory::default(),
            redraws: 0,
            footprint: None,
            flags: Flags::NONE,
            threads: None,
        }
    }
}

/// `trainer.json`; written by the trainer, so that a daemon that died between starting it and recording it finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AnyTrainerRecord")]
pub struct TrainerRecord {
    pub version: u32,
    /// What runs the trainer.
    pub run: RunId,
    /// The slot's name (`NEUROSEARCH_DEVICE`), `cpu` or a GPU's UUID; `undecided` until a trainer without a slot has read its
    /// options.
    pub device: String,
    pub threads: usize,
    pub precision: Precision,
    /// Number of the attempt (`NEUROSEARCH_ATTEMPT`), as in `attempt-N.log`.
    pub attempt: u32,
}

/// `trainer.json` of any version.
#[derive(Deserialize)]
struct AnyTrainerRecord {
    version: u32,
    run: Option<RunId>,
    device: String,
    threads: usize,
    /// Records of before there was a choice say nothing, and mean the default.
    #[serde(default)]
    precision: Precision,
    attempt: u32,
    /// Version 1 knew no other executor than processes of one machine, and had what tells one from every other among its own keys.
    #[serde(flatten)]
    process: Map<String, Value>,
}

impl TryFrom<AnyTrainerRecord> for TrainerRecord {
    type Error = String;

    fn try_from(any: AnyTrainerRecord) -> Result<Self, String> {
        let AnyTrainerRecord { version, run, device, threads, precision, attempt, process } = any;
        let run = match run {
            None if version == 1 => RunId::new("process", &process).map_err(|e| e.to_string())?,
            run => run.ok_or("it does not say what runs the trainer")?,
        };
        Ok(TrainerRecord { version, run, device, threads, precision, attempt })
    }
}

impl TrainerRecord {
    /// The version that is written.
    pub const VERSION: u32 = 2;
}

/// `end.json`; the trainer's last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRecord {
    pub version: u32,
    #[serde(flatten)]
    pub ended: Ended,
    pub attempt: u32,
    /// The input that the file system did not give, where that is why it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// What the job's `commandline.json` says of it, ours or the reference's; the rest of its options may be missing.
///
/// # Errors
/// The file cannot be read, or its faults, all in one sentence.
pub fn read_outline(job: &JobDir) -> Result<Outline, StoreError> {
    let path = job.commandline();
    let text = record::read_text(&path)?;
    Outline::from_json(&text, &path.display().to_string()).map_err(|faults| in_one_sentence(&path, &faults))
}

impl Record for JobRecord {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

impl Record for TrainerRecord {
    const NEWEST: u32 = TrainerRecord::VERSION;

    fn version(&self) -> u32 {
        self.version
    }
}

impl Record for EndRecord {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

/// The options in any `commandline.json`, ours or the reference's, with notices of defaults taken and keys not known.
///
/// Relative paths in it are relative to the folder above the file's own, which is the launch directory of a job.
///
/// # Errors
/// The file cannot be read, or its faults, all in one sentence.
pub fn read_options(place: &(impl Place + ?Sized)) -> Result<(JobOptions, Vec<Fault>), StoreError> {
    parse_options(place)?.map_err(|faults| in_one_sentence(place.path(), &faults))
}

/// As [`read_options`], with the faults of the file apart.
///
/// # Errors
/// The file cannot be read.
pub fn parse_options(place: &(impl Place + ?Sized)) -> Result<Result<(JobOptions, Vec<Fault>), Faults>, StoreError> {
    let (text, path) = (record::read_text(place)?, place.path());
    let absolute = std::path::absolute(path).map_err(|e| StoreError::io("find", path, e))?;
    let base = absolute.ancestors().nth(2).unwrap_or(Path::new("/"));
    Ok(JobOptions::from_json(&text, &path.display().to_string(), base))
}

fn in_one_sentence(path: &Path, faults: &Faults) -> StoreError {
    let faults: Vec<String> = faults.faults.iter().map(Fault::to_string).collect();
    StoreError::content(path, faults.join("; "))
}

/// Makes `options` the content of the job's `commandline.json`.
pub fn write_commandline(job: &JobDir, options: &JobOptions) -> Result<(), StoreError> {
    let path = job.commandline();
    let mut text = serde_json::to_vec_pretty(&options.to_json())
        .map_err(|e| StoreError::content(&path, format!("cannot be written: {e}")))?;
    text.push(b'\n');
    atomic::replace(&path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    const OPTIONS: &str = r#"{"mode": "image", "network_type": "cnn", "caps_dir": "caps", "tsv_path": "/labels", "preprocessing": "t1-linear",
        "learning_rate": 0.0005643412345678901, "n_fcblocks": 1, "colour": "blue",
        "convolutions": {"conv0": {"in_channels": null, "out_channels": 4, "n_conv": 1, "d_reduction": "stride"}}}"#;

    fn job() -> (tempfile::TempDir, JobDir) {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir(job.path()).expect("made");
        (dir, job)
    }

    #[test]
    fn options_are_written_as_they_are_read_with_paths_from_the_launch_directory() {
        let (dir, job) = job();
        fs::write(job.commandline(), OPTIONS).expect("written");
        let (options, notices) = read_options(&job.commandline()).expect("readable");
        assert_eq!(options.caps_dir, dir.path().join("caps"));
        assert!(notices.iter().any(|notice| notice.sentence.contains("colour")));
        write_commandline(&job, &options).expect("written");
        assert_eq!(read_options(&job.commandline()).expect("readable").0, options);
    }

    #[test]
    fn options_behind_a_link_are_read_only_where_a_path_was_given_as_it_is() {
        let (dir, job) = job();
        let elsewhere = dir.path().join("elsewhere.json");
        fs::write(&elsewhere, OPTIONS).expect("written");
        std::os::unix::fs::symlink(&elsewhere, job.commandline()).expect("linked");
        assert!(read_options(&job.commandline()).expect_err("refused").to_string().contains("it is a link"));
        read_options(job.commandline().path()).expect("somebody's own path");
    }

    #[test]
    fn every_fault_of_the_options_is_told_with_the_file() {
        let (_dir, job) = job();
        assert!(read_options(&job.commandline()).expect_err("not there").is_missing());
        fs::write(job.commandline(), OPTIONS.replace("image", "cube").replace("\"n_fcblocks\": 1", "\"n_fcblocks\": 0"))
            .expect("written");
        let error = read_options(&job.commandline()).expect_err("two faults").to_string();
        assert!(["job-0/commandline.json", "cube", "n_fcblocks: found 0"].iter().all(|word| error.contains(word)), "{error}");
    }
}
