//! The shape of a network: its blocks, the sizes between them, and the widths of its fully connected layers.

use crate::domain::text::fault::Fault;
use crate::domain::text::units::dimensions;
use crate::domain::words::{NetworkType, Normalization, Reduction};

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

/// The options that shape a network, whatever data it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkOptions {
    pub network_type: NetworkType,
    pub normalization: Option<Normalization>,
    pub blocks: Vec<ConvBlock>,
    pub n_fcblocks: usize,
    /// Widths as a file gives them; they must be those that are computed.
    pub fc: Option<Vec<FcLayer>>,
    pub dropout: f64,
}

/// Size of an axis after a block, stride and pooling alike: half, rounded up.
pub const fn halved(size: usize) -> usize {
    size.div_ceil(2)
}

/// Rounds as the reference does, an exact half to the even neighbour.
fn rounded(width: f64) -> usize {
    // Widths are positive and at most the flat size, which is a usize.
    width.round_ties_even() as usize
}

/// The `layers` fully connected layers from `flat` features down to 2 classes, each by the same ratio, carried unrounded.
pub fn fc_widths(flat: usize, layers: usize) -> Vec<FcLayer> {
    let ratio = libm::pow(flat as f64 / 2.0, 1.0 / layers as f64);
    let mut width = flat as f64;
    let mut widths = Vec::with_capacity(layers);
    for _ in 0..layers {
        let next = width / ratio;
        widths.push(FcLayer { in_features: rounded(width), out_features: rounded(next) });
        width = next;
    }
    widths
}

/// The blocks of a network whose widths double from `first` and are cut to `limit`, the first one too.
///
/// `n_conv` has an entry a block; `channels` are those of an item.
pub fn doubling_blocks(channels: usize, first: usize, limit: usize, n_conv: &[usize], d_reduction: Reduction) -> Vec<ConvBlock> {
    let mut in_channels = channels;
    let mut width = first.min(limit);
    let mut blocks = Vec::with_capacity(n_conv.len());
    for &n_conv in n_conv {
        blocks.push(ConvBlock { in_channels, out_channels: width, n_conv, d_reduction });
        in_channels = width;
        width = width.saturating_mul(2).min(limit);
    }
    blocks
}

impl Architecture {
    /// The architecture of a network for items of `item_shape` (channels, then two or three sizes): computes the widths of the
    /// fully connected layers, or holds the given ones against the computed ones.
    ///
    /// # Errors
    /// Names the key: no block, channels that do not fit, widths that differ, a network too large to count, or an instance
    /// normalisation over a single voxel, which cannot train.
    pub fn of(network: &NetworkOptions, item_shape: &[usize]) -> Result<Architecture, Fault> {
        let [channels, sizes @ ..] = item_shape else {
            return Err(Fault::new("mode", "an item without channels has no network"));
        };
        if !(2..=3).contains(&sizes.len()) || item_shape.contains(&0) {
            return Err(Fault::new(
                "mode",
                format!("an item of {} has no network: two or three sizes, each at least 1", dimensions(item_shape)),
            ));
        }
        check_channels(&network.blocks, *channels)?;
        let mut architecture = Architecture {
            input: item_shape.to_vec(),
            blocks: network.blocks.clone(),
            normalization: network.normalization,
            fc: Vec::new(),
            dropout: network.dropout,
        };
        if network.normalization == Some(Normalization::Instance) && architecture.fewest_normalized() == Some(1) {
            let sentence =
                "InstanceNorm over a single voxel cannot train: use fewer blocks (n_convblocks), a larger item, or BatchNorm";
            return Err(Fault::new("network_normalization", sentence));
        }
        if network.network_type != NetworkType::Autoencoder {
            architecture.fc = architecture.checked_fc(network)?;
        }
        Ok(architecture)
    }

    fn checked_fc(&self, network: &NetworkOptions) -> Result<Vec<FcLayer>, Fault> {
        if network.n_fcblocks == 0 {
            return Err(Fault::new("n_fcblocks", "found 0, allowed: at least 1"));
        }
        let flat = self
            .flat_features()
            .ok_or_else(|| Fault::new("convolutions", "more features after the last block than can be counted"))?;
        let computed = fc_widths(flat, network.n_fcblocks);
        match &network.fc {
            Some(given) if *given != computed => Err(Fault::new(
                "fc",
                format!("found {}, allowed: {} for items of {}", Chain(given), Chain(&computed), dimensions(&self.input)),
            )),
            _ => Ok(computed),
        }
    }

