//! Draws from a stream of random numbers, fixed by tests so that no library's new version changes a training.

use rand::RngCore;

/// A real in [0, 1), in steps of 2^-53.
pub fn unit(stream: &mut impl RngCore) -> f64 {
    (stream.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// A real in [low, high).
pub fn uniform(stream: &mut impl RngCore, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(stream)
}

/// An integer in [0, count), each equally likely; 0 where `count` is 0.
///
/// Lemire's method: the high half of a 64 by 64 bit product, with the few products that would favour some results drawn again.
pub fn below(stream: &mut impl RngCore, count: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let unfair = count.wrapping_neg() % count;
    loop {
        let product = u128::from(stream.next_u64()) * u128::from(count);
        if product as u64 >= unfair {
            return (product >> 64) as u64;
        }
    }
}

/// Two independent draws of the standard normal distribution, by Marsaglia's polar method.
pub fn normal_pair(stream: &mut impl RngCore) -> [f64; 2] {
    loop {
        let x = uniform(stream, -1.0, 1.0);
        let y = uniform(stream, -1.0, 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            let scale = (-2.0 * square.ln() / square).sqrt();
            return [x * scale, y * scale];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;

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

    #[test]
    fn normal_draws_have_the_moments_of_the_normal_distribution() {
        let mut stream = seed::stream(2, "test", &[]);
        let draws: Vec<f64> = (0..50_000).flat_map(|_| normal_pair(&mut stream)).collect();
        let moment = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
    }
}
