//! What of `init`'s starting point depends on the size of the images: the blocks and the patches.

use crate::domain::network::architecture::{Architecture, NetworkOptions, doubling_blocks};
use crate::domain::network::footprint::Footprint;
use crate::domain::words::{NetworkType, Normalization, Reduction};

/// An image of t1-linear, cropped: what is taken where no image can be looked at.
pub const USUAL: [usize; 3] = [169, 208, 179];

/// The values of the starting point from which the memory of its largest network follows.
pub const FIRST_WIDTHS: [usize; 3] = [4, 8, 16];
pub const CHANNELS_LIMIT: usize = 64;
pub const N_CONV: [usize; 2] = [1, 2];
pub const N_FCBLOCKS: [usize; 2] = [1, 3];
pub const BATCH_SIZE: usize = 2;

/// What an ordinary GPU holds, in bytes: the starting point draws no network that takes more, where that can be.
const ROOM: u64 = 16 << 30;

/// The usual patch, in voxels, and the most blocks; both where the images are large enough.
const PATCH: usize = 50;
const BLOCKS: usize = 6;

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub n_convblocks: [usize; 2],
    /// Side of a patch, and the step from one to the next.
    pub patch: usize,
}

impl Sizes {
    /// For images of this size: two patches or more along each axis, and after the last block two voxels along each axis,
    /// so that every normalisation has something to compare.
    pub fn of(volume: [usize; 3]) -> Self {
        let side = volume.into_iter().min().unwrap_or_default();
        let patch = PATCH.min(side / 2).max(1);
        let most = (1..=BLOCKS).rev().find(|&n| patch.div_ceil(1 << n) >= 2).unwrap_or(1);
        let light = (1..most).find(|&n| peak(volume, n).is_some_and(|bytes| bytes <= ROOM)).unwrap_or(most);
        Sizes { n_convblocks: [light.max(most.div_ceil(2)), most], patch }
    }
}

/// Memory that the largest network with this number of blocks takes on whole images, or None if that cannot be counted.
fn peak(volume: [usize; 3], blocks: usize) -> Option<u64> {
    let n_conv = vec![N_CONV[1]; blocks];
    let network = NetworkOptions {
        network_type: NetworkType::Cnn,
        normalization: Some(Normalization::Batch),
        blocks: doubling_blocks(1, FIRST_WIDTHS[2], CHANNELS_LIMIT, &n_conv, Reduction::MaxPooling),
        n_fcblocks: N_FCBLOCKS[1],
        fc: None,
        dropout: 0.0,
    };
    let item: Vec<usize> = std::iter::once(1).chain(volume).collect();
    let architecture = Architecture::of(&network, &item).ok()?;
    Some(Footprint::of(&architecture, NetworkType::Cnn, BATCH_SIZE).peak_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_images_and_keep_the_largest_network_within_an_ordinary_gpu() {
        let cases = [
            (USUAL, [4, 5], 50),
            ([121, 145, 121], [4, 5], 50),
            ([42, 52, 45], [2, 4], 21),
            ([24, 28, 24], [2, 3], 12),
            ([3, 9, 9], [1, 1], 1),
        ];
        for (volume, n_convblocks, patch) in cases {
            assert_eq!(Sizes::of(volume), Sizes { n_convblocks, patch }, "{volume:?}");
        }
        assert!(peak(USUAL, 4).is_some_and(|bytes| bytes <= ROOM) && peak(USUAL, 3).is_some_and(|bytes| bytes > ROOM));
    }
}