    /// Number of features that the blocks give to the first fully connected layer, or None if it cannot be counted.
    pub fn flat_features(&self) -> Option<usize> {
        let channels = self.blocks.last()?.out_channels;
        let sizes = self.sizes_after_blocks().pop()?;
        sizes.iter().try_fold(channels, |product, &size| product.checked_mul(size))
    }

    /// Two dimensions for slices, three otherwise.
    pub fn dimensions(&self) -> usize {
        self.input.len() - 1
    }

    /// The sizes (without channels) after each block, in order.
    pub fn sizes_after_blocks(&self) -> Vec<Vec<usize>> {
        let mut sizes = self.input[1..].to_vec();
        let mut after = Vec::with_capacity(self.blocks.len());
        for _ in &self.blocks {
            sizes = sizes.into_iter().map(halved).collect();
            after.push(sizes.clone());
        }
        after
    }

    /// The fewest voxels a channel over which a normalisation goes; none without normalisation.
    ///
    /// The decoder of an autoencoder normalises at the sizes at which its encoder does, or larger ones.
    pub fn fewest_normalized(&self) -> Option<usize> {
        self.normalization?;
        let last = self.blocks.last()?;
        let after = self.sizes_after_blocks();
        // Pooling comes after the block's normalisations, a stride before the last of them.
        let sizes: &[usize] = match last.d_reduction {
            Reduction::Stride => after.last()?,
            Reduction::MaxPooling if after.len() >= 2 => &after[after.len() - 2],
            Reduction::MaxPooling => &self.input[1..],
        };
        Some(sizes.iter().fold(1_usize, |product, &size| product.saturating_mul(size)))
    }

    /// Number of trained parameters, the decoder's included for an autoencoder; `u64::MAX` where it cannot be counted.
    pub fn parameters(&self) -> u64 {
        let kernel = 3_u64.saturating_pow(self.dimensions() as u32);
        let affine = if self.normalization == Some(Normalization::Batch) { 2 } else { 0 };
        let mut total = 0_u64;
        for (index, block) in self.blocks.iter().enumerate() {
            for convolution in 0..block.n_conv {
                let last = convolution + 1 == block.n_conv;
                let (input, output) =
                    (block.in_channels as u64, if last { block.out_channels } else { block.in_channels } as u64);
                let weights = input.saturating_mul(output).saturating_mul(kernel);
                total = total.saturating_add(weights).saturating_add(output.saturating_mul(1 + affine));
                if self.fc.is_empty() {
                    // The transposed convolution goes back; nothing normalises the very last one, that of the input's channels.
                    let affine = if index == 0 && convolution == 0 { 0 } else { affine };
                    total = total.saturating_add(weights).saturating_add(input.saturating_mul(1 + affine));
                }
            }
        }
        for layer in &self.fc {
            let (input, output) = (layer.in_features as u64, layer.out_features as u64);
            total = total.saturating_add(input.saturating_mul(output)).saturating_add(output);
        }
        total
    }
}

fn check_channels(blocks: &[ConvBlock], channels: usize) -> Result<(), Fault> {
    let Some(first) = blocks.first() else { return Err(Fault::new("convolutions", "found no block, allowed: at least conv0")) };
    if first.in_channels != channels {
        return Err(Fault::new(
            "convolutions",
            format!("conv0 has in_channels {}, allowed: {channels}, the item's", first.in_channels),
        ));
    }
    for (index, pair) in blocks.windows(2).enumerate() {
        if pair[1].in_channels != pair[0].out_channels {
            let (found, allowed) = (pair[1].in_channels, pair[0].out_channels);
            let sentence = format!("conv{} has in_channels {found}, allowed: {allowed}, conv{index}'s out_channels", index + 1);
            return Err(Fault::new("convolutions", sentence));
        }
    }
    Ok(())
}

