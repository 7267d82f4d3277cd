//! Who gets the next free slot: priority first, then whoever has fewest, then whoever waited longest.

use super::state::{Demand, Need};

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
    let wants = |c: &&Claimant<K>| {
        let wanted = match need {
            Need::Cpu => c.demand.cpu,
            Need::Gpu => c.demand.gpu,
        };
        wanted > 0 && c.demand.slots.is_none_or(|most| c.has < most)
    };
    let rank = |c: &&Claimant<K>| (std::cmp::Reverse(c.demand.priority), c.has, c.served, c.key.clone());
    claimants.iter().filter(wants).min_by_key(rank).map(|c| c.key.clone())
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
    }
}
