//! What the devices say to a search that wants one more slot: what stands in its way, and who comes before it.

use super::fairness;
use super::pool::{Pool, PoolDevice, called};
use crate::domain::device::{Device, Need};

/// Why a slot of this kind is not lent to the search right now, the strongest reason first; none: one is on its way.
pub fn reasons<K: Ord + Clone>(pool: &Pool<K>, search: &K, need: Need) -> Vec<String> {
    let mut reasons = Vec::new();
    if !pool.is_open() {
        reasons.push("the daemon has just started, and lends no slot before every live trainer is found again".to_string());
    }
    if pool.draining {
        reasons.push("this machine is drained, so nothing new starts; `neurosearch resume` ends that".to_string());
    }
    let of_kind: Vec<(&Device, &PoolDevice)> = pool.devices.iter().filter(|(_, device)| device.need == need).collect();
    if of_kind.is_empty() {
        reasons.push(format!("there is no slot on {} here", called(need)));
    }
    let state = |(id, device): &(&Device, &PoolDevice)| state(id, device, pool.busy(id));
    let full: Option<Vec<String>> = of_kind.iter().map(state).collect();
    reasons.extend(full.unwrap_or_default());
    let (higher, equal) = fairness::before(&pool.claimants(), search, need);
    if higher > 0 {
        reasons.push(come(higher, "of a higher priority come", "first"));
    }
    if equal > 0 {
        reasons.push(come(equal, "of the same priority come", "first, by turns"));
    }
    reasons
}

fn come(searches: usize, rank: &str, how: &str) -> String {
    if searches == 1 { format!("one other search {rank}s {how}") } else { format!("{searches} other searches {rank} {how}") }
}

/// Why this device takes no job now, or None if it would.
fn state(id: &Device, device: &PoolDevice, busy: u32) -> Option<String> {
    match device.out_of_use() {
        Some(why) => Some(format!("{id} is out of use: {why}")),
        None if busy >= device.slots && device.slots == 1 => Some(format!("the one slot of {id} is taken")),
        None if busy >= device.slots => Some(format!("all {} slots of {id} are taken", device.slots)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pool::{self, Seen};
    use crate::engine::state::Demand;
    use crate::testing;

    const GPUS: [&str; 2] = ["GPU-1", "GPU-2"];

    fn pool() -> Pool<u32> {
        let mut pool = Pool::default();
        let seen = GPUS.map(|id| Seen { id: testing::device(id), need: Need::Gpu, slots: 1, occupied: None });
        pool::on_devices(&mut pool, &seen);
        pool::on_open(&mut pool);
        pool
    }

    fn wants(gpu: u64, priority: i32) -> Demand {
        Demand { gpu, priority, ..Demand::default() }
    }

    #[test]
    fn devices_are_a_reason_to_wait_only_where_none_is_free() {
        let mut pool = pool();
        assert!(reasons(&pool, &1, Need::Gpu).is_empty());
        pool::on_drain(&mut pool, &testing::device("GPU-1"), true);
        assert!(reasons(&pool, &1, Need::Gpu).is_empty(), "the other one would take it");
        pool::on_demand(&mut pool, 1, wants(2, 0));
        let said = reasons(&pool, &1, Need::Gpu);
        assert_eq!(said, ["GPU-1 is out of use: drained by hand; restore it to use it again", "the one slot of GPU-2 is taken"]);
        pool::on_drain_all(&mut pool, true);
        assert!(reasons(&pool, &1, Need::Gpu)[0].contains("resume"));
        assert_eq!(reasons(&pool, &1, Need::Cpu)[1], "there is no slot on the CPU here");
    }

    #[test]
    fn a_device_says_why_it_takes_no_job_now() {
        let device = |slots, drained: Option<&str>| {
            let drained = drained.map(str::to_string);
            PoolDevice { need: Need::Gpu, slots, drained, occupied: None, gone: false, failures: Vec::new() }
        };
        for (device, busy, said) in [
            (device(1, None), 0, None),
            (device(1, None), 1, Some("the one slot of GPU-1 is taken")),
            (device(2, None), 1, None),
            (device(2, None), 2, Some("all 2 slots of GPU-1 are taken")),
            (device(2, Some("drained")), 0, Some("GPU-1 is out of use: drained")),
        ] {
            assert_eq!(state(&testing::device("GPU-1"), &device, busy).as_deref(), said);
        }
    }

    #[test]
    fn searches_that_are_served_first_are_counted_by_why() {
        let mut pool = pool();
        pool::on_demand(&mut pool, 1, wants(9, 0));
        for (search, priority) in [(2, 5), (3, 0), (4, -1)] {
            pool::on_demand(&mut pool, search, wants(1, priority));
        }
        let said = reasons(&pool, &1, Need::Gpu);
        assert_eq!(
            said[2..],
            ["one other search of a higher priority comes first", "one other search of the same priority comes first, by turns"]
        );
        assert_eq!(reasons(&pool, &2, Need::Gpu).len(), 2, "the first in line waits for the devices alone");
    }

    #[test]
    fn before_the_live_trainers_are_found_again_nothing_is_lent() {
        let pool: Pool<u32> = Pool::default();
        assert!(reasons(&pool, &1, Need::Cpu)[0].contains("just started"));
    }
}