/// Widths as a reader sees them: `16128 -> 180 -> 2`.
struct Chain<'a>(&'a [FcLayer]);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for layer in self.0 {
            write!(f, "{} -> ", layer.in_features)?;
        }
        match self.0.last() {
            Some(layer) => write!(f, "{}", layer.out_features),
            None => f.write_str("no layer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(blocks: Vec<ConvBlock>, normalization: Option<Normalization>, n_fcblocks: usize) -> NetworkOptions {
        NetworkOptions { network_type: NetworkType::Cnn, normalization, blocks, n_fcblocks, fc: None, dropout: 0.0 }
    }

    #[test]
    fn the_documentations_example_has_the_documentations_widths() {
        let blocks = doubling_blocks(1, 8, 64, &[2, 3, 2, 1, 1], Reduction::MaxPooling);
        assert_eq!(blocks.iter().map(|b| b.out_channels).collect::<Vec<_>>(), [8, 16, 32, 64, 64]);
        let whole = Architecture::of(&network(blocks, None, 2), &[1, 169, 208, 179]).expect("it fits");
        assert_eq!(whole.sizes_after_blocks().last(), Some(&vec![6, 7, 6]));
        assert_eq!(Chain(&whole.fc).to_string(), "16128 -> 180 -> 2");

        let blocks = doubling_blocks(1, 16, 64, &[2, 3, 2], Reduction::Stride);
        let patch = Architecture::of(&network(blocks, None, 1), &[1, 50, 50, 50]).expect("it fits");
        assert_eq!(Chain(&patch.fc).to_string(), "21952 -> 2");
    }

    #[test]
    fn the_limit_cuts_every_width_the_first_one_too() {
        let widths = |first, limit| {
            let blocks = doubling_blocks(1, first, limit, &[1, 1, 1], Reduction::Stride);
            blocks.iter().map(|b| b.out_channels).collect::<Vec<_>>()
        };
        assert_eq!(widths(48, 64), [48, 64, 64]);
        assert_eq!(widths(128, 64), [64, 64, 64]);
        assert_eq!(widths(4, 512), [4, 8, 16]);
    }

    #[test]
    fn widths_that_differ_from_the_computed_ones_are_refused_with_both() {
        let mut options = network(doubling_blocks(1, 8, 64, &[1], Reduction::Stride), None, 1);
        options.fc = Some(vec![FcLayer { in_features: 9, out_features: 2 }]);
        let fault = Architecture::of(&options, &[1, 4, 4, 4]).expect_err("9 is not 64");
        assert_eq!(fault.key, "fc");
        assert!(fault.sentence.contains("9 -> 2") && fault.sentence.contains("64 -> 2"), "{fault}");
    }

    #[test]
    fn instance_normalisation_over_one_voxel_is_refused_where_a_normalisation_sees_one() {
        let make = |n_conv: &[usize], reduction, shape: &[usize]| {
            let blocks = doubling_blocks(1, 4, 64, n_conv, reduction);
            Architecture::of(&network(blocks, Some(Normalization::Instance), 1), shape)
        };
        // A stride comes before the last normalisation of its block, pooling after it.
        assert!(make(&[1, 1], Reduction::Stride, &[1, 4, 4, 4]).is_err());
        assert!(make(&[1, 1], Reduction::MaxPooling, &[1, 4, 4, 4]).is_ok());
        assert!(make(&[1, 1, 1], Reduction::MaxPooling, &[1, 4, 4, 4]).is_err());
        assert!(make(&[2], Reduction::Stride, &[1, 3, 3, 3]).is_ok());
    }

    #[test]
    fn an_autoencoder_counts_its_decoder_and_has_no_fully_connected_layer() {
        let mut options = network(doubling_blocks(1, 2, 64, &[2], Reduction::MaxPooling), Some(Normalization::Batch), 1);
        options.network_type = NetworkType::Autoencoder;
        let architecture = Architecture::of(&options, &[1, 6, 6, 6]).expect("it fits");
        assert!(architecture.fc.is_empty());
        // Encoder: 1 -> 1 (27 + 1 + 2) and 1 -> 2 (54 + 2 + 4); decoder: 2 -> 1 (54 + 1 + 2) and 1 -> 1 (27 + 1).
        assert_eq!(architecture.parameters(), 30 + 60 + 57 + 28);
    }

    #[test]
    fn a_network_too_large_to_count_is_refused_or_saturates_but_never_wraps() {
        let blocks = doubling_blocks(1, 1 << 16, 1 << 16, &[64], Reduction::Stride);
        let huge = usize::MAX / 4;
        let fault = Architecture::of(&network(blocks, None, 1), &[1, huge, huge, huge]).expect_err("cannot be counted");
        assert_eq!(fault.key, "convolutions");
    }
}
