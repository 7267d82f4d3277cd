//! What a trainer is told: its job, its device and how to work, which is the same wherever it runs.

use crate::domain::device::Device;
use crate::domain::network::precision::Precision;
use crate::store::data::volume_cache::CachePlace;
use crate::store::fs::error::StoreError;
use crate::store::fs::open;
use crate::store::records::attempt_log;
use crate::store::records::layout::JobDir;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

/// The trainer's environment: what it runs on and how. Absent, it decides by the job's options and the machine.
pub mod variable {
    /// `cpu`, or the UUID of the one GPU.
    pub const DEVICE: &str = "NEUROSEARCH_DEVICE";
    pub const THREADS: &str = "NEUROSEARCH_THREADS";
    pub const ATTEMPT: &str = "NEUROSEARCH_ATTEMPT";
    /// Where decoded volumes are shared between trainers; empty: nowhere. Absent, the usual folder.
    pub const CACHE_DIR: &str = "NEUROSEARCH_CACHE_DIR";
    /// How many gigabytes that folder may hold.
    pub const CACHE_GIGABYTES: &str = "NEUROSEARCH_CACHE_GIGABYTES";
    /// `fp32`, `tf32` or `bf16`.
    pub const PRECISION: &str = "NEUROSEARCH_PRECISION";
    /// What runs the trainer, as `trainer.json` names it; empty or absent: the trainer is a process, and names itself.
    pub const RUN: &str = "NEUROSEARCH_RUN";
}

/// One run of one job on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub job: JobDir,
    pub device: Device,
    pub threads: usize,
    /// From 1; names the run's log and its records.
    pub attempt: u32,
    pub precision: Precision,
    /// None: the trainer decodes volumes for itself.
    pub cache: Option<CachePlace>,
}

impl Assignment {
    /// The job's folder as a trainer is told it.
    pub fn folder(&self) -> Result<PathBuf, StoreError> {
        let path = self.job.path();
        std::path::absolute(path).map_err(|e| StoreError::io("find", path, e))
    }

    /// The attempt's log, which is appended to: an attempt whose number was never recorded has left its words under the same name.
    pub fn open_log(&self) -> Result<File, StoreError> {
        // One that stays is one too many, and nothing worse.
        let _ = attempt_log::make_place(&self.job, self.attempt);
        open::append(&self.job.attempt_log(self.attempt))
    }

    /// What a trainer's environment holds beside ours.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            (variable::DEVICE, self.device.as_str().into()),
            (variable::THREADS, self.threads.to_string().into()),
            (variable::ATTEMPT, self.attempt.to_string().into()),
            (variable::PRECISION, self.precision.as_str().into()),
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".into()),
        ];
        match &self.cache {
            Some(place) => {
                variables.push((variable::CACHE_DIR, place.folder.clone().into()));
                variables.push((variable::CACHE_GIGABYTES, place.gigabytes().to_string().into()));
            }
            // Empty, since an absent one would mean the usual folder.
            None => variables.push((variable::CACHE_DIR, OsString::new())),
        }
        // Empty hides every GPU, so that a job on the processor never wakes one.
        let visible = match &self.device {
            Device::Cpu => OsString::new(),
            Device::Gpu { uuid } => uuid.into(),
        };
        variables.push(("CUDA_VISIBLE_DEVICES", visible));
        variables
    }
}
