//! The set of trainer processes, used to tell our use of a GPU from that of others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Cheap to clone; all clones share the set.
#[derive(Debug, Clone, Default)]
pub struct LiveTrainers(Arc<Mutex<BTreeMap<u32, usize>>>);

/// One process in the set, removed on drop.
#[derive(Debug)]
pub struct Followed {
    pid: u32,
    trainers: LiveTrainers,
}

impl LiveTrainers {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<u32, usize>) -> T) -> T {
        // A panic ends the process, so a poisoned lock is never seen; its content would still be whole.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Several may follow one process: its actor does, and a scan of the job's folder does for a moment.
    pub fn follow(&self, pid: u32) -> Followed {
        self.with(|pids| *pids.entry(pid).or_default() += 1);
        Followed { pid, trainers: self.clone() }
    }

    pub fn contains(&self, pid: u32) -> bool {
        self.with(|pids| pids.contains_key(&pid))
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.trainers.with(|pids| {
            if let Some(followers) = pids.get_mut(&self.pid) {
                *followers -= 1;
                if *followers == 0 {
                    pids.remove(&self.pid);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_until_the_last_one_who_follows_it_stops() {
        let trainers = LiveTrainers::default();
        let (actor, look) = (trainers.follow(7), trainers.follow(7));
        drop(look);
        assert!(trainers.contains(7) && !trainers.contains(8));
        drop(actor);
        assert!(!trainers.contains(7));
    }
}
