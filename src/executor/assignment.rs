//! The assignment of a trainer: its job, device and settings, the same wherever it runs.

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

/// The trainer's environment: its device and settings. If a variable is absent, the job's options and the machine decide.
pub mod variable {
    /// `cpu`, or the UUID of the one GPU.
    pub const DEVICE: &str = "NEUROSEARCH_DEVICE";
    pub const THREADS: &str = "NEUROSEARCH_THREADS";
    pub const ATTEMPT: &str = "NEUROSEARCH_ATTEMPT";
    /// Where trainers share decoded volumes. Empty: nowhere. Absent: the usual folder.
    pub const CACHE_DIR: &str = "NEUROSEARCH_CACHE_DIR";
    /// How many gigabytes that folder may hold.
    pub const CACHE_GIGABYTES: &str = "NEUROSEARCH_CACHE_GIGABYTES";
    /// `fp32`, `tf32` or `bf16`.
    pub const PRECISION: &str = "NEUROSEARCH_PRECISION";
    /// The number of the user whose rights inputs are read with as well. Empty or absent: only this process's own count.
    pub const READS_AS: &str = "NEUROSEARCH_READS_AS";
    /// What runs the trainer, as `trainer.json` names it. If empty or absent, the trainer is a process and names itself.
    pub const RUN: &str = "NEUROSEARCH_RUN";
}

/// One run of one job on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub job: JobDir,
    pub device: Device,
    pub threads: usize,
    /// Counted from 1. Names the run's log and its records.
    pub attempt: u32,
    pub precision: Precision,
    /// None: the trainer decodes volumes for itself.
    pub cache: Option<CachePlace>,
    /// The user who must be able to read the inputs too, where that is not who starts the trainer.
    pub reads_as: Option<u32>,
}

impl Assignment {
    /// The job's folder in the form that a trainer receives.
    pub fn folder(&self) -> Result<PathBuf, StoreError> {
        let path = self.job.path();
        std::path::absolute(path).map_err(|e| StoreError::io("find", path, e))
    }

    /// Opens the attempt's log to append. An attempt whose number was never recorded may have left text under the same name.
    pub fn open_log(&self) -> Result<File, StoreError> {
        // If an old log stays, there is one too many, and nothing worse.
        let _ = attempt_log::make_place(&self.job, self.attempt);
        open::append(&self.job.attempt_log(self.attempt))
    }

    /// Variables that are added to the trainer's environment.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            (variable::DEVICE, self.device.as_str().into()),
            (variable::THREADS, self.threads.to_string().into()),
            (variable::ATTEMPT, self.attempt.to_string().into()),
            (variable::PRECISION, self.precision.as_str().into()),
            // Empty, so that none is inherited.
            (variable::READS_AS, self.reads_as.map_or_else(OsString::new, |uid| uid.to_string().into())),
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".into()),
        ];
        match &self.cache {
            Some(place) => {
                variables.push((variable::CACHE_DIR, place.folder.clone().into()));
                variables.push((variable::CACHE_GIGABYTES, place.gigabytes().to_string().into()));
            }
            // Empty, since an absent variable would mean the usual folder.
            None => variables.push((variable::CACHE_DIR, OsString::new())),
        }
        // Empty hides every GPU, so that a CPU job never wakes one.
        let visible = match &self.device {
            Device::Cpu => OsString::new(),
            Device::Gpu { uuid } => uuid.into(),
        };
        variables.push(("CUDA_VISIBLE_DEVICES", visible));
        variables
    }
}
