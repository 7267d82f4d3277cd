//! Limits how many connections each user may hold at once, so that nobody can take every place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Places in use by user. All users that the kernel did not name count as one.
#[derive(Debug, Clone)]
pub struct ConnectionQuota {
    most: usize,
    taken: Arc<Mutex<HashMap<Option<u32>, usize>>>,
}

/// One place in use, freed on drop.
#[derive(Debug)]
pub struct ConnectionSlot {
    of: ConnectionQuota,
    user: Option<u32>,
}

impl ConnectionQuota {
    /// `most` places for each user.
    pub fn new(most: usize) -> Self {
        ConnectionQuota { most, taken: Arc::default() }
    }

    /// A place for `user`. `None` if that user has used up the quota.
    pub fn take(&self, user: Option<u32>) -> Option<ConnectionSlot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(user).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(ConnectionSlot { of: self.clone(), user })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_fills_its_own_places_and_no_others_and_gives_each_back() {
        let quota = ConnectionQuota::new(2);
        let mut greedy: Vec<ConnectionSlot> = (0..2).map(|_| quota.take(Some(7)).expect("a place")).collect();
        assert!(quota.take(Some(7)).is_none());
        let other = quota.take(Some(8)).expect("a place for another");
        let unnamed = quota.take(None).expect("and for one without a name");
        greedy.pop();
        let again = quota.take(Some(7)).expect("given back");
        assert!(quota.take(Some(7)).is_none());
        drop((greedy, other, unnamed, again));
        assert!(quota.taken.lock().expect("not poisoned").is_empty(), "nothing is kept of users that are gone");
    }
}
