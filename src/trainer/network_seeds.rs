//! Which network is trained, and the seeds of its random choices: by what each is for, never by what was drawn before.

use neurosearch::domain::seed;
use rand::RngCore;

/// A network of a fold; a multicnn has one at each position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPlace {
    pub fold: u32,
    pub position: Option<usize>,
}

impl NetworkPlace {
    /// The network's number in its fold.
    fn network(self) -> u64 {
        self.position.unwrap_or(0) as u64
    }

    /// The seed of its first weights.
    pub fn weights(self, job: u64) -> u64 {
        seed::derive(job, "weights", &[u64::from(self.fold), self.network()])
    }

    /// The coordinates of an epoch, below which each random choice about its items has one of its own.
    pub fn epoch(self, epoch: u32) -> [u64; 3] {
        [u64::from(self.fold), self.network(), u64::from(epoch)]
    }

    /// What the order of an epoch's items is drawn from.
    pub fn order(self, job: u64, epoch: u32) -> impl RngCore {
        seed::stream(job, "order", &self.epoch(epoch))
    }

    /// libtorch's seed for the step on a batch of an epoch.
    pub fn step(self, job: u64, epoch: u32, batch: u64) -> u64 {
        let [fold, network, epoch] = self.epoch(epoch);
        seed::derive(job, "step", &[fold, network, epoch, batch])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_choice_of_every_network_fold_epoch_and_batch_has_a_seed_of_its_own() {
        let mut seeds = BTreeSet::new();
        let mut choices = 0;
        for (job, fold, position) in [(1, 0, None), (2, 0, None), (1, 1, None), (1, 0, Some(1)), (1, 1, Some(1))] {
            let which = NetworkPlace { fold, position };
            seeds.insert(which.weights(job));
            choices += 1;
            for epoch in 0..3 {
                seeds.insert(which.order(job, epoch).next_u64());
                seeds.extend((0..3).map(|batch| which.step(job, epoch, batch)));
                choices += 4;
            }
        }
        assert_eq!(seeds.len(), choices);
    }

    #[test]
    fn a_network_without_a_position_is_the_first() {
        let first = NetworkPlace { fold: 3, position: Some(0) };
        assert_eq!(first.step(7, 2, 9), NetworkPlace { fold: 3, position: None }.step(7, 2, 9));
    }
}
