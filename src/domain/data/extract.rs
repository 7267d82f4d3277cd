//! From a volume's voxels to an item's values: cutting, masking, and the normalisation to [0, 1].

use super::item_geometry::Window;

/// Copies the voxels of `window` into `out`, which it replaces. The volume is in C order, and so is what comes out.
///
/// The window lies inside the volume, and the volume has as many voxels as `shape` says.
pub fn cut(voxels: &[f32], shape: [usize; 3], window: Window, out: &mut Vec<f32>) {
    out.clear();
    out.reserve(window.voxels());
    for_each_run(shape, window, |run| out.extend_from_slice(&voxels[run]));
}

/// As [`cut`], each voxel multiplied by the mask's, which has the volume's shape.
pub fn cut_masked(voxels: &[f32], mask: &[f32], shape: [usize; 3], window: Window, out: &mut Vec<f32>) {
    out.clear();
    out.reserve(window.voxels());
    for_each_run(shape, window, |run| {
        out.extend(voxels[run.clone()].iter().zip(&mask[run]).map(|(voxel, weight)| voxel * weight))
    });
}

/// Calls `take` with the ranges of the volume that make up the window, in order and as long as they can be.
fn for_each_run(shape: [usize; 3], Window { start, size }: Window, mut take: impl FnMut(std::ops::Range<usize>)) {
    let [_, ny, nz] = shape;
    let row = |x: usize, y: usize| (x * ny + y) * nz + start[2];
    if size[1] == ny && size[2] == nz {
        return take(row(start[0], 0)..row(start[0] + size[0], 0));
    }
    for x in start[0]..start[0] + size[0] {
        if size[2] == nz {
            take(row(x, start[1])..row(x, start[1] + size[1]));
            continue;
        }
        for y in start[1]..start[1] + size[1] {
            let from = row(x, y);
            take(from..from + size[2]);
        }
    }
}

/// As [`bounding_box`], of a mask as it should be.
///
/// # Errors
/// One clause: the mask is empty, or has values below 0, which would turn the contrast over.
pub fn mask_box(mask: &[f32], shape: [usize; 3]) -> Result<Window, String> {
    if let Some(value) = mask.iter().find(|value| **value < 0.0) {
        return Err(format!("is no mask: it has the value {value}; a mask has the values 0 and 1"));
    }
    bounding_box(mask, shape).ok_or_else(|| "is an empty mask: every voxel is 0".to_string())
}

/// A value of the mask other than 0 and 1; the voxels of an image are multiplied by it.
pub fn weight(mask: &[f32]) -> Option<f32> {
    mask.iter().copied().find(|value| ![0.0, 1.0].contains(value))
}

/// The smallest box that holds every voxel of the mask that is not 0, or None if all are.
pub fn bounding_box(mask: &[f32], shape: [usize; 3]) -> Option<Window> {
    let [_, ny, nz] = shape;
    let (mut low, mut high) = ([usize::MAX; 3], [0; 3]);
    for (index, row) in mask.chunks_exact(nz).enumerate() {
        let (Some(first), Some(last)) = (row.iter().position(|v| *v != 0.0), row.iter().rposition(|v| *v != 0.0)) else {
            continue;
        };
        for (axis, (from, to)) in [(index / ny, index / ny), (index % ny, index % ny), (first, last)].into_iter().enumerate() {
            low[axis] = low[axis].min(from);
            high[axis] = high[axis].max(to + 1);
        }
    }
    (high[0] > 0).then(|| Window { start: low, size: [high[0] - low[0], high[1] - low[1], high[2] - low[2]] })
}

