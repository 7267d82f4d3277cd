//! The shape of a network: its blocks, the sizes between them, and the widths of its fully connected layers.

use super::options::{Normalization, Reduction};

/// One convolutional block: `n_conv` convolutions of kernel 3, the last of which gives `out_channels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvBlock {
    pub in_channels: usize,
    pub out_channels: usize,
    pub n_conv: usize,
    pub d_reduction: Reduction,
}

/// One fully connected layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FcLayer {
    pub in_features: usize,
    pub out_features: usize,
}

/// Everything needed to build a network for one item shape, apart from its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Channels, then two or three sizes.
    pub input: Vec<usize>,
    pub blocks: Vec<ConvBlock>,
    pub normalization: Option<Normalization>,
    /// Empty for an autoencoder.
    pub fc: Vec<FcLayer>,
    pub dropout: f64,
}

/// Size of an axis after a block, stride and pooling alike: half, rounded up.
pub const fn halved(size: usize) -> usize {
    size.div_ceil(2)
}
