//! What training a network takes before it is built: its parameters and its peak memory.
//!
//! The model follows the trainer's own layers: which tensors a layer keeps for its gradient, and what is alive beside them
//! at the widest moment of the backward pass (held against measured peaks in `docs/performance.md`). All arithmetic
//! saturates, so that a network too large to count is too large for every device.

use super::architecture::{Architecture, ConvBlock};
use super::options::{NetworkType, Reduction};

/// Bytes of one f32, and of one index that a pool keeps.
const NUMBER: u64 = 4;
const INDEX: u64 = 8;

/// Weights, gradients and Adam's two moments.
const COPIES_OF_WEIGHTS: u64 = 4;

/// What libtorch itself takes when it first computes: its code, its kernels made at run time, threads and scratch.
const LIBRARY: u64 = 120 << 20;

/// Parameters and peak memory of training one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    pub parameters: u64,
    /// Peak of a training step in bytes, above what the process held before the network was built.
    pub peak_bytes: u64,
}

impl Footprint {
    /// Of a network of this architecture and type, trained with batches of so many items.
    pub fn of(architecture: &Architecture, network_type: NetworkType, batch_size: usize) -> Footprint {
        let parameters = architecture.parameters();
        let mut tally = Tally { batch: batch_size as u64, ..Tally::default() };
        tally.keep(tally.cell(architecture.input[0], &architecture.input[1..]));
        let mut sizes = vec![architecture.input[1..].to_vec()];
        sizes.extend(architecture.sizes_after_blocks());
        let autoencoder = network_type == NetworkType::Autoencoder;
        for (index, block) in architecture.blocks.iter().enumerate() {
            tally.block(architecture, block, &sizes[index], &sizes[index + 1], autoencoder);
        }
        if autoencoder {
            for (index, block) in architecture.blocks.iter().enumerate().rev() {
                tally.decoder_block(architecture, block, &sizes[index], &sizes[index + 1]);
            }
        } else {
            tally.classifier(architecture);
        }
        let weights = parameters.saturating_mul(NUMBER).saturating_mul(COPIES_OF_WEIGHTS);
        Footprint { parameters, peak_bytes: weights.saturating_add(tally.peak).saturating_add(LIBRARY) }
    }
}

/// The tensors of one training step, layer by layer.
#[derive(Debug, Default)]
struct Tally {
    batch: u64,
    /// Bytes kept so far for the backward pass.
    kept: u64,
    /// The most alive at once so far. A layer's backward pass begins with all that was kept up to it, since what came
    /// after is already given back.
    peak: u64,
}

impl Tally {
    /// Bytes of a batch of `channels` of these sizes.
    fn cell(&self, channels: usize, sizes: &[usize]) -> u64 {
        let voxels = sizes.iter().fold(1_u64, |product, size| product.saturating_mul(*size as u64));
        self.batch.saturating_mul(channels as u64).saturating_mul(voxels).saturating_mul(NUMBER)
    }

    fn keep(&mut self, bytes: u64) {
        self.kept = self.kept.saturating_add(bytes);
        self.peak = self.peak.max(self.kept);
    }

    /// `bytes` are alive beside what is kept, for a moment.
    fn pass(&mut self, bytes: u64) {
        self.peak = self.peak.max(self.kept.saturating_add(bytes));
    }

    fn block(&mut self, architecture: &Architecture, block: &ConvBlock, before: &[usize], after: &[usize], remembers: bool) {
        for i in 0..block.n_conv {
            let last = i + 1 == block.n_conv;
            let channels = if last { block.out_channels } else { block.in_channels };
            let strided = last && block.d_reduction == Reduction::Stride;
            let input = self.cell(block.in_channels, before);
            let output = self.cell(channels, if strided { after } else { before });
            self.convolution(input, output, channels, architecture.normalization.is_some());
        }
        if block.d_reduction == Reduction::MaxPooling {
            let (input, output) = (self.cell(block.out_channels, before), self.cell(block.out_channels, after));
            // The padded copy, which only an autoencoder's pool makes.
            let padded = if remembers { output.saturating_mul(1 << before.len()) } else { 0 };
            self.keep(output.saturating_mul(1 + INDEX / NUMBER).saturating_add(padded));
            self.pass(input.saturating_add(output.saturating_mul(2)));
        }
    }

