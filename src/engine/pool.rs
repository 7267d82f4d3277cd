//! The slots of this machine's devices: who holds which, and who gets the next one.

use super::fairness::{self, Claimant};
use super::state::{Demand, Lease};
use crate::domain::device::{Device, Need};
use std::collections::BTreeMap;

/// Different jobs in a row that must fail with class `device` before a GPU is drained.
const FAILURES_TO_DRAIN: usize = 3;

/// Why a device that was seen once takes no job now.
const GONE: &str = "it is no longer found on this machine";

/// One device and its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDevice {
    pub need: Need,
    pub slots: u32,
    /// Why it takes no new job: drained by hand or by failures, occupied by other people's processes, or no longer found.
    pub drained: Option<String>,
    pub occupied: Option<String>,
    pub gone: bool,
    /// Different jobs in a row that failed with class `device`.
    pub failures: Vec<String>,
}

impl PoolDevice {
    /// Why it takes no new job, or None if it does.
    pub fn out_of_use(&self) -> Option<&str> {
        self.gone.then_some(GONE).or(self.drained.as_deref()).or(self.occupied.as_deref())
    }
}

/// What `devices::find` saw of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: Device,
    pub need: Need,
    pub slots: u32,
    pub occupied: Option<String>,
}

/// A lent slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent<K> {
    pub device: Device,
    pub search: K,
    pub need: Need,
}

/// Every slot; `K` names a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool<K> {
    pub devices: BTreeMap<Device, PoolDevice>,
    pub lent: BTreeMap<u64, Lent<K>>,
    demands: BTreeMap<K, (Demand, u64)>,
    next_lease: u64,
    served: u64,
    /// Nothing is granted until the live trainers of every search have claimed their slots.
    open: bool,
    /// Somebody asked that nothing new be started.
    pub draining: bool,
    /// Ends the sentence for a job that needs a GPU where there is none; none while that cannot be known.
    no_gpu: Option<String>,
}

/// What the pool asks its actor to tell the searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolEffect<K> {
    Grant { search: K, lease: Lease },
    NoDevice { search: K, need: Need, sentence: String },
    Say(String),
}

impl<K> Default for Pool<K> {
    /// Without any device, and without knowing yet whether there is a GPU.
    fn default() -> Self {
        Pool {
            devices: BTreeMap::new(),
            lent: BTreeMap::new(),
            demands: BTreeMap::new(),
            next_lease: 1,
            served: 0,
            open: false,
            draining: false,
            no_gpu: None,
        }
    }
}

impl<K: Ord + Clone> Pool<K> {
    /// Says anew why there is no GPU and what would help. None: there may be one that cannot be seen now, so jobs wait.
    pub fn set_no_gpu(&mut self, no_gpu: Option<String>) {
        self.no_gpu = no_gpu;
    }

    /// How many slots of a device are lent.
    pub fn busy(&self, device: &Device) -> u32 {
        self.lent.values().filter(|lent| lent.device == *device).count() as u32
    }

    /// Whether slots are lent at all yet.
    pub(super) const fn is_open(&self) -> bool {
        self.open
    }

    /// Every search that ever asked, as the queue for slots sees it.
    pub(super) fn claimants(&self) -> Vec<Claimant<K>> {
        let claimant = |(key, (demand, served)): (&K, &(Demand, u64))| {
            let has = self.lent.values().filter(|lent| lent.search == *key).count() as u32;
            Claimant { key: key.clone(), demand: *demand, has, served: *served }
        };
        self.demands.iter().map(claimant).collect()
    }
}

/// The devices were looked for. A GPU seen once and gone now is kept, out of use: its jobs may still run.
pub fn on_devices<K: Ord + Clone>(pool: &mut Pool<K>, seen: &[Seen]) -> Vec<PoolEffect<K>> {
    let mut effects = Vec::new();
    for (id, device) in &mut pool.devices {
        let gone = !seen.iter().any(|s| s.id == *id);
        if gone && !std::mem::replace(&mut device.gone, gone) {
            effects.push(PoolEffect::Say(format!("device {id}: {GONE}")));
        }
    }
    for s in seen {
        let device = pool.devices.entry(s.id.clone()).or_insert_with(|| PoolDevice {
            need: s.need,
            slots: s.slots,
            drained: None,
            occupied: None,
            gone: false,
            failures: Vec::new(),
        });
        device.slots = s.slots;
        device.occupied.clone_from(&s.occupied);
        device.gone = false;
    }
    effects.extend(grant(pool));
    effects
}

/// Every live trainer has its slot: grants may begin.
pub fn on_open<K: Ord + Clone>(pool: &mut Pool<K>) -> Vec<PoolEffect<K>> {
    pool.open = true;
    grant(pool)
}

/// A search says how many jobs it could start; it replaces what it said before.
pub fn on_demand<K: Ord + Clone>(pool: &mut Pool<K>, search: K, demand: Demand) -> Vec<PoolEffect<K>> {
    let served = pool.demands.get(&search).map_or(0, |(_, served)| *served);
    pool.demands.insert(search, (demand, served));
    grant(pool)
}

/// A live trainer was found on a device: it has its slot, however many others do.
pub fn on_claim<K: Ord + Clone>(pool: &mut Pool<K>, search: K, device: &Device, need: Need) -> Lease {
    lend(pool, search, device.clone(), need)
}

