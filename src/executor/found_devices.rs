//! The devices that an executor can run trainers on.

use crate::domain::device::{Device, Need};

/// One device as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDevice {
    pub id: Device,
    pub need: Need,
    /// How many jobs it takes at once. `None` if the configuration decides.
    pub slots: Option<u32>,
    /// Why it takes no job now: others use it. `None` if it is free.
    pub occupied: Option<String>,
    /// Position in the order of PCI buses, as `nvidia-smi` numbers GPUs. `None` for the CPU.
    pub index: Option<u32>,
    /// The model.
    pub name: String,
    /// Bytes.
    pub memory_total: Option<u64>,
    pub memory_free: Option<u64>,
    /// Share of the last moments in which it computed, in percent. `None` if unknown.
    pub utilization: Option<u32>,
}

impl FoundDevice {
    /// The CPU, with as many slots as the configuration says.
    pub fn cpu() -> Self {
        FoundDevice {
            id: Device::Cpu,
            need: Need::Cpu,
            slots: None,
            occupied: None,
            index: None,
            name: "CPU".to_string(),
            memory_total: None,
            memory_free: None,
            utilization: None,
        }
    }
}

/// The devices found, and what prevented finding others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoundDevices {
    pub devices: Vec<FoundDevice>,
    /// One sentence if not every device could be found.
    pub problem: Option<String>,
}

impl FoundDevices {
    pub fn get(&self, id: &Device) -> Option<&FoundDevice> {
        self.devices.iter().find(|device| device.id == *id)
    }

    pub fn has_gpu(&self) -> bool {
        self.devices.iter().any(|device| device.need == Need::Gpu)
    }
}