    /// A convolution, its normalisation and its activation. Without normalisation the gradient of the output stands twice in
    /// the backward pass (before and after the activation) until that of the input takes the place of the first.
    fn convolution(&mut self, input: u64, output: u64, channels: usize, normalized: bool) {
        if !normalized {
            self.keep(output);
            self.pass(output.saturating_add(output.max(input)));
            return;
        }
        // Contiguous before the normalisation, contiguous after it, and channels-last for the next layer; one channel is
        // both at once.
        let copies = if channels == 1 { 2 } else { 3 };
        // Backwards the copies go as the gradient comes: four tensors of the output's size at most, or two and the input's.
        self.pass(output.saturating_mul(4).max(output.saturating_mul(2).saturating_add(input)));
        self.keep(output.saturating_mul(copies));
    }

    fn decoder_block(&mut self, architecture: &Architecture, block: &ConvBlock, before: &[usize], after: &[usize]) {
        if block.d_reduction == Reduction::MaxPooling {
            // The unpooled tensor as it comes, and channels-last for the convolution.
            let output = self.cell(block.out_channels, before);
            self.keep(output.saturating_mul(2));
            self.pass(output);
        }
        for i in (0..block.n_conv).rev() {
            let last = i + 1 == block.n_conv;
            let channels = if last { block.out_channels } else { block.in_channels };
            let strided = last && block.d_reduction == Reduction::Stride;
            let input = self.cell(channels, if strided { after } else { before });
            let output = self.cell(block.in_channels, before);
            self.convolution(input, output, block.in_channels, architecture.normalization.is_some());
        }
    }

    /// The flat features, a copy for dropout with its mask, and the layers' outputs.
    fn classifier(&mut self, architecture: &Architecture) {
        for (index, layer) in architecture.fc.iter().enumerate() {
            let copies = if index == 0 { 3 } else { 1 };
            self.keep(self.cell(layer.in_features, &[]).saturating_mul(copies));
        }
        self.pass(architecture.fc.first().map_or(0, |layer| self.cell(layer.in_features, &[])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::architecture::{NetworkOptions, doubling_blocks};

    fn architecture(first: usize, n_conv: &[usize], reduction: Reduction, shape: &[usize]) -> Architecture {
        let network = NetworkOptions {
            network_type: NetworkType::Cnn,
            normalization: None,
            blocks: doubling_blocks(1, first, 64, n_conv, reduction),
            n_fcblocks: 2,
            fc: None,
            dropout: 0.0,
        };
        Architecture::of_network(&network, shape).expect("it fits")
    }

    #[test]
    fn a_small_network_is_counted_tensor_by_tensor() {
        let shape = [1, 8, 8, 8];
        let footprint = Footprint::of(&architecture(2, &[1], Reduction::Stride, &shape), NetworkType::Cnn, 3);
        // Batch 3 x 512; the block's output 3 x 128, three times as flat features; then the second layer's input of 16.
        let kept = (3 * 512 + 3 * 128) * 4;
        let flat = 3 * 3 * 128 * 4 + 3 * 16 * 4;
        let weights = footprint.parameters * 16;
        assert!(footprint.peak_bytes >= LIBRARY + weights + kept + flat);
        assert!(footprint.peak_bytes <= LIBRARY + weights + 2 * kept + flat, "and the gradients of one layer beside it");
    }

    #[test]
    fn memory_grows_with_the_batch_and_the_width_and_falls_with_strides() {
        let shape = [1, 40, 40, 40];
        let bytes = |first, reduction, batch| {
            let footprint = Footprint::of(&architecture(first, &[2, 2], reduction, &shape), NetworkType::Cnn, batch);
            footprint.peak_bytes - LIBRARY - footprint.parameters * 16
        };
        assert!(bytes(16, Reduction::MaxPooling, 4) == 4 * bytes(16, Reduction::MaxPooling, 1));
        assert!(bytes(32, Reduction::MaxPooling, 2) > bytes(16, Reduction::MaxPooling, 2));
        assert!(bytes(16, Reduction::Stride, 2) < bytes(16, Reduction::MaxPooling, 2));
    }

    #[test]
    fn an_autoencoder_takes_more_than_its_encoder() {
        let mut shape = architecture(8, &[1, 1], Reduction::MaxPooling, &[1, 20, 21, 22]);
        let cnn = Footprint::of(&shape, NetworkType::Cnn, 2);
        shape.fc.clear();
        let autoencoder = Footprint::of(&shape, NetworkType::Autoencoder, 2);
        assert!(autoencoder.peak_bytes - LIBRARY > cnn.peak_bytes - LIBRARY - cnn.parameters * 16);
    }

    #[test]
    fn what_cannot_be_counted_is_more_than_any_device_has() {
        let mut shape = architecture(2, &[1], Reduction::Stride, &[1, 8, 8, 8]);
        shape.input = vec![1, usize::MAX, usize::MAX, usize::MAX];
        assert_eq!(Footprint::of(&shape, NetworkType::Cnn, usize::MAX).peak_bytes, u64::MAX);
    }
}