/// Smallest and largest of the values; NaN where one of them is NaN. Of none, (infinity, -infinity).
pub fn range(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 16;
    let (mut low, mut high, mut nan) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES], [false; LANES]);
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut take = |lane: usize, value: f32| {
        low[lane] = if value < low[lane] { value } else { low[lane] };
        high[lane] = if value > high[lane] { value } else { high[lane] };
        nan[lane] |= value.is_nan();
    };
    for chunk in chunks {
        for (lane, value) in chunk.iter().enumerate() {
            take(lane, *value);
        }
    }
    rest.iter().for_each(|value| take(0, *value));
    if nan.contains(&true) {
        return (f32::NAN, f32::NAN);
    }
    (low.into_iter().fold(f32::INFINITY, f32::min), high.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

/// The values are not all finite, so they have no normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFinite;

/// Maps the values linearly to [0, 1], smallest to 0 and largest to 1; values that are all equal become 0.
pub fn normalise(values: &mut [f32]) -> Result<(), NotFinite> {
    let (low, high) = range(values);
    let span = high - low;
    // Their difference is finite only where both ends are; of no values at all there is nothing to refuse.
    if !(span.is_finite() || values.is_empty()) {
        return Err(NotFinite);
    }
    if span > 0.0 {
        // A true division: a product with the reciprocal differs in the last bit.
        values.iter_mut().for_each(|value| *value = (*value - low) / span);
    } else {
        values.fill(0.0);
    }
    Ok(())
}

/// Cuts values in [0, 1] to 8 bits: 255 times the value, truncated.
pub fn to_bytes(values: &[f32], out: &mut Vec<u8>) {
    out.clear();
    out.extend(values.iter().map(|value| (value * 255.0) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume whose voxel (x, y, z) is 100 x + 10 y + z.
    fn volume([nx, ny, nz]: [usize; 3]) -> Vec<f32> {
        (0..nx * ny * nz).map(|i| (100 * (i / (ny * nz)) + 10 * (i / nz % ny) + i % nz) as f32).collect()
    }

    /// The same cut, voxel by voxel.
    fn slowly(shape: [usize; 3], window: Window) -> Vec<f32> {
        let voxels = volume(shape);
        let mut out = Vec::new();
        for x in 0..window.size[0] {
            for y in 0..window.size[1] {
                for z in 0..window.size[2] {
                    let at = ((window.start[0] + x) * shape[1] + window.start[1] + y) * shape[2] + window.start[2] + z;
                    out.push(voxels[at]);
                }
            }
        }
        out
    }

    #[test]
    fn every_window_of_a_volume_holds_its_voxels_in_order() {
        let shape = [3, 4, 5];
        let mut out = vec![9.0; 7];
        for corner in 0..60 {
            let start = [corner / 20, corner / 5 % 4, corner % 5];
            for extent in 0..60 {
                let size = [extent / 20 + 1, extent / 5 % 4 + 1, extent % 5 + 1];
                if (0..3).all(|axis| start[axis] + size[axis] <= shape[axis]) {
                    let window = Window { start, size };
                    cut(&volume(shape), shape, window, &mut out);
                    assert_eq!(out, slowly(shape, window), "{window:?}");
                    cut_masked(&volume(shape), &[2.0; 60], shape, window, &mut out);
                    assert_eq!(out, slowly(shape, window).iter().map(|v| v * 2.0).collect::<Vec<_>>(), "{window:?}");
                }
            }
        }
    }

    #[test]
    fn a_mask_has_a_voxel_and_none_below_0_and_other_values_than_1_are_weights() {
        assert!(mask_box(&[0.0, 1.0, -1.0], [1, 1, 3]).expect_err("refused").contains("the value -1;"));
        assert!(mask_box(&[0.0; 3], [1, 1, 3]).expect_err("empty").contains("empty"));
        let window = Window { start: [0, 0, 1], size: [1, 1, 1] };
        for (value, weighs) in [(1.0, None), (17.0, Some(17.0)), (0.35, Some(0.35))] {
            let mask = [0.0, value, 0.0];
            assert_eq!((mask_box(&mask, [1, 1, 3]), weight(&mask)), (Ok(window), weighs));
        }
    }

    #[test]
    fn the_bounding_box_is_the_smallest_and_an_empty_mask_has_none() {
        let shape = [4, 5, 6];
        let mut mask = vec![0.0; 120];
        assert_eq!(bounding_box(&mask, shape), None);
        let at = |x: usize, y: usize, z: usize| (x * 5 + y) * 6 + z;
        mask[at(1, 4, 2)] = 1.0;
        assert_eq!(bounding_box(&mask, shape), Some(Window { start: [1, 4, 2], size: [1, 1, 1] }));
        mask[at(3, 0, 5)] = 0.5;
        assert_eq!(bounding_box(&mask, shape), Some(Window { start: [1, 0, 2], size: [3, 5, 4] }));
    }

    #[test]
    fn values_are_mapped_to_0_and_1_and_a_constant_item_to_0() {
        let mut values: Vec<f32> = (0..37).map(|v| (v * 7 % 37) as f32 - 3.0).collect();
        normalise(&mut values).expect("finite");
        assert_eq!(range(&values), (0.0, 1.0));
        assert_eq!(values[1], 7.0 / 36.0);
        let mut constant = vec![5.0; 20];
        normalise(&mut constant).expect("finite");
        assert_eq!(constant, [0.0; 20]);
        assert_eq!(normalise(&mut []), Ok(()));
    }

    #[test]
    fn values_that_are_not_finite_are_told() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 16, 19] {
                let mut values = vec![1.0; 20];
                values[place] = bad;
                assert_eq!(normalise(&mut values), Err(NotFinite), "{bad} at {place}");
            }
        }
        assert_eq!(normalise(&mut [f32::MIN, f32::MAX]), Err(NotFinite));
    }

    #[test]
    fn eight_bits_are_truncated_not_rounded() {
        let mut out = Vec::new();
        to_bytes(&[0.0, 0.999 / 255.0, 1.0 / 255.0, 0.5, 1.0], &mut out);
        assert_eq!(out, [0, 0, 1, 127, 255]);
    }
}
