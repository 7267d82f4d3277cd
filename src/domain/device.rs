//! The name of what a job runs on, as the trainer's environment and every record spell it.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// The processor, or one GPU. Written as `cpu`, or as the GPU's UUID (`GPU-…` or `MIG-…`, as the driver gives it).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    Cpu,
    Gpu { uuid: String },
}

/// Neither `cpu` nor the UUID of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a device: it is `cpu`, or the UUID of a GPU as `nvidia-smi -L` prints it (GPU-...)")]
pub struct BadDevice(pub String);

impl Device {
    /// A GPU by its UUID: at most 100 letters, digits and `-`, beginning with `GPU-` or `MIG-`.
    pub fn gpu(uuid: &str) -> Result<Self, BadDevice> {
        let named = uuid.starts_with("GPU-") || uuid.starts_with("MIG-");
        let plain = uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'/');
        if named && plain && uuid.len() <= 100 {
            Ok(Device::Gpu { uuid: uuid.to_string() })
        } else {
            Err(BadDevice(uuid.to_string()))
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Device::Cpu => "cpu",
            Device::Gpu { uuid } => uuid,
        }
    }
}

/// The kind of device a job may run on: `use_cpu` jobs on the CPU, all others on a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    #[default]
    Cpu,
    Gpu,
}

impl Need {
    /// What the option `use_cpu` asks for.
    pub const fn of(use_cpu: bool) -> Self {
        if use_cpu { Need::Cpu } else { Need::Gpu }
    }
}

/// Who holds a job, as far as this machine can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// Another machine; or nobody can know, and it is no trainer here: none of this machine's slots is used.
    Elsewhere,
    /// A trainer of this machine, or perhaps so; on this device, where it says so.
    Here(Option<Device>),
}

impl Ord for Device {
    /// By name: the order in which devices are listed.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Device {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Device {
    type Error = BadDevice;

    fn try_from(name: String) -> Result<Self, BadDevice> {
        if name == "cpu" { Ok(Device::Cpu) } else { Device::gpu(&name) }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.as_str().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_reads_back_from_its_own_name_and_nothing_else_is_one() {
        for name in ["cpu", "GPU-8f5dc1a2-0c3e-4e0a-9d4b-0123456789ab", "MIG-GPU-8f5dc1a2/1/0"] {
            assert_eq!(Device::try_from(name.to_string()).map(|d| d.to_string()), Ok(name.to_string()));
        }
        for bad in ["", "CPU", "0", "cuda:0", "GPU-a,GPU-b", "GPU-\n"] {
            assert!(Device::try_from(bad.to_string()).is_err(), "{bad:?}");
        }
    }
}
