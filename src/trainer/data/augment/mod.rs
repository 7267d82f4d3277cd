//! Random transforms of training items, in the order in which the options list them.

mod crop_pad;
mod erasing;
mod noise;
mod smoothing;

use neurosearch::domain::words::Augmentation;
use rand::RngCore;

/// Transforms one item in place. `shape` is channels, then two or three sizes; `voxels` are its values in C order.
pub fn apply(kinds: &[Augmentation], voxels: &mut Vec<f32>, shape: &[usize], stream: &mut impl RngCore) {
    for kind in kinds {
        match kind {
            Augmentation::None => {}
            Augmentation::Noise => noise::apply(voxels, stream),
            Augmentation::Erasing => erasing::apply(voxels, shape, stream),
            Augmentation::CropPad => crop_pad::apply(voxels, shape, stream),
            Augmentation::Smoothing => smoothing::apply(voxels, shape, stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::seed;

    fn augmented(kinds: &[Augmentation], seed: u64) -> Vec<f32> {
        let mut voxels: Vec<f32> = (0..2 * 12 * 12).map(|i| i as f32).collect();
        apply(kinds, &mut voxels, &[2, 12, 12], &mut seed::stream(seed, "augment", &[]));
        voxels
    }

    #[test]
    fn none_in_the_list_changes_nothing_not_even_what_the_others_draw() {
        assert_eq!(augmented(&[Augmentation::None], 1), augmented(&[], 1));
        assert_eq!(augmented(&[Augmentation::None, Augmentation::Noise], 1), augmented(&[Augmentation::Noise], 1));
    }

    #[test]
    fn the_order_of_the_list_is_the_order_of_the_transforms() {
        let one = augmented(&[Augmentation::Noise, Augmentation::Smoothing], 1);
        let other = augmented(&[Augmentation::Smoothing, Augmentation::Noise], 1);
        assert_ne!(one, other);
    }

    #[test]
    fn the_same_stream_gives_the_same_item() {
        let all = [Augmentation::Noise, Augmentation::Erasing, Augmentation::CropPad, Augmentation::Smoothing];
        assert_eq!(augmented(&all, 1), augmented(&all, 1));
        assert_ne!(augmented(&all, 1), augmented(&all, 2));
    }
}
