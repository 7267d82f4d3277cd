//! The trainer's own records in a job's folder: who it is, what it runs on, and, last of all, how it ended.

use super::assignment::TrainerAssignment;
use super::device::CUDA_LIBRARY;
use super::shim::{self, CudaGpu};
use neurosearch::domain::job::Ended;
use neurosearch::executor::Identity;
use neurosearch::executor::local::process_identity;
use neurosearch::store::fs::atomic;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::records::job_records::{EndRecord, TrainerRecord};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::records::record;
use std::path::Path;
use std::{fs, io};
use tch::Device;

/// Stands for the device from the start of a trainer to which none was assigned until it has read its options.
const UNDECIDED: &str = "undecided";

/// The record of the job's previous attempt; one that cannot be read counts as none.
pub fn last(job: &JobDir) -> Option<TrainerRecord> {
    record::read(&job.trainer_record()).ok()
}

/// The line in the lock by which a second trainer learns who holds the job, and a daemon which slot is taken, be every record
/// unreadable.
pub fn holder(device: Option<String>) -> io::Result<String> {
    Ok(process_identity::lock_holder(device)?.line())
}

/// Records this attempt, and removes an earlier one's last word first: whoever reads must not take it for this one's.
pub fn begin(job: &JobDir, identity: &Identity, assigned: &TrainerAssignment) -> Result<(), StoreError> {
    atomic::remove(&job.end())?;
    let process = || identity.run().map_err(|e| StoreError::io("name the process in", &job.trainer_record(), e));
    let trainer = TrainerRecord {
        version: TrainerRecord::VERSION,
        run: assigned.run.clone().map_or_else(process, Ok)?,
        device: assigned.device.clone().unwrap_or_else(|| UNDECIDED.to_string()),
        threads: assigned.threads,
        precision: assigned.precision,
        attempt: assigned.attempt,
    };
    record::write(&job.trainer_record(), &trainer)
}

/// Records the device that was chosen where none was assigned: the CPU, or a GPU by its UUID.
pub fn chosen(job: &JobDir, assigned: &TrainerAssignment, gpu: Option<&CudaGpu>, device: Device) -> Result<(), StoreError> {
    if assigned.device.is_some() {
        return Ok(());
    }
    let trainer: TrainerRecord = record::read(&job.trainer_record())?;
    record::write(&job.trainer_record(), &TrainerRecord { device: name(gpu, device), ..trainer })
}

fn name(gpu: Option<&CudaGpu>, device: Device) -> String {
    match (device, gpu) {
        (Device::Cpu, _) => "cpu".to_string(),
        (_, Some(gpu)) => gpu.uuid.clone(),
        (_, None) => "a GPU that the driver does not name".to_string(),
    }
}

/// The trainer's last word; `unread`: the input that the disk did not give.
pub fn end(job: &JobDir, ended: Ended, unread: Option<&Path>, attempt: u32) -> Result<(), StoreError> {
    let unread = unread.map(|file| file.to_string_lossy().into_owned());
    record::write(&job.end(), &EndRecord { version: 1, ended, attempt, unread })
}

/// `environment.txt`: the versions of everything whose change could change a result.
pub fn environment(job: &JobDir, assigned: &TrainerAssignment, gpu: Option<&CudaGpu>, device: Device) -> Result<(), StoreError> {
    let on_gpu = || gpu.map_or_else(|| name(gpu, device), |gpu| format!("{}, {}", gpu.name, gpu.uuid));
    let lines = [
        ("neurosearch", env!("CARGO_PKG_VERSION").to_string()),
        ("libtorch", libtorch().unwrap_or_else(|| "unknown".to_string())),
        ("CUDA", cuda().unwrap_or_else(|| "none".to_string())),
        ("GPU", if device == Device::Cpu { "none".to_string() } else { on_gpu() }),
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

/// The version of CUDA that this libtorch can compute with, whether or not this job does.
///
/// The small set of libraries for machines without a GPU has CUDA's runtime too, because the CPU part links it.
fn cuda() -> Option<String> {
    let part = shim::library_path()?.with_file_name(CUDA_LIBRARY);
    part.exists().then(shim::cuda_version)?.map(version)
}

/// CUDA's version number (13000) as people write it (13.0).
fn version(number: u32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn the_versions_are_those_of_the_libraries_loaded() {
        assert_eq!(libtorch().as_deref(), Some("2.11.0"));
        assert_eq!(version(13_000), "13.0");
        assert_eq!(version(12_080), "12.8");
        let with_cuda = shim::library_path().expect("loaded").with_file_name(CUDA_LIBRARY).exists();
        assert_eq!(cuda().is_some(), with_cuda);
    }

    #[test]
    fn a_trainer_records_the_device_it_was_assigned_or_has_chosen() {
        let gpu = CudaGpu { uuid: "GPU-1a".to_string(), name: "NVIDIA H100".to_string() };
        for (given, device, gpu, recorded, told) in [
            (None, Device::Cpu, None, "cpu", "GPU: none\n"),
            (None, Device::Cuda(0), Some(&gpu), "GPU-1a", "GPU: NVIDIA H100, GPU-1a\n"),
            (Some("GPU-1a"), Device::Cuda(0), Some(&gpu), "GPU-1a", "GPU: NVIDIA H100, GPU-1a\n"),
            (Some("cpu-0"), Device::Cpu, None, "cpu-0", "GPU: none\n"),
        ] {
            let dir = tempdir();
            let job = JobDir::new(dir.path());
            fs::create_dir(job.private()).expect("made");
            let device_given = given.map(str::to_string);
            let assigned = TrainerAssignment {
                device: device_given,
                ..TrainerAssignment::read(|_| None, None).expect("nothing to misread")
            };
            begin(&job, &Identity::own().expect("an identity"), &assigned).expect("written");
            assert_eq!(last(&job).expect("a record").device, given.unwrap_or("undecided"));
            chosen(&job, &assigned, gpu, device).expect("written");
            assert_eq!(last(&job).expect("a record").device, recorded);
            environment(&job, &assigned, gpu, device).expect("written");
            let text = fs::read_to_string(job.environment()).expect("read");
            assert!(text.contains(told), "{text}");
        }
    }
}
