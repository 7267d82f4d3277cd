//! The slots of this machine's devices: who holds which, and who gets the next one.

use super::fair::{self, Claimant};
use super::state::{Demand, Lease, Need};
use std::collections::BTreeMap;

/// Different jobs in a row that must fail with class `device` before a GPU is drained.
const FAILURES_TO_DRAIN: usize = 3;

/// One device and its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub need: Need,
    pub slots: u32,
    /// Why it takes no new job: drained by hand or by failures, gone, or occupied by other people's processes.
    pub drained: Option<String>,
    pub occupied: Option<String>,
    /// Different jobs in a row that failed with class `device`.
    pub failures: Vec<String>,
}

/// What `devices::find` saw of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub need: Need,
    pub slots: u32,
    pub occupied: Option<String>,
}

/// A lent slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lent<K> {
    pub device: String,
    pub search: K,
    pub need: Need,
}

/// Every slot; `K` names a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool<K> {
    pub devices: BTreeMap<String, Device>,
    pub lent: BTreeMap<u64, Lent<K>>,
    demands: BTreeMap<K, (Demand, u64)>,
    next_lease: u64,
    served: u64,
    /// Nothing is granted until the live trainers of every search have claimed their slots.
    open: bool,
    /// Somebody asked that nothing new be started.
    pub draining: bool,
    /// Ends the sentence for a job that needs a GPU where there is none.
    no_gpu: String,
}

/// What the pool asks its actor to tell the searches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolEffect<K> {
    Grant { search: K, lease: Lease },
    NoDevice { search: K, need: Need, sentence: String },
    Say(String),
}

impl<K: Ord + Clone> Pool<K> {
    /// `no_gpu` says why there is no GPU and what would help.
    pub fn new(no_gpu: String) -> Self {
        Pool {
            devices: BTreeMap::new(),
            lent: BTreeMap::new(),
            demands: BTreeMap::new(),
            next_lease: 1,
            served: 0,
            open: false,
            draining: false,
            no_gpu,
        }
    }

    /// Says anew why there is no GPU and what would help.
    pub fn set_no_gpu(&mut self, no_gpu: String) {
        self.no_gpu = no_gpu;
    }

