//! Lists the GPUs of this machine through the driver: free, or occupied by others.

use super::memory;
use crate::domain::device::{Device, Need};
use crate::executor::found_devices::FoundDevice;
use crate::store::records::record;
use nvml_wrapper::Nvml;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// The environment variable that names a file to read in place of the driver: a JSON list of [`Gpu`].
pub const VARIABLE: &str = "NEUROSEARCH_GPU_LISTING";

/// A GPU counts as occupied if more memory than this is in use and no visible process explains it. In a container the driver
/// hides the processes of other containers. A driver's own overhead is below it.
const UNEXPLAINED: u64 = 1 << 30;

/// One GPU and who computes on it. Memory in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Position in the order of PCI buses, as `nvidia-smi` numbers it.
    pub index: u32,
    #[serde(rename = "uuid")]
    pub device: Device,
    pub name: String,
    pub memory_total: u64,
    pub memory_free: u64,
    /// Share of the last moments in which it computed, in percent. `None` if the driver cannot tell.
    #[serde(default)]
    pub utilization: Option<u32>,
    /// Processes that compute on it. Displays do not count.
    #[serde(default)]
    pub processes: Vec<GpuProcess>,
}

/// A process that computes on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuProcess {
    pub pid: u32,
    /// Bytes. `None` if the driver cannot tell.
    #[serde(default)]
    pub memory: Option<u64>,
}

/// Why a GPU is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occupied {
    /// These processes use it, and they are not our trainers.
    Processes(Vec<u32>),
    /// Something that the driver does not show uses this many bytes.
    Unseen { memory: u64 },
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Occupied::Processes(pids) => write!(f, "process {}", list(pids)),
            Occupied::Unseen { memory } => write!(f, "{} MiB in use", memory >> 20),
        }
    }
}

impl Occupied {
    /// The reason as a sentence of the daemon, which starts nothing there.
    fn left_alone(&self) -> String {
        match self {
            Occupied::Processes(pids) => format!("left alone: other people's processes compute on it (pid {})", list(pids)),
            Occupied::Unseen { memory } => format!("left alone: somebody unseen uses {} MiB of it", memory >> 20),
        }
    }
}

fn list(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

impl Gpu {
    /// The device in the form that every executor reports. `ours` as in [`Gpu::occupied`].
    pub fn found(&self, ours: impl Fn(u32) -> bool) -> FoundDevice {
        FoundDevice {
            id: self.device.clone(),
            need: Need::Gpu,
            slots: None,
            occupied: self.occupied(ours).map(|who| who.left_alone()),
            index: Some(self.index),
            name: self.name.clone(),
            memory_total: Some(self.memory_total),
            memory_free: Some(self.memory_free),
            utilization: self.utilization,
        }
    }

    /// Who else computes on it. `None` if it is free. `ours` recognises our trainers by pid.
    pub fn occupied(&self, ours: impl Fn(u32) -> bool) -> Option<Occupied> {
        let foreign: Vec<u32> = self.processes.iter().map(|p| p.pid).filter(|&pid| !ours(pid)).collect();
        if !foreign.is_empty() {
            return Some(Occupied::Processes(foreign));
        }
        // If a trainer of ours is on it, its usage cannot be told from that of an unseen process.
        let memory = self.memory_total.saturating_sub(self.memory_free);
        (self.processes.is_empty() && memory > UNEXPLAINED).then_some(Occupied::Unseen { memory })
    }
}

/// The GPUs found, and what prevented finding others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GpuList {
    pub gpus: Vec<Gpu>,
    /// One sentence if the list is missing or incomplete. A machine without a driver is no problem.
    pub problem: Option<String>,
}

impl GpuList {
    /// The GPUs that `CUDA_VISIBLE_DEVICES` allows, in its order: positions, or UUIDs and beginnings of them, parted by
    /// commas; as CUDA does, the list ends at the first entry that names no GPU.
    pub fn visible(&self, variable: &str) -> Vec<&Gpu> {
        let named = |entry: &str| {
            let entry = entry.trim();
            let by_index = entry.parse().ok().and_then(|index: u32| self.gpus.iter().find(|gpu| gpu.index == index));
            by_index.or_else(|| self.gpus.iter().find(|gpu| entry.starts_with("GPU-") && gpu.device.as_str().starts_with(entry)))
        };
        variable.split(',').map_while(named).collect()
    }
}

/// Where the listing comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuSource {
    /// NVML, loaded at run time.
    Driver,
    /// A file in place of the driver.
    File(PathBuf),
}

impl GpuSource {
    /// The file that `NEUROSEARCH_GPU_LISTING` names, else the driver.
    pub fn from_environment() -> Self {
        match std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => GpuSource::File(PathBuf::from(path)),
            None => GpuSource::Driver,
        }
    }

    /// The GPUs as they are now. Takes some milliseconds, more on the first call.
    pub fn list(&self) -> GpuList {
        match self {
            GpuSource::Driver => from_driver(),
            GpuSource::File(path) => match record::read_json::<Vec<Gpu>>(path) {
                Ok(gpus) => GpuList { gpus, problem: None },
                Err(e) => GpuList { gpus: Vec::new(), problem: Some(format!("{VARIABLE}: {e}")) },
            },
        }
    }
}

