//! The actor that lends slots on individual GPUs, or the CPU, to the searches.

use super::context::Services;
use super::messages::{Granted, NoDevice};
use crate::control::reply;
use crate::domain::device::{Device, Need};
use crate::engine::device_names::{Named, choose};
use crate::engine::pool::{self, Pool, PoolEffect, Seen};
use crate::engine::state::{Demand, Lease};
use crate::engine::why_waiting;
use crate::executor::found_devices::{FoundDevice, FoundDevices};
use crate::store::records::layout::LaunchDir;
use crate::store::settings;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Recipient, WrapFuture};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

/// How often the GPUs are checked on a machine that has any.
const LOOK: Duration = Duration::from_secs(10);

/// Every device of this machine.
pub struct Devices {
    services: Services,
    pool: Pool<LaunchDir>,
    searches: BTreeMap<LaunchDir, Enlist>,
    found: FoundDevices,
    /// The models of all GPUs ever seen.
    names: BTreeMap<Device, String>,
    /// Slots are granted only once the devices are known and every live trainer has claimed its slot.
    known: bool,
    claimed: bool,
}

/// A search exists and may ask for slots.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enlist {
    pub search: LaunchDir,
    pub granted: Recipient<Granted>,
    pub no_device: Recipient<NoDevice>,
}

/// A search is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Delist(pub LaunchDir);

/// The jobs that a search could start now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Demanded {
    pub search: LaunchDir,
    pub demand: Demand,
}

/// A live trainer was found on a device.
#[derive(Message)]
#[rtype(result = "Lease")]
pub struct Claim {
    pub search: LaunchDir,
    pub device: Device,
    pub need: Need,
}

/// A slot is given back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Released {
    pub lease: u64,
    /// The job that used it. `None` if no job did.
    pub job: Option<String>,
    /// The job failed with class `device`.
    pub failed: bool,
}

/// Every live trainer has claimed its slot.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Open;

/// Drain the device that this text names, or restore it. The answer is one sentence either way.
#[derive(Message)]
#[rtype(result = "Result<String, String>")]
pub struct DrainDevice {
    pub device: String,
    pub drain: bool,
}

/// Start nothing new on the whole machine, or start again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DrainAll(pub bool);

/// Why a search gets no slot of this kind right now, the strongest reason first. Empty if a slot is on its way.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
pub struct WhyNoSlot {
    pub search: LaunchDir,
    pub need: Need,
}

/// What `status` shows of the devices, and their problems.
#[derive(Message)]
#[rtype(result = "(Vec<reply::Device>, Vec<String>)")]
pub struct Describe;

impl Devices {
    pub fn new(services: Services) -> Self {
        Devices {
            pool: Pool::default(),
            services,
            searches: BTreeMap::new(),
            found: FoundDevices::default(),
            names: BTreeMap::from([(Device::Cpu, FoundDevice::cpu().name)]),
            known: false,
            claimed: false,
        }
    }

