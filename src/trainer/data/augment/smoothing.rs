//! A Gaussian filter of one width drawn for the item, with SciPy's borders, truncation and order of sums.

use crate::data::rng;
use rand::RngCore;

/// The width is drawn from [0, this].
const LARGEST_SIGMA: f64 = 1.0;
/// The filter ends this many widths from its centre.
const TRUNCATE: f64 = 4.0;
/// Voxels summed at a time, so that their sums stay in the processor's cache.
const CHUNK: usize = 4096;

pub fn apply(voxels: &mut Vec<f32>, shape: &[usize], stream: &mut impl RngCore) {
    gaussian(voxels, shape, rng::uniform(stream, 0.0, LARGEST_SIGMA));
}

/// `scipy.ndimage.gaussian_filter(voxels, sigma)`: over every axis, channels included, each pass summed in f64 and rounded to f32.
fn gaussian(voxels: &mut Vec<f32>, shape: &[usize], sigma: f64) {
    let weights = half_kernel(sigma);
    if weights.len() == 1 {
        return;
    }
    let mut out = vec![0.0; voxels.len()];
    for axis in 0..shape.len() {
        // A filter of sum 1 along an axis of one voxel changes nothing.
        if shape[axis] > 1 {
            pass(voxels, &mut out, shape[axis], shape[axis + 1..].iter().product(), &weights);
            std::mem::swap(voxels, &mut out);
        }
    }
}

/// Weights of the centre and of each distance from it.
fn half_kernel(sigma: f64) -> Vec<f64> {
    let radius = (TRUNCATE * sigma + 0.5) as i64;
    let weight = |x: i64| (-0.5 / (sigma * sigma) * (x * x) as f64).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    if radius == 0 { vec![1.0] } else { (0..=radius).map(|x| weight(x) / sum).collect() }
}

/// Filters along an axis of `size` voxels that lie `inner` apart.
fn pass(voxels: &[f32], out: &mut [f32], size: usize, inner: usize, weights: &[f64]) {
    let mut sums = [0.0_f64; CHUNK];
    if inner == 1 {
        let mut line = Vec::with_capacity(size + 2 * weights.len());
        for (source, target) in voxels.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
            filter_line(source, target, weights, &mut line);
        }
        return;
    }
    for (source, target) in voxels.chunks_exact(size * inner).zip(out.chunks_exact_mut(size * inner)) {
        let row = |index: i64, start: usize, length: usize| {
            let from = reflected(index, size) * inner + start;
            &source[from..from + length]
        };
        for index in 0..size {
            for start in (0..inner).step_by(CHUNK) {
                let length = CHUNK.min(inner - start);
                let sums = &mut sums[..length];
                let centre = row(index as i64, start, length);
                sums.iter_mut().zip(centre).for_each(|(sum, v)| *sum = f64::from(*v) * weights[0]);
                for distance in (1..weights.len()).rev() {
                    let before = row(index as i64 - distance as i64, start, length);
                    let after = row(index as i64 + distance as i64, start, length);
                    for ((sum, b), a) in sums.iter_mut().zip(before).zip(after) {
                        *sum += (f64::from(*b) + f64::from(*a)) * weights[distance];
                    }
                }
                let target = &mut target[index * inner + start..][..length];
                target.iter_mut().zip(sums).for_each(|(voxel, sum)| *voxel = *sum as f32);
            }
        }
    }
}

/// Filters one contiguous line; `padded` is scratch.
fn filter_line(source: &[f32], target: &mut [f32], weights: &[f64], padded: &mut Vec<f64>) {
    let radius = weights.len() - 1;
    let (size, reach) = (source.len(), radius as i64);
    padded.clear();
    padded.extend((-reach..size as i64 + reach).map(|index| f64::from(source[reflected(index, size)])));
    for (index, voxel) in target.iter_mut().enumerate() {
        let mut sum = padded[index + radius] * weights[0];
        for distance in (1..=radius).rev() {
            sum += (padded[index + radius - distance] + padded[index + radius + distance]) * weights[distance];
        }
        *voxel = sum as f32;
    }
}

/// Where an index beyond the border is read, the border's own voxel counted twice: `d c b a | a b c d | d c b a`.
fn reflected(index: i64, size: usize) -> usize {
    let period = 2 * size as i64;
    let folded = index.rem_euclid(period);
    (if folded < size as i64 { folded } else { period - 1 - folded }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;
    use serde::Deserialize;

    /// Results of SciPy, made by the script that stands in the file.
    #[derive(Deserialize)]
    struct Case {
        shape: Vec<usize>,
        sigma: f64,
        input: Vec<f32>,
        output: Vec<f32>,
    }

    #[test]
    fn it_is_the_filter_of_scipy_to_the_last_bit_but_one() {
        #[derive(Deserialize)]
        struct Cases {
            cases: Vec<Case>,
        }
        let text = include_str!("../../../../tests/fixtures/augment/gaussian.json");
        let cases: Cases = serde_json::from_str(text).expect("a fixture");
        assert!(cases.cases.len() >= 6);
        for case in cases.cases {
            let mut voxels = case.input;
            gaussian(&mut voxels, &case.shape, case.sigma);
            for (ours, scipy) in voxels.iter().zip(&case.output) {
                assert!((ours - scipy).abs() <= scipy.abs() * f32::EPSILON, "{:?} {}: {ours} {scipy}", case.shape, case.sigma);
            }
        }
    }

    #[test]
    fn the_width_is_uniform_in_zero_to_one() {
        let mut radii = [0_u32; 5];
        for item in 0..8_000 {
            let mut voxels = vec![0.0_f32; 41];
            voxels[20] = 1.0;
            apply(&mut voxels, &[1, 41], &mut seed::stream(1, "augment", &[item]));
            radii[voxels[21..].iter().take_while(|v| **v > 0.0).count()] += 1;
        }
        // A radius r has widths from (r - 0.5) / 4 to (r + 0.5) / 4: an eighth, three quarters in three, and an eighth.
        for (radius, expected) in [(0, 1_000_u32), (1, 2_000), (2, 2_000), (3, 2_000), (4, 1_000)] {
            assert!(radii[radius].abs_diff(expected) < 200, "{radii:?}");
        }
    }

    #[test]
    fn borders_reflect_however_short_the_axis() {
        let folded: Vec<usize> = (-5..7).map(|index| reflected(index, 2)).collect();
        assert_eq!(folded, [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
    }
}
