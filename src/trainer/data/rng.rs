//! Draws of the uniform and the normal distribution for augmentation and initial weights.

pub use neurosearch::domain::random::{below, unit};
use rand::RngCore;

/// A real in [low, high).
pub fn uniform(stream: &mut impl RngCore, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(stream)
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
    fn normal_draws_have_the_moments_of_the_normal_distribution() {
        let mut stream = seed::stream(2, "test", &[]);
        let draws: Vec<f64> = (0..50_000).flat_map(|_| normal_pair(&mut stream)).collect();
        let moment = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.02, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.03, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.2, "{}", moment(4));
    }
}
