//! Gaussian noise, independent for each voxel and channel, of one width drawn for the item.

use crate::data::rng;
use rand::RngCore;

/// The width is drawn from [0, this].
const LARGEST_SIGMA: f64 = 0.1;

pub fn apply(voxels: &mut [f32], stream: &mut impl RngCore) {
    let sigma = rng::uniform(stream, 0.0, LARGEST_SIGMA);
    for pair in voxels.chunks_mut(2) {
        for (voxel, draw) in pair.iter_mut().zip(rng::normal_pair(stream)) {
            *voxel += (sigma * draw) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;

    #[test]
    fn the_width_is_uniform_up_to_a_tenth_and_the_noise_is_normal_of_that_width() {
        let mut widths = Vec::new();
        for item in 0..2_000 {
            let mut voxels = vec![0.0_f32; 500];
            apply(&mut voxels, &mut seed::stream(1, "augment", &[item]));
            let square: f64 = voxels.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
            let width = (square / 500.0).sqrt();
            let outside = voxels.iter().filter(|v| f64::from(v.abs()) > 1.96 * width).count();
            assert!(outside < 60, "about 25 of 500 lie beyond 1.96 standard deviations, not {outside}");
            widths.push(width);
        }
        let mean = widths.iter().sum::<f64>() / 2_000.0;
        assert!((mean - 0.05).abs() < 0.003, "{mean}");
        let small = widths.iter().filter(|width| **width < 0.025).count();
        assert!(small.abs_diff(500) < 80, "a quarter of the widths lie below a quarter of the largest, not {small} of 2000");
        assert!(widths.iter().all(|width| *width < 0.115));
    }

    #[test]
    fn channels_get_noise_of_their_own() {
        let mut voxels = vec![0.0_f32; 300];
        apply(&mut voxels, &mut seed::stream(2, "augment", &[]));
        assert_ne!(voxels[..100], voxels[100..200]);
        assert_ne!(voxels[100..200], voxels[200..]);
    }
}