    /// Looks for the devices on another thread, and again after a while.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let wants_gpus = self.services.settings().devices != settings::DeviceChoice::Cpu;
        let executor = self.services.executor.clone();
        let work = spawn_blocking(move || executor.devices(wants_gpus));
        ctx.spawn(work.into_actor(self).map(|found, this, ctx| {
            if let Ok(found) = found {
                this.on_found(found);
            }
            let rescan = Duration::from_secs(this.services.settings().rescan_seconds);
            let pause = if this.found.has_gpu() { LOOK } else { rescan };
            ctx.run_later(pause, |this, ctx| this.look(ctx));
        }));
    }

    fn on_found(&mut self, found: FoundDevices) {
        if let Some(problem) = &found.problem
            && self.found.problem.as_ref() != Some(problem)
        {
            warn!(problem = problem.as_str(), "the GPUs could not all be listed");
        }
        self.names.extend(found.devices.iter().map(|device| (device.id.clone(), device.name.clone())));
        self.found = found;
        self.pool.set_no_gpu(self.no_gpu());
        let seen = self.seen();
        let effects = pool::on_devices(&mut self.pool, &seen);
        self.perform(effects);
        self.known = true;
        self.open();
    }

    fn open(&mut self) {
        if self.known && self.claimed {
            let effects = pool::on_open(&mut self.pool);
            self.perform(effects);
        }
    }

    /// The devices found on which the configuration lets jobs run.
    fn seen(&self) -> Vec<Seen> {
        let settings = self.services.settings();
        let chosen = |device: &&FoundDevice| match (&settings.devices, device.need) {
            (settings::DeviceChoice::Only(list), _) => list.contains(&device.id),
            (settings::DeviceChoice::Auto, Need::Gpu) => !settings.exclude_devices.contains(&device.id),
            (settings::DeviceChoice::Auto | settings::DeviceChoice::Cpu, Need::Cpu) => true,
            (settings::DeviceChoice::Cpu, Need::Gpu) => false,
        };
        let seen = |device: &FoundDevice| {
            let usual = || match device.need {
                Need::Cpu => self.services.cpu_slots(),
                Need::Gpu => settings.slots_per_device,
            };
            let slots = device.slots.unwrap_or_else(usual);
            Seen { id: device.id.clone(), need: device.need, slots, occupied: device.occupied.clone() }
        };
        self.found.devices.iter().filter(chosen).map(seen).collect()
    }

    /// Ends the sentence about a job that needs a GPU when there is none. `None` if the driver did not list every GPU.
    fn no_gpu(&self) -> Option<String> {
        const CURE: &str = "to train on the CPU, set use_cpu to true in random_search.json, and remove the folders of the jobs that were \
                            drawn before: they are drawn anew then";
        match (&self.services.settings().devices, &self.found.problem) {
            (settings::DeviceChoice::Cpu, _) => Some(format!("the daemon's configuration says devices = \"cpu\"; {CURE}")),
            (_, Some(_)) => None,
            (settings::DeviceChoice::Only(_), None) => {
                Some(format!("none of the GPUs in the configuration's devices is here; {CURE}"))
            }
            (settings::DeviceChoice::Auto, None) => Some(format!("this machine has no GPU that the daemon may use; {CURE}")),
        }
    }

    fn perform(&mut self, effects: Vec<PoolEffect<LaunchDir>>) {
        for effect in effects {
            match effect {
                PoolEffect::Grant { search, lease } => match self.searches.get(&search) {
                    // Never lost, and never unbounded: a search gets no more grants than it asked for.
                    Some(enlisted) => enlisted.granted.do_send(Granted(lease)),
                    None => drop(pool::on_release(&mut self.pool, lease.id, None, false)),
                },
                PoolEffect::NoDevice { search, need, sentence } => {
                    if let Some(enlisted) = self.searches.get(&search) {
                        enlisted.no_device.do_send(NoDevice { need, sentence });
                    }
                }
                PoolEffect::Say(text) => info!(text = text.as_str(), "devices"),
            }
        }
    }

    /// The model. A missing GPU keeps the name it had.
    fn name(&self, id: &Device) -> String {
        self.names.get(id).cloned().unwrap_or_default()
    }

    /// The GPUs that the configuration lists and this machine lacks.
    fn absent(&self) -> Vec<String> {
        let settings = self.services.settings();
        let settings::DeviceChoice::Only(list) = &settings.devices else { return Vec::new() };
        let absent = list.iter().filter(|id| self.known && self.found.get(id).is_none());
        let sentence = |id: &Device| {
            format!("the configuration's devices lists {id}, which is not found on this machine; `nvidia-smi -L` shows what is")
        };
        absent.map(sentence).collect()
    }

    fn describe(&self) -> Vec<reply::Device> {
        let describe = |(id, device): (&Device, &pool::PoolDevice)| {
            let found = self.found.get(id);
            reply::Device {
                id: id.to_string(),
                index: found.and_then(|found| found.index),
                name: self.name(id),
                slots: device.slots,
                busy: self.pool.busy(id),
                memory_total: found.and_then(|found| found.memory_total),
                memory_free: found.and_then(|found| found.memory_free),
                utilization: found.and_then(|found| found.utilization),
                out_of_use: device.out_of_use().map(str::to_string),
            }
        };
        self.pool.devices.iter().map(describe).collect()
    }
}