/// A slot is given back; `failed` names the job that the device failed.
pub fn on_release<K: Ord + Clone>(pool: &mut Pool<K>, lease: u64, job: Option<String>, failed: bool) -> Vec<PoolEffect<K>> {
    let Some(lent) = pool.lent.remove(&lease) else { return Vec::new() };
    let mut effects = Vec::new();
    if let (Some(device), Some(job)) = (pool.devices.get_mut(&lent.device), job) {
        if !failed {
            device.failures.clear();
        } else if device.need == Need::Gpu && !device.failures.contains(&job) {
            device.failures.push(job);
            if device.failures.len() >= FAILURES_TO_DRAIN && device.drained.is_none() {
                let why =
                    format!("drained: {FAILURES_TO_DRAIN} different jobs in a row failed on it; restore it when it is mended");
                effects.push(PoolEffect::Say(format!("device {}: {why}", lent.device)));
                device.drained = Some(why);
            }
        }
    }
    effects.extend(grant(pool));
    effects
}

/// A search is gone, with its demand and with every slot that it had, whether it knew of it or not. Its trainers have ended.
pub fn on_search_gone<K: Ord + Clone>(pool: &mut Pool<K>, search: &K) -> Vec<PoolEffect<K>> {
    pool.demands.remove(search);
    pool.lent.retain(|_, lent| lent.search != *search);
    grant(pool)
}

/// Takes a device out of use, or back into it. Gives a sentence for what that does, or None if there is no such device.
pub fn on_drain<K: Ord + Clone>(pool: &mut Pool<K>, id: &Device, drain: bool) -> (Option<String>, Vec<PoolEffect<K>>) {
    let Some(device) = pool.devices.get_mut(id) else { return (None, Vec::new()) };
    device.drained = drain.then(|| "drained by hand; restore it to use it again".to_string());
    device.failures.clear();
    let said = match device.out_of_use() {
        _ if drain => format!("{id} takes no new job; what runs there goes on"),
        None => format!("{id} takes jobs again"),
        // Not in our hands: it is used as soon as that has changed by itself.
        Some(why) => format!("{id} is no longer drained, and is used again by itself when this is over: {why}"),
    };
    (Some(said), grant(pool))
}

/// Nothing new is started anywhere, or is again.
pub fn on_drain_all<K: Ord + Clone>(pool: &mut Pool<K>, drain: bool) -> Vec<PoolEffect<K>> {
    pool.draining = drain;
    grant(pool)
}

fn lend<K: Ord + Clone>(pool: &mut Pool<K>, search: K, device: Device, need: Need) -> Lease {
    let id = pool.next_lease;
    pool.next_lease += 1;
    pool.lent.insert(id, Lent { device: device.clone(), search, need });
    Lease { id, device, need }
}

/// Hands out every slot that is free and wanted.
fn grant<K: Ord + Clone>(pool: &mut Pool<K>) -> Vec<PoolEffect<K>> {
    let mut effects = Vec::new();
    if !pool.open || pool.draining {
        return effects;
    }
    for need in [Need::Cpu, Need::Gpu] {
        if !pool.devices.values().any(|device| device.need == need) {
            effects.extend(refuse(pool, need));
            continue;
        }
        while let Some(device) = free_device(pool, need) {
            let Some(search) = fairness::next(&pool.claimants(), need) else { break };
            pool.served += 1;
            if let Some((demand, served)) = pool.demands.get_mut(&search) {
                *served = pool.served;
                decrement(demand, need);
            }
            let lease = lend(pool, search.clone(), device, need);
            effects.push(PoolEffect::Grant { search, lease });
        }
    }
    effects
}

/// The free device with most slots left, so that jobs spread over the devices.
fn free_device<K: Ord + Clone>(pool: &Pool<K>, need: Need) -> Option<Device> {
    let free = |(id, device): &(&Device, &PoolDevice)| device.slots.saturating_sub(pool.busy(id));
    pool.devices
        .iter()
        .filter(|(_, device)| device.need == need && device.out_of_use().is_none())
        .filter(|entry| free(entry) > 0)
        .max_by_key(|entry| (free(entry), std::cmp::Reverse(entry.0.clone())))
        .map(|(id, _)| id.clone())
}

/// Tells every search that wants a kind of device that this machine lacks. Each asks again when it has dealt with that.
fn refuse<K: Ord + Clone>(pool: &mut Pool<K>, need: Need) -> Vec<PoolEffect<K>> {
    let sentence = match (need, &pool.no_gpu) {
        (Need::Gpu, None) => return Vec::new(),
        (Need::Gpu, Some(why)) => format!("the job needs a GPU (use_cpu is false), and {why}"),
        (Need::Cpu, _) => "the job runs on the CPU (use_cpu is true), and the configuration's devices leave the CPU out; \
                      write devices = \"auto\" or \"cpu\""
            .to_string(),
    };
    let mut effects = Vec::new();
    for (search, (demand, _)) in &mut pool.demands {
        let wanted = match need {
            Need::Cpu => &mut demand.cpu,
            Need::Gpu => &mut demand.gpu,
        };
        if *wanted > 0 {
            *wanted = 0;
            effects.push(PoolEffect::NoDevice { search: search.clone(), need, sentence: sentence.clone() });
        }
    }
    effects
}

fn decrement(demand: &mut Demand, need: Need) {
    match need {
        Need::Cpu => demand.cpu = demand.cpu.saturating_sub(1),
        Need::Gpu => demand.gpu = demand.gpu.saturating_sub(1),
    }
}

/// What a device of this kind is called in a sentence.
pub const fn called(need: Need) -> &'static str {
    match need {
        Need::Cpu => "the CPU",
        Need::Gpu => "a GPU",
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
