//! The context that every actor receives: settings, identity and executor.

use super::blocking::Workshop;
use super::configuration::Configuration;
use super::logging::Filter;
use crate::control::reply::Daemon;
use crate::executor::Executor;
use crate::executor::local::{cpu, process_identity};
use crate::store::settings::{DeviceChoice, Settings};
use crate::store::system::now;
use std::io;
use std::sync::Arc;

/// Cheap to clone; everything in it is shared.
#[derive(Debug, Clone)]
pub struct Services {
    pub configuration: Configuration,
    pub log: Filter,
    pub daemon: Arc<Daemon>,
    /// What is written into the locks we hold: host, pid and boot id as one line of JSON.
    pub holder: Arc<str>,
    /// What runs the trainers.
    pub executor: Arc<dyn Executor>,
    /// Runs work that may block.
    pub workshop: Workshop,
}

impl Services {
    /// For this process, with this configuration.
    pub fn new(configuration: Configuration, log: Filter, executor: Arc<dyn Executor>) -> io::Result<Self> {
        let holder = process_identity::lock_holder(None)?;
        let program = format!("neurosearchd {}", env!("CARGO_PKG_VERSION"));
        Ok(Services {
            configuration,
            log,
            holder: holder.line().into(),
            daemon: Arc::new(Daemon { program, pid: holder.pid, host: holder.host, started_at: now() }),
            executor,
            workshop: Workshop::default(),
        })
    }

    /// The current settings.
    pub fn settings(&self) -> Arc<Settings> {
        self.configuration.settings()
    }

    /// How many jobs the CPU takes at once.
    pub fn cpu_slots(&self) -> u32 {
        let settings = self.settings();
        match &settings.devices {
            DeviceChoice::Cpu => settings.slots_per_device,
            DeviceChoice::Auto | DeviceChoice::Only(_) => 1,
        }
    }

    /// Threads of one trainer.
    pub fn threads(&self) -> usize {
        cpu::threads_per_slot(self.cpu_slots() as usize)
    }
}
