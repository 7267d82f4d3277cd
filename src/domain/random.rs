//! Uniform draws from a stream of random numbers, fixed by tests so that no library's new version changes a draw or a training.

use rand_chacha::rand_core::RngCore;

/// A real in [0, 1), in steps of 2^-53.
pub fn unit(stream: &mut impl RngCore) -> f64 {
    (stream.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// An integer in [0, count), each equally likely; 0 where `count` is 0.
///
/// The high half of a 128-bit product, drawn again where the low half falls into the part that would favour some numbers
/// (D. Lemire, "Fast random integer generation in an interval", 2019).
pub fn below(stream: &mut impl RngCore, count: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let biased = count.wrapping_neg() % count;
    loop {
        let product = u128::from(stream.next_u64()) * u128::from(count);
        // Truncation takes the low half.
        if product as u64 >= biased {
            return (product >> 64) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::seed;

    #[test]
    fn integers_are_equally_likely_and_stay_below_their_bound() {
        let mut stream = seed::stream(1, "test", &[]);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut stream, 7) as usize] += 1;
        }
        // Standard deviation of a count is 93.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert_eq!(below(&mut stream, 1), 0);
        assert_eq!(below(&mut stream, 0), 0);
    }
}
