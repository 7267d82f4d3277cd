//! Who gets the next free slot: priority first, then whoever has fewest, then whoever waited longest.

use super::state::Demand;
use crate::domain::device::Need;
use std::cmp::Reverse;

/// One search's standing in the queue for slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimant<K> {
    pub key: K,
    pub demand: Demand,
    /// Slots it has now, of every kind.
    pub has: u32,
    /// When it was served last, on the pool's own count; 0 for never.
    pub served: u64,
}

/// The one to serve with a slot of this kind, if anybody wants one and may have it.
pub fn next<K: Ord + Clone>(claimants: &[Claimant<K>], need: Need) -> Option<K> {
    claimants.iter().filter(|c| wants(c, need)).min_by_key(|c| rank(c)).map(|c| c.key.clone())
}

/// How many others are served before this one with a slot of this kind: by a higher priority, and by their turn.
pub fn before<K: Ord + Clone>(claimants: &[Claimant<K>], key: &K, need: Need) -> (usize, usize) {
    let Some(own) = claimants.iter().find(|c| c.key == *key) else { return (0, 0) };
    let first = claimants.iter().filter(|c| wants(c, need) && rank(c) < rank(own));
    let (higher, equal): (Vec<_>, Vec<_>) = first.partition(|c| c.demand.priority > own.demand.priority);
    (higher.len(), equal.len())
}

fn wants<K>(claimant: &Claimant<K>, need: Need) -> bool {
    let wanted = match need {
        Need::Cpu => claimant.demand.cpu,
        Need::Gpu => claimant.demand.gpu,
    };
    wanted > 0 && claimant.demand.slots.is_none_or(|most| claimant.has < most)
}

fn rank<K>(claimant: &Claimant<K>) -> (Reverse<i32>, u32, u64, &K) {
    (Reverse(claimant.demand.priority), claimant.has, claimant.served, &claimant.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(key: u32, priority: i32, has: u32, served: u64, slots: Option<u32>) -> Claimant<u32> {
        Claimant { key, demand: Demand { cpu: 5, gpu: 0, priority, slots }, has, served }
    }

    #[test]
    fn priority_counts_first_then_fewest_slots_then_the_longest_wait() {
        let all =
            [claimant(1, 0, 0, 9, None), claimant(2, 1, 3, 8, None), claimant(3, 1, 2, 7, None), claimant(4, 1, 2, 6, None)];
        assert_eq!(next(&all, Need::Cpu), Some(4));
        assert_eq!(next(&all[..3], Need::Cpu), Some(3));
        assert_eq!(next(&all[..1], Need::Cpu), Some(1));
    }

    #[test]
    fn nobody_gets_more_than_its_own_limit_or_a_kind_it_does_not_need() {
        let all = [claimant(1, 9, 2, 0, Some(2)), claimant(2, 0, 5, 3, None)];
        assert_eq!(next(&all, Need::Cpu), Some(2));
        assert_eq!(next(&all, Need::Gpu), None);
        assert_eq!(next(&all[..1], Need::Cpu), None);
        assert_eq!(next(&[claimant(1, 0, 1, 0, Some(2))], Need::Cpu), Some(1), "below its limit");
    }

    #[test]
    fn those_served_before_a_search_are_counted_by_priority_and_by_turn() {
        let all = [
            claimant(1, 0, 1, 5, None),
            claimant(2, 5, 1, 5, None),
            claimant(3, 9, 3, 9, None),
            claimant(4, 0, 0, 9, None),
            claimant(5, 0, 2, 0, None),
            claimant(6, -1, 0, 0, None),
            claimant(7, 9, 1, 0, Some(1)),
        ];
        assert_eq!(before(&all, &1, Need::Cpu), (2, 1));
        assert_eq!(before(&all, &3, Need::Cpu), (0, 0), "the first in line");
        assert_eq!(before(&all, &1, Need::Gpu), (0, 0), "nobody wants one");
        assert_eq!(before(&all, &8, Need::Cpu), (0, 0), "it never asked");
    }
}
