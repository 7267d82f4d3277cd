//! The trainer's own records in a job's folder: who it is, what it runs on, and, last of all, how it ended.

use crate::assigned::Assigned;
use crate::shim;
use neurosearch::domain::job::Ended;
use neurosearch::process::Identity;
use neurosearch::store::error::StoreError;
use neurosearch::store::job::{EndRecord, TrainerRecord};
use neurosearch::store::layout::JobDir;
use neurosearch::store::{atomic, record};
use std::fs;
use std::path::Path;

const VERSION: u32 = 1;

/// The record of the job's previous attempt; one that cannot be read counts as none.
pub fn last(job: &JobDir) -> Option<TrainerRecord> {
    record::read(&job.trainer_record()).ok()
}

/// The line in the lock by which a second trainer learns who holds the job.
pub fn holder(identity: &Identity, host: &str) -> String {
    serde_json::json!({ "host": host, "pid": identity.pid, "boot_id": identity.boot_id }).to_string()
}

/// Records this attempt, and removes an earlier one's last word first: whoever reads must not take it for this one's.
pub fn begin(job: &JobDir, identity: &Identity, assigned: &Assigned) -> Result<(), StoreError> {
    atomic::remove_file(&job.end())?;
    let trainer = TrainerRecord {
        version: VERSION,
        pid: identity.pid,
        start_time: identity.start_time,
        boot_id: identity.boot_id.clone(),
        host: assigned.host.clone(),
        device: assigned.device.clone().unwrap_or_else(|| "cpu".to_string()),
        threads: assigned.threads,
        precision: assigned.precision,
        attempt: assigned.attempt,
    };
    record::write(&job.trainer_record(), &trainer)
}

/// The trainer's last word.
pub fn end(job: &JobDir, ended: Ended, attempt: u32) -> Result<(), StoreError> {
    record::write(&job.end(), &EndRecord { version: VERSION, ended, attempt })
}

/// `environment.txt`: the versions of everything whose change could change a result.
pub fn environment(job: &JobDir, assigned: &Assigned, device: tch::Device) -> Result<(), StoreError> {
    let cuda = if device.is_cuda() { version(tch::utils::version_cudart()) } else { "none".to_string() };
    let gpu = if device.is_cuda() {
        assigned.device.clone().unwrap_or_else(|| "the first visible".to_string())
    } else {
        "none".to_string()
    };
    let lines = [
        ("neurosearch", env!("CARGO_PKG_VERSION").to_string()),
        ("libtorch", libtorch().unwrap_or_else(|| "unknown".to_string())),
        ("CUDA", cuda),
        ("GPU", gpu),
        ("threads", assigned.threads.to_string()),
        ("precision", assigned.precision.to_string()),
        ("host", assigned.host.clone()),
        ("kernel", rustix::system::uname().release().to_string_lossy().into_owned()),
        ("architecture", std::env::consts::ARCH.to_string()),
    ];
    let text: String = lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    atomic::replace(&job.environment(), text.as_bytes())
}

/// libtorch's version, from the file beside its libraries.
fn libtorch() -> Option<String> {
    let libraries = shim::library_path()?.parent().map(Path::to_path_buf)?;
    let version = fs::read_to_string(libraries.parent()?.join("build-version")).ok()?;
    Some(version.trim().to_string()).filter(|version| !version.is_empty())
}

/// CUDA's version number (13000) as people write it (13.0).
fn version(number: i64) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_libraries_loaded() {
        assert_eq!(libtorch().as_deref(), Some("2.11.0"));
        assert_eq!(version(13_000), "13.0");
        assert_eq!(version(12_080), "12.8");
    }
}