/// Bytes that one more job may take on the device: a GPU's free memory, or one slot's share of the machine's. `None` if unknown.
pub fn room(device: &Device, cpu_slots: u32) -> Option<u64> {
    match device {
        Device::Cpu => memory::available().map(|bytes| bytes / u64::from(cpu_slots.max(1))),
        Device::Gpu { .. } => find().gpus.into_iter().find(|gpu| gpu.device == *device).map(|gpu| gpu.memory_free),
    }
}

/// The GPUs of this machine as they are now.
pub fn find() -> GpuList {
    GpuSource::from_environment().list()
}

fn from_driver() -> GpuList {
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        // No driver is installed, or it has no device: a machine without GPUs.
        Err(NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded) => {
            return GpuList::default();
        }
        Err(e) => return GpuList { gpus: Vec::new(), problem: Some(format!("the NVIDIA driver does not answer: {e}")) },
    };
    let count = match nvml.device_count() {
        Ok(count) => count,
        Err(e) => return GpuList { gpus: Vec::new(), problem: Some(format!("the NVIDIA driver does not count its GPUs: {e}")) },
    };
    let mut listing = GpuList::default();
    for index in 0..count {
        match describe(&nvml, index) {
            Ok(gpu) => listing.gpus.push(gpu),
            Err(e) => listing.problem = Some(format!("GPU {index} does not answer: {e}")),
        }
    }
    listing
}

fn describe(nvml: &Nvml, index: u32) -> Result<Gpu, Box<dyn Error>> {
    let gpu = nvml.device_by_index(index)?;
    let device = Device::gpu(&gpu.uuid()?)?;
    let memory = gpu.memory_info()?;
    let processes = gpu.running_compute_processes()?.into_iter().map(|process| GpuProcess {
        pid: process.pid,
        memory: match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
    });
    Ok(Gpu {
        index,
        device,
        name: gpu.name()?,
        memory_total: memory.total,
        memory_free: memory.free,
        utilization: gpu.utilization_rates().ok().map(|rates| rates.gpu),
        processes: processes.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn gpu(pids: &[u32], used: u64) -> Gpu {
        let processes = pids.iter().map(|&pid| GpuProcess { pid, memory: None }).collect();
        let total = 80 << 30;
        let (device, name) = (Device::gpu("GPU-1a").expect("a GPU"), "NVIDIA H100".to_string());
        Gpu { index: 0, device, name, memory_total: total, memory_free: total - used, utilization: None, processes }
    }

    #[test]
    fn a_gpu_with_a_foreign_process_is_occupied_and_one_with_ours_alone_is_not() {
        assert_eq!(gpu(&[7, 8], 0).occupied(|pid| pid == 7), Some(Occupied::Processes(vec![8])));
        assert_eq!(gpu(&[7], 60 << 30).occupied(|pid| pid == 7), None);
        assert_eq!(gpu(&[], 500 << 20).occupied(|_| false), None);
    }

    #[test]
    fn much_memory_in_use_by_nobody_visible_is_somebody_elses() {
        assert_eq!(gpu(&[], 2 << 30).occupied(|_| false), Some(Occupied::Unseen { memory: 2 << 30 }));
    }

    #[test]
    fn a_stand_in_listing_comes_from_its_file_and_a_bad_one_is_named() {
        let dir = tempdir();
        let path = dir.path().join("gpus.json");
        std::fs::write(
            &path,
            r#"[{"index":0,"uuid":"GPU-1a","name":"T4","memory_total":16,"memory_free":15,"processes":[{"pid":3}]}]"#,
        )
        .expect("written");
        let listing = GpuSource::File(path.clone()).list();
        assert_eq!((listing.gpus.len(), listing.problem), (1, None));
        assert_eq!(Some(&listing.gpus[0].device), Device::gpu("GPU-1a").ok().as_ref());
        std::fs::write(&path, "[{}]").expect("written");
        let problem = GpuSource::File(path).list().problem.expect("a problem");
        assert!(problem.contains("gpus.json") && problem.contains(VARIABLE), "{problem}");
    }

    #[test]
    fn the_usual_variable_chooses_gpus_by_position_or_by_the_beginning_of_a_uuid() {
        let other = Gpu { index: 1, device: Device::gpu("GPU-2b").expect("a GPU"), ..gpu(&[], 0) };
        let listing = GpuList { gpus: vec![gpu(&[], 0), other], problem: None };
        let chosen = |variable| listing.visible(variable).iter().map(|gpu| gpu.index).collect::<Vec<_>>();
        assert_eq!(chosen("1, 0"), [1, 0]);
        assert_eq!(chosen("GPU-2"), [1]);
        assert_eq!(chosen("0,7,1"), [0]);
        assert_eq!((chosen(""), chosen("-1"), chosen("NoDevFiles")), (vec![], vec![], vec![]));
    }

    #[test]
    fn the_driver_of_this_machine_or_its_absence_is_no_panic() {
        let listing = GpuSource::Driver.list();
        assert!(listing.gpus.iter().all(|gpu| gpu.device != Device::Cpu), "{listing:?}");
    }
}
