//! Limits how many connections each user may hold at once. Root and the daemon's own user have places that no other can take.

use super::peer::Peer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most connections at once of all users together who are neither root nor the daemon's own.
const MOST: usize = 64;

/// Most connections of one of them.
const MOST_EACH: usize = 32;

/// Most connections of root, and of the daemon's own user. They come on top of [`MOST`].
const MOST_OF_A_MASTER: usize = 64;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// This user holds too many.
    User,
    /// All users together do.
    Everybody,
}

/// Places in use. All users that the kernel did not name count as one.
#[derive(Debug, Clone, Default)]
pub struct ConnectionQuota {
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_user: HashMap<Option<u32>, usize>,
    /// How many of them are not of root or the daemon's own user.
    shared: usize,
}

/// One place in use, freed on drop.
#[derive(Debug)]
pub struct ConnectionSlot {
    of: ConnectionQuota,
    user: Option<u32>,
    is_shared: bool,
}

impl ConnectionQuota {
    /// A place for a connection of `peer`.
    ///
    /// # Errors
    /// Which quota is used up.
    pub fn take(&self, peer: &Peer) -> Result<ConnectionSlot, Full> {
        let is_shared = !peer.is_master();
        let most = if is_shared { MOST_EACH } else { MOST_OF_A_MASTER };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.by_user.get(&peer.uid).is_some_and(|count| *count >= most) {
            return Err(Full::User);
        }
        if is_shared && taken.shared >= MOST {
            return Err(Full::Everybody);
        }
        *taken.by_user.entry(peer.uid).or_default() += 1;
        taken.shared += usize::from(is_shared);
        Ok(ConnectionSlot { of: self.clone(), user: peer.uid, is_shared })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.shared -= usize::from(self.is_shared);
        if let Some(count) = taken.by_user.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                taken.by_user.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: Option<u32>) -> Peer {
        Peer { uid, ..Peer::unknown() }
    }

    /// Takes places until there is none, and says why there is none.
    fn fill(quota: &ConnectionQuota, peer: &Peer) -> (Vec<ConnectionSlot>, Full) {
        let mut slots = Vec::new();
        loop {
            match quota.take(peer) {
                Ok(slot) => slots.push(slot),
                Err(full) => return (slots, full),
            }
        }
    }

    #[test]
    fn a_user_leaves_places_to_others_and_all_of_them_leave_those_of_root() {
        let quota = ConnectionQuota::default();
        let (mut first, why) = fill(&quota, &user(Some(u32::MAX - 1)));
        assert_eq!((first.len(), why), (MOST_EACH, Full::User));
        let (unnamed, why) = fill(&quota, &user(None));
        assert_eq!((unnamed.len(), why), (MOST - MOST_EACH, Full::User));
        let (third, why) = fill(&quota, &user(Some(u32::MAX - 2)));
        assert_eq!((third.len(), why), (0, Full::Everybody));
        first.pop();
        let (third, why) = fill(&quota, &user(Some(u32::MAX - 2)));
        assert_eq!((third.len(), why), (1, Full::Everybody), "a place that is given back is free for another");
        let (root, why) = fill(&quota, &user(Some(0)));
        assert_eq!((root.len(), why), (MOST_OF_A_MASTER, Full::User));
        drop((first, unnamed, third, root));
        let taken = quota.taken.lock().expect("not poisoned");
        assert!(taken.by_user.is_empty() && taken.shared == 0, "nothing is kept of users that are gone: {taken:?}");
    }
}
