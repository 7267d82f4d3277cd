//! How many processor cores a trainer may use.

use std::num::NonZero;

/// Cores that this process may run on, limited by its affinity and the quota of its control group. Hyperthreads count as cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Threads of one trainer if `slots` of them share the CPU. At least one.
pub fn threads_per_slot(slots: usize) -> usize {
    (cores() / slots.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_a_thread_even_where_slots_outnumber_cores() {
        assert_eq!(threads_per_slot(1), cores());
        assert_eq!(threads_per_slot(0), cores());
        assert_eq!(threads_per_slot(usize::MAX), 1);
    }
}
