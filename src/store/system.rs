//! What only the operating system knows or does beside files: the time, numbers that nobody can foresee, the umask.

use crate::domain::seed;
use rand::TryRngCore;
use rand::rngs::OsRng;
use rustix::fs::Mode;
use rustix::process::umask;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the Unix epoch; 0 where the clock stands before it.
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whole seconds since the Unix epoch.
pub fn now() -> u64 {
    since_epoch().as_secs()
}

/// Keeps what this process makes open to its own user, whatever umask it was started with. For the start, before any thread.
pub fn stay_open_to_owner() {
    let given = umask(Mode::RWXG | Mode::RWXO);
    umask(given - Mode::RWXU);
}

/// A new seed for a search or a job.
///
/// # Errors
/// The system gives no random numbers; a sentence that says so.
pub fn new_seed() -> Result<u64, String> {
    let bits = OsRng.try_next_u64().map_err(|error| format!("cannot draw a seed: {error}"))?;
    Ok(seed::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_seed_is_whole_in_every_json_reader() {
        let seeds: Vec<u64> = (0..100).map(|_| new_seed().expect("the system has random numbers")).collect();
        assert!(seeds.iter().all(|seed| *seed as f64 as u64 == *seed && *seed <= seed::MOST));
        assert!(seeds.iter().any(|seed| *seed > seed::MOST / 2), "all 53 bits are used");
    }
}
