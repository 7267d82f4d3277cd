//! Moves the item by a few voxels along each axis: cropped on one side, filled with zeros on the other.

use crate::data::rng;
use rand::RngCore;

/// The displacement is an integer in [-10, 10).
const LENGTH: i64 = 10;

pub fn apply(voxels: &mut Vec<f32>, shape: &[usize], stream: &mut impl RngCore) {
    let sizes = &shape[1..];
    let crops: Vec<i64> = sizes.iter().map(|_| rng::below(stream, 2 * LENGTH as u64) as i64 - LENGTH).collect();
    let moved = moved(voxels, sizes, &crops);
    *voxels = moved;
}

/// Each channel, of `sizes`, with `-c` voxels padded before and `+c` after along every axis: `out[i] = in[i + c]`, 0 outside.
fn moved(voxels: &[f32], sizes: &[usize], crops: &[i64]) -> Vec<f32> {
    let mut out = vec![0.0; voxels.len()];
    // Two dimensions are three, of which the first has one voxel and stays.
    let pad = 3 - sizes.len();
    let size = |axis: usize| if axis < pad { 1 } else { sizes[axis - pad] };
    let crop = |axis: usize| if axis < pad { 0 } else { crops[axis - pad] };
    let [x, y, z] = [0, 1, 2].map(size);
    let [from_x, from_y, from_z] = [0, 1, 2].map(|axis| kept(size(axis), crop(axis)));
    for (source, target) in voxels.chunks_exact(x * y * z).zip(out.chunks_exact_mut(x * y * z)) {
        for i in 0..from_x.length {
            for j in 0..from_y.length {
                let read = ((from_x.source + i) * y + from_y.source + j) * z + from_z.source;
                let write = ((from_x.target + i) * y + from_y.target + j) * z + from_z.target;
                target[write..write + from_z.length].copy_from_slice(&source[read..read + from_z.length]);
            }
        }
    }
    out
}

/// The stretch of an axis that survives: where it was, where it goes.
struct Overlap {
    source: usize,
    target: usize,
    length: usize,
}

fn kept(size: usize, crop: i64) -> Overlap {
    let distance = (crop.unsigned_abs() as usize).min(size);
    let length = size - distance;
    if crop >= 0 { Overlap { source: distance, target: 0, length } } else { Overlap { source: 0, target: distance, length } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;

    #[test]
    fn a_positive_crop_takes_from_the_beginning_and_a_negative_one_from_the_end() {
        let line = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(moved(&line, &[1, 4], &[0, 1]), [2.0, 3.0, 4.0, 0.0]);
        assert_eq!(moved(&line, &[1, 4], &[0, -1]), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(moved(&line, &[4, 1], &[2, 0]), [3.0, 4.0, 0.0, 0.0]);
    }

    #[test]
    fn three_axes_move_each_by_its_own_crop_and_channels_alike() {
        let voxels: Vec<f32> = (0..2 * 2 * 3 * 4).map(|i| i as f32 + 1.0).collect();
        let out = moved(&voxels, &[2, 3, 4], &[1, -1, 2]);
        for (channel, out) in out.chunks(24).enumerate() {
            for (index, value) in out.iter().enumerate() {
                let [x, y, z] = [(index / 12) as i64 + 1, (index / 4 % 3) as i64 - 1, (index % 4) as i64 + 2];
                let inside = (0..2).contains(&x) && (0..3).contains(&y) && (0..4).contains(&z);
                let expected = if inside { (channel as i64 * 24 + x * 12 + y * 4 + z + 1) as f32 } else { 0.0 };
                assert_eq!(*value, expected, "{index}");
            }
        }
    }

    #[test]
    fn an_item_smaller_than_its_displacement_becomes_zeros() {
        assert_eq!(moved(&[1.0, 2.0], &[1, 2], &[0, 7]), [0.0, 0.0]);
        assert_eq!(moved(&[1.0, 2.0], &[1, 2], &[0, -7]), [0.0, 0.0]);
    }

    #[test]
    fn displacements_are_the_integers_from_minus_ten_to_nine_equally_often() {
        let mut counts = [0_u32; 20];
        for item in 0..10_000 {
            let mut voxels = vec![0.0_f32; 41];
            voxels[20] = 1.0;
            let mut stream = seed::stream(1, "augment", &[item]);
            apply(&mut voxels, &[1, 41], &mut stream);
            let place = voxels.iter().position(|v| *v == 1.0).expect("at most ten voxels away") as i64;
            counts[(20 - place + 10) as usize] += 1;
        }
        // Expected 500 each, standard deviation 22.
        assert!(counts.iter().all(|count| count.abs_diff(500) < 110), "{counts:?}");
    }
}
