//! Every random choice gets its own stream, from a seed and what the choice is for, so that the order of work never matters.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The 256-bit key of the stream for `purpose` at the position `at` (job index, or fold, epoch, step, item), under `seed`.
///
/// It is SHA-256 over the version tag, the seed, the purpose's length and bytes, and the positions, all little-endian;
/// the golden vectors in `tests/fixtures` hold it in place.
fn key(seed: u64, purpose: &str, at: &[u64]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"neurosearch seed v1");
    hash.update(seed.to_le_bytes());
    hash.update((purpose.len() as u64).to_le_bytes());
    hash.update(purpose.as_bytes());
    for position in at {
        hash.update(position.to_le_bytes());
    }
    hash.finalize().into()
}

/// The largest seed that is drawn: of 53 bits, so that every reader of JSON keeps it whole. A person may give a larger one.
pub const MOST: u64 = (1 << 53) - 1;

/// A seed from 64 random bits.
pub const fn from_bits(bits: u64) -> u64 {
    bits >> 11
}

/// The stream of random numbers for `purpose` at `at`, under `seed`: the same on every machine.
pub fn stream(seed: u64, purpose: &str, at: &[u64]) -> ChaCha12Rng {
    ChaCha12Rng::from_seed(key(seed, purpose, at))
}

/// A single derived seed, for generators that are not ours (libtorch's) or for a level further down (a job's training).
pub fn derive(seed: u64, purpose: &str, at: &[u64]) -> u64 {
    let key = key(seed, purpose, at);
    u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_purpose_and_position_and_on_nothing_else() {
        let seeds = [derive(1, "a", &[0]), derive(2, "a", &[0]), derive(1, "b", &[0]), derive(1, "a", &[1]), derive(1, "a", &[])];
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds.iter().skip(i + 1).all(|b| a != b));
        }
        assert_eq!(derive(1, "a", &[0]), seeds[0]);
    }
}