impl Actor for Devices {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
    }
}

impl Handler<Enlist> for Devices {
    type Result = ();
    fn handle(&mut self, msg: Enlist, _: &mut Self::Context) {
        self.searches.insert(msg.search.clone(), msg);
    }
}

impl Handler<Delist> for Devices {
    type Result = ();
    fn handle(&mut self, Delist(search): Delist, _: &mut Self::Context) {
        self.searches.remove(&search);
        let effects = pool::on_search_gone(&mut self.pool, &search);
        self.perform(effects);
    }
}

impl Handler<Demanded> for Devices {
    type Result = ();
    fn handle(&mut self, msg: Demanded, _: &mut Self::Context) {
        let effects = pool::on_demand(&mut self.pool, msg.search, msg.demand);
        self.perform(effects);
    }
}

impl Handler<Claim> for Devices {
    type Result = MessageResult<Claim>;
    fn handle(&mut self, msg: Claim, _: &mut Self::Context) -> Self::Result {
        MessageResult(pool::on_claim(&mut self.pool, msg.search, &msg.device, msg.need))
    }
}

impl Handler<Released> for Devices {
    type Result = ();
    fn handle(&mut self, msg: Released, _: &mut Self::Context) {
        let effects = pool::on_release(&mut self.pool, msg.lease, msg.job, msg.failed);
        self.perform(effects);
    }
}

impl Handler<Open> for Devices {
    type Result = ();
    fn handle(&mut self, _: Open, _: &mut Self::Context) {
        self.claimed = true;
        self.open();
    }
}

impl Handler<DrainDevice> for Devices {
    type Result = Result<String, String>;
    fn handle(&mut self, msg: DrainDevice, _: &mut Self::Context) -> Self::Result {
        let named =
            |id: &Device| Named { id: id.clone(), index: self.found.get(id).and_then(|found| found.index), name: self.name(id) };
        let named: Vec<Named> = self.pool.devices.keys().map(named).collect();
        let (said, effects) = pool::on_drain(&mut self.pool, choose(&named, &msg.device)?, msg.drain);
        self.perform(effects);
        said.ok_or_else(|| format!("there is no device {:?}", msg.device))
    }
}

impl Handler<DrainAll> for Devices {
    type Result = ();
    fn handle(&mut self, DrainAll(drain): DrainAll, _: &mut Self::Context) {
        let effects = pool::on_drain_all(&mut self.pool, drain);
        self.perform(effects);
    }
}

impl Handler<WhyNoSlot> for Devices {
    type Result = Vec<String>;
    fn handle(&mut self, msg: WhyNoSlot, _: &mut Self::Context) -> Vec<String> {
        why_waiting::reasons(&self.pool, &msg.search, msg.need)
    }
}

impl Handler<Describe> for Devices {
    type Result = MessageResult<Describe>;
    fn handle(&mut self, _: Describe, _: &mut Self::Context) -> Self::Result {
        let waits = if self.found.has_gpu() { "" } else { "; jobs that need a GPU wait until that is mended" };
        let mut alarms: Vec<String> = self.found.problem.iter().map(|problem| format!("{problem}{waits}")).collect();
        alarms.extend(self.absent());
        if self.pool.draining {
            alarms.push("nothing new is started, as was asked; `neurosearch resume` ends that".to_string());
        }
        MessageResult((self.describe(), alarms))
    }
}
