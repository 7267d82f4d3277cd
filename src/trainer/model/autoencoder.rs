//! The autoencoder of a sampled network: the CNN's blocks as an encoder, and a decoder that undoes them one by one.

use super::layers::{Conv, Layer};
use super::network::{Modules, Network, Step, conv_block, wide};
use crate::failure::TrainingFailure;
use neurosearch::domain::network::architecture::{Architecture, ConvBlock, halved};
use neurosearch::domain::words::{Normalization, Reduction};
use tch::{Device, TchError};

impl Network {
    /// Encoder and decoder: the output has the input's shape, whatever its sizes.
    pub fn autoencoder(architecture: &Architecture, device: Device) -> Result<Self, TrainingFailure> {
        let normalization = architecture.normalization;
        let axes = architecture.input.len() - 1;
        let mut steps = Vec::new();
        let mut sizes = vec![architecture.input[1..].to_vec()];
        for (i, block) in architecture.blocks.iter().enumerate() {
            let name = format!("encoder.conv{i}");
            steps.extend(conv_block(&name, block, normalization, axes, Layer::RememberingPool, device)?);
            sizes.push(sizes[i].iter().map(|size| halved(*size)).collect());
        }
        for (i, block) in architecture.blocks.iter().enumerate().rev() {
            let name = format!("decoder.conv{i}");
            steps.extend(decoder_block(&name, block, &sizes[i], normalization, i == 0, device)?);
        }
        Ok(Network::of(steps, device))
    }
}

/// Undoes one block whose input had these sizes. `outermost` is the block that gives the image back: nothing follows its last layer.
fn decoder_block(
    name: &str,
    block: &ConvBlock,
    sizes: &[usize],
    normalization: Option<Normalization>,
    outermost: bool,
    device: Device,
) -> Result<Vec<Step>, TchError> {
    let mut modules = Modules::new(name, normalization, device);
    if block.d_reduction == Reduction::MaxPooling {
        modules.push(Layer::Unpool, false);
    }
    let channels = wide(block.in_channels);
    for i in (0..block.n_conv).rev() {
        let last = i + 1 == block.n_conv;
        let from = if last { wide(block.out_channels) } else { channels };
        let (stride, output_padding) = if last && block.d_reduction == Reduction::Stride {
            // Stride 2 takes 2m and 2m - 1 to m alike; transposed, m becomes 2m - 1, so an even size lacks one.
            (2, sizes.iter().map(|size| i64::from(size % 2 == 0)).collect())
        } else {
            (1, vec![0; sizes.len()])
        };
        let conv = Conv::zeros(from, channels, sizes.len(), stride, Some(output_padding), device)?;
        modules.convolution(conv, channels, !(outermost && i == 0))?;
    }
    Ok(modules.steps)
}