    /// How many slots of a device are lent.
    pub fn busy(&self, device: &str) -> u32 {
        self.lent.values().filter(|lent| lent.device == device).count() as u32
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

/// The devices were looked for. A GPU seen once and gone now is kept as drained: its jobs may still run.
pub fn on_devices<K: Ord + Clone>(pool: &mut Pool<K>, seen: &[Seen]) -> Vec<PoolEffect<K>> {
    const GONE: &str = "it is no longer found";
    let mut effects = Vec::new();
    for (id, device) in &mut pool.devices {
        if device.drained.is_none() && !seen.iter().any(|s| s.id == *id) {
            device.drained = Some(GONE.to_string());
            effects.push(PoolEffect::Say(format!("device {id}: {GONE}")));
        }
    }
    for s in seen {
        let device = pool.devices.entry(s.id.clone()).or_insert_with(|| Device {
            need: s.need,
            slots: s.slots,
            drained: None,
            occupied: None,
            failures: Vec::new(),
        });
        device.slots = s.slots;
        device.occupied.clone_from(&s.occupied);
        if device.drained.as_deref() == Some(GONE) {
            device.drained = None;
        }
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
pub fn on_claim<K: Ord + Clone>(pool: &mut Pool<K>, search: K, device: &str, need: Need) -> Lease {
    lend(pool, search, device.to_string(), need)
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

/// A search is gone, with its demand.
pub fn on_search_gone<K: Ord + Clone>(pool: &mut Pool<K>, search: &K) {
    pool.demands.remove(search);
}

/// Takes a device out of use, or back into it; false where there is no such device.
pub fn on_drain<K: Ord + Clone>(pool: &mut Pool<K>, device: &str, drain: bool) -> (bool, Vec<PoolEffect<K>>) {
    let Some(device) = pool.devices.get_mut(device) else { return (false, Vec::new()) };
    device.drained = drain.then(|| "drained by hand; restore it to use it again".to_string());
    device.failures.clear();
    (true, grant(pool))
}

/// Nothing new is started anywhere, or is again.
pub fn on_drain_all<K: Ord + Clone>(pool: &mut Pool<K>, drain: bool) -> Vec<PoolEffect<K>> {
    pool.draining = drain;
    grant(pool)
}

fn lend<K: Ord + Clone>(pool: &mut Pool<K>, search: K, device: String, need: Need) -> Lease {
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
            let Some(search) = fair::next(&pool.claimants(), need) else { break };
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
fn free_device<K: Ord + Clone>(pool: &Pool<K>, need: Need) -> Option<String> {
    let free = |(id, device): &(&String, &Device)| device.slots.saturating_sub(pool.busy(id));
    pool.devices
        .iter()
        .filter(|(_, device)| device.need == need && device.drained.is_none() && device.occupied.is_none())
        .filter(|entry| free(entry) > 0)
        .max_by_key(|entry| (free(entry), std::cmp::Reverse(entry.0.clone())))
        .map(|(id, _)| id.clone())
}

/// Tells every search that wants a kind of device of which there is none; each asks again when it has dealt with that.
fn refuse<K: Ord + Clone>(pool: &mut Pool<K>, need: Need) -> Vec<PoolEffect<K>> {
    let sentence = match need {
        Need::Gpu => format!("the job needs a GPU (use_cpu is false), and {}", pool.no_gpu),
        Need::Cpu => "the job runs on the CPU (use_cpu is true), and the configuration's devices leave the CPU out; \
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
mod tests {
    use super::*;

    const GPU: &str = "GPU-1";

    fn seen(id: &str, need: Need, slots: u32) -> Seen {
        Seen { id: id.into(), need, slots, occupied: None }
    }

    fn pool(seen: &[Seen]) -> Pool<u32> {
        let mut pool = Pool::new("there is none".into());
        assert_eq!(on_devices(&mut pool, seen), []);
        assert_eq!(on_open(&mut pool), []);
        pool
    }

    fn wants(cpu: u64, gpu: u64) -> Demand {
        Demand { cpu, gpu, ..Demand::default() }
    }

    fn granted(effects: &[PoolEffect<u32>]) -> Vec<(u32, &str, u64)> {
        let mut grants = Vec::new();
        for effect in effects {
            if let PoolEffect::Grant { search, lease } = effect {
                grants.push((*search, lease.device.as_str(), lease.id));
            }
        }
        grants
    }

    #[test]
    fn a_device_never_has_more_jobs_than_slots_and_searches_take_turns() {
        let mut pool = pool(&[seen("cpu", Need::Cpu, 2)]);
        assert_eq!(granted(&on_demand(&mut pool, 1, wants(5, 0))), [(1, "cpu", 1), (1, "cpu", 2)]);
        assert_eq!(granted(&on_demand(&mut pool, 2, wants(5, 0))), []);
        assert_eq!(granted(&on_release(&mut pool, 1, None, false)), [(2, "cpu", 3)]);
        assert_eq!(granted(&on_release(&mut pool, 2, None, false)), [(1, "cpu", 4)]);
        assert_eq!(pool.busy("cpu"), 2);
    }

    #[test]
    fn nothing_is_lent_before_the_live_trainers_have_their_slots() {
        let mut pool = Pool::new(String::new());
        on_devices(&mut pool, &[seen("cpu", Need::Cpu, 1)]);
        assert_eq!(on_demand(&mut pool, 1, wants(1, 0)), []);
        let claimed = on_claim(&mut pool, 2, "cpu", Need::Cpu);
        assert_eq!(on_open(&mut pool), []);
        assert_eq!(granted(&on_release(&mut pool, claimed.id, None, false)), [(1, "cpu", 2)]);
    }

    #[test]
    fn where_there_is_no_device_of_the_kind_the_search_is_told_once() {
        let mut pool = pool(&[seen("cpu", Need::Cpu, 1)]);
        let effects = on_demand(&mut pool, 1, wants(0, 3));
        let sentence = "the job needs a GPU (use_cpu is false), and there is none".to_string();
        assert_eq!(effects, [PoolEffect::NoDevice { search: 1, need: Need::Gpu, sentence }]);
        assert_eq!(on_open(&mut pool), []);
    }

    #[test]
    fn a_gpu_is_drained_after_three_different_jobs_in_a_row_failed_on_it_and_the_cpu_never_is() {
        let mut pool = pool(&[seen("cpu", Need::Cpu, 1), seen(GPU, Need::Gpu, 1)]);
        let mut fail = |id, job: &str| on_release(&mut pool, id, Some(job.into()), true);
        assert_eq!(fail(0, "unknown"), []);
        for (device, need, jobs) in [("cpu", Need::Cpu, ["a", "b", "c"]), (GPU, Need::Gpu, ["a", "a", "b"])] {
            for job in jobs {
                let lease = on_claim(&mut pool, 1, device, need);
                on_release(&mut pool, lease.id, Some(job.into()), true);
            }
        }
        assert_eq!((&pool.devices["cpu"].drained, &pool.devices[GPU].drained), (&None, &None));
        let lease = on_claim(&mut pool, 1, GPU, Need::Gpu);
        assert!(matches!(on_release(&mut pool, lease.id, Some("c".into()), true)[..], [PoolEffect::Say(_)]));
        assert_eq!(on_demand(&mut pool, 1, wants(0, 1)), [], "a drained device takes nothing, and its jobs wait");
        let (known, effects) = on_drain(&mut pool, GPU, false);
        assert!(known);
        assert_eq!(granted(&effects).len(), 1, "restored, it does");
    }

    #[test]
    fn a_gpu_that_others_occupy_is_left_alone_until_it_is_free() {
        let busy = Seen { occupied: Some("busy".into()), ..seen(GPU, Need::Gpu, 1) };
        let mut pool = pool(&[busy]);
        assert_eq!(on_demand(&mut pool, 1, wants(0, 1)), []);
        assert_eq!(granted(&on_devices(&mut pool, &[seen(GPU, Need::Gpu, 1)])), [(1, GPU, 1)]);
        assert!(matches!(on_devices(&mut pool, &[])[..], [PoolEffect::Say(_)]), "one that is gone is kept, out of use");
    }
}
