//! What training a network takes before it is built: its parameters and its peak memory.
//!
//! The model follows the trainer's own layers: which tensors a layer keeps for its gradient, and what is alive beside them
//! at the widest moment of the backward pass (held against measured peaks in `docs/performance.md`). All arithmetic
//! saturates, so that a network too large to count is too large for every device.

use super::architecture::{Architecture, ConvBlock};
use crate::domain::device::Device;
use crate::domain::text::units::memory;
use crate::domain::words::{NetworkType, Reduction, Selection};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of one f32, and of one index that a pool keeps.
const NUMBER: u64 = 4;
const INDEX: u64 = 8;

/// Weights, gradients and Adam's two moments.
const COPIES_OF_WEIGHTS: u64 = 4;

/// What libtorch takes when it first computes, for its code, its threads and the kernels it makes at run time.
const LIBRARY: u64 = 24 << 20;

/// Its convolutions' scratch and the heap's own losses: half of what a small step keeps, and no more than this for a large
/// one; and what is added where the threads share one item between them. Measured, as the kernels do not say.
const MOST_SCRATCH: u64 = 96 << 20;
const SHARED_ITEM: u64 = 64 << 20;

/// Parameters and peak memory of training one network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    pub parameters: u64,
    /// Peak of a training step in bytes, above what the process held before the network was built.
    pub peak_bytes: u64,
    /// Bytes of the models that are the best so far, one for each selection at most. They lie in the machine's memory, wherever
    /// the network trains. 0 in records that were written before it was foreseen.
    #[serde(default)]
    pub kept_bytes: u64,
    /// Bytes of the items that are loaded ahead and of the images that are decoded for them, in the machine's memory too. 0 in
    /// records that were written before it was foreseen.
    #[serde(default)]
    pub image_bytes: u64,
}

/// What is loaded for a training, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// Voxels of an item, and of what it is cut from.
    pub item: usize,
    pub volume: usize,
    /// Items of an epoch, those of its evaluations included.
    pub items: usize,
    pub workers: usize,
}

impl Loading {
    /// Bytes held at once where at most `batch` items go to the network together: without workers one item, and the image that it
    /// is cut from; with them two batches, of which as many are being decoded as there are workers.
    fn bytes(&self, batch: usize) -> u64 {
        let ahead = if self.workers == 0 { 1 } else { batch.saturating_mul(2).min(self.items) };
        let decoded = self.workers.clamp(1, ahead.max(1));
        let of = |count: usize, voxels: usize| (count as u64).saturating_mul(voxels as u64).saturating_mul(NUMBER);
        of(ahead, self.item).saturating_add(of(decoded, self.volume))
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters, about {} to train", self.parameters, self.memory())
    }
}

impl Footprint {
    /// Bytes that training takes of a device's own memory; `device` as [`Device::as_str`] writes it.
    pub fn on(&self, device: &str) -> u64 {
        let beside = if device == Device::Cpu.as_str() { self.kept_bytes.saturating_add(self.image_bytes) } else { 0 };
        self.peak_bytes.saturating_add(beside)
    }

    /// What training on the CPU takes, as a person reads it.
    pub fn memory(&self) -> String {
        memory(self.on(Device::Cpu.as_str()))
    }

    /// Of a network of this architecture and type, trained with batches of this size.
    pub fn of(architecture: &Architecture, network_type: NetworkType, batch_size: usize) -> Footprint {
        let parameters = architecture.parameters();
        let weights = parameters.saturating_mul(NUMBER);
        let step = step(architecture, network_type, batch_size);
        let shared = if batch_size == 1 { SHARED_ITEM } else { 0 };
        let overhead = LIBRARY + shared + (step / 2).min(MOST_SCRATCH);
        let peak_bytes = weights.saturating_mul(COPIES_OF_WEIGHTS).saturating_add(step).saturating_add(overhead);
        // Without classes there is no balanced accuracy to be the best by.
        let selections = if network_type == NetworkType::Autoencoder { 1 } else { Selection::ALL.len() as u64 };
        Footprint { parameters, peak_bytes, kept_bytes: weights.saturating_mul(selections), image_bytes: 0 }
    }

    /// As [`Footprint::of`], with what is loaded for it.
    pub fn loading(architecture: &Architecture, network_type: NetworkType, batch_size: usize, loading: &Loading) -> Footprint {
        let batch = evaluation_batch(architecture, network_type, batch_size);
        Footprint { image_bytes: loading.bytes(batch), ..Footprint::of(architecture, network_type, batch_size) }
    }
}

/// The most batches that are evaluated together. Beyond that, a GPU gains little more.
const MOST_TOGETHER: u64 = 8;

/// Items that an evaluation gives the network at once, a multiple of `batch_size`: without gradients several batches take no
/// more memory than one does in a training step, and small ones are over sooner together. It depends on nothing but what it is
/// given, so that every attempt of a job computes alike.
pub fn evaluation_batch(architecture: &Architecture, network_type: NetworkType, batch_size: usize) -> usize {
    let tally = tally(architecture, network_type, batch_size);
    let together = (tally.peak / tally.widest.max(1)).clamp(1, MOST_TOGETHER);
    batch_size.saturating_mul(together as usize)
}

/// Bytes of the batch, the activations and their gradients at the widest moment of a training step.
fn step(architecture: &Architecture, network_type: NetworkType, batch_size: usize) -> u64 {
    tally(architecture, network_type, batch_size).peak
}

fn tally(architecture: &Architecture, network_type: NetworkType, batch_size: usize) -> Tally {
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
    tally
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
    /// The most alive at once where nothing is kept: a layer's input, its output and a copy of that.
    widest: u64,
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

    /// A layer makes `output` of `input`.
    fn layer(&mut self, input: u64, output: u64) {
        self.widest = self.widest.max(input.saturating_add(output.saturating_mul(2)));
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
            self.layer(input, output);
            // The padded copy, which only an autoencoder's pool makes, of odd sizes; after a normalisation it is the one that is
            // channels-last, which is counted there.
            let copied = remembers && architecture.normalization.is_none() && before.iter().any(|size| size % 2 == 1);
            let padded = if copied { output.saturating_mul(1 << before.len()) } else { 0 };
            self.keep(output.saturating_mul(1 + INDEX / NUMBER).saturating_add(padded));
            self.pass(input.saturating_add(output.saturating_mul(2)));
        }
    }

    /// A convolution, its normalisation and its activation. Without normalisation the gradient of the output stands twice in
    /// the backward pass (before and after the activation) until that of the input takes the place of the first.
    fn convolution(&mut self, input: u64, output: u64, channels: usize, normalized: bool) {
        self.layer(input, output);
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
            let (input, output) = (self.cell(block.out_channels, after), self.cell(block.out_channels, before));
            self.layer(input, output);
            // The pool's indices in another order, and the unpooled tensor channels-last for the convolution. As it came it is
            // needed no more, and of its gradient there are two for a moment.
            self.keep(output.saturating_add(input.saturating_mul(INDEX / NUMBER)));
            self.pass(output.saturating_mul(2));
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
    use crate::domain::network::architecture::{NetworkOptions, doubling_blocks};
    use crate::domain::words::Normalization;

    #[test]
    fn items_loaded_ahead_and_the_images_being_decoded_count_on_the_cpu_alone() {
        let mib = |bytes: u64| bytes >> 20;
        let loading = |items, workers| Loading { item: 1 << 24, volume: 1 << 24, items, workers };
        // Measured with images of 256 x 256 x 256, of 64 MiB each: two workers take two items and one image more than none with
        // batches of one, and three items and one image more with batches of two.
        for (items, workers, batch, wanted) in
            [(14, 0, 1, 2), (14, 2, 1, 4), (14, 0, 2, 2), (14, 2, 2, 6), (3, 2, 2, 5), (14, 9, 1, 4)]
        {
            assert_eq!(mib(loading(items, workers).bytes(batch)), 64 * wanted, "{items} {workers} {batch}");
        }
        let architecture = architecture(2, &[1, 1], Reduction::Stride, &[1, 32, 32, 32]);
        let footprint = Footprint::loading(&architecture, NetworkType::Cnn, 2, &loading(14, 0));
        assert_eq!(footprint.on("cpu"), footprint.peak_bytes + footprint.kept_bytes + (128 << 20));
        assert_eq!(footprint.on("GPU-1a"), footprint.peak_bytes);
    }

    fn architecture(first: usize, n_conv: &[usize], reduction: Reduction, shape: &[usize]) -> Architecture {
        shaped(first, n_conv, reduction, None, 2, shape)
    }

    fn shaped(
        first: usize,
        n_conv: &[usize],
        reduction: Reduction,
        normalization: Option<Normalization>,
        n_fcblocks: usize,
        shape: &[usize],
    ) -> Architecture {
        let network = NetworkOptions {
            network_type: NetworkType::Cnn,
            normalization,
            blocks: doubling_blocks(1, first, 64, n_conv, reduction),
            n_fcblocks,
            fc: None,
            dropout: 0.0,
        };
        Architecture::of(&network, shape).expect("it fits")
    }

    /// Within a quarter of `measured`, megabytes at batches of 1, 2 and 4.
    fn assert_near(architecture: &Architecture, measured: [u64; 3]) {
        for (batch, measured) in [1, 2, 4].into_iter().zip(measured) {
            let predicted = Footprint::of(architecture, NetworkType::Cnn, batch).peak_bytes as f64 / 1e6;
            let ratio = predicted / measured as f64;
            assert!((0.75..=1.25).contains(&ratio), "{predicted} for {measured} MB, batch {batch}: {architecture:?}");
        }
    }

    /// The measured peaks are `neurosearch-trainer bench --memory`'s, two threads; `docs/performance.md` has the commands.
    #[test]
    fn predictions_are_within_a_quarter_of_what_was_measured() {
        use Normalization::Batch;
        use Reduction::{MaxPooling, Stride};
        let image = [1, 169, 208, 179];
        assert_near(&architecture(8, &[2, 3, 2, 1, 1], MaxPooling, &image), [980, 1568, 2927]);
        assert_near(&shaped(16, &[2, 3, 2], Stride, None, 1, &[1, 50, 50, 50]), [120, 49, 72]);
        type Measured = (usize, &'static [usize], Reduction, Option<Normalization>, usize, [u64; 3]);
        let draws: [Measured; 12] = [
            (32, &[1, 2, 1, 1, 1], Stride, Some(Batch), 2, [934, 1776, 3363]),
            (16, &[2, 2, 1, 2, 1], Stride, Some(Batch), 2, [648, 1145, 2145]),
            (4, &[2, 1, 1, 2, 2], Stride, None, 2, [281, 389, 559]),
            (4, &[2, 1, 2, 1, 1], MaxPooling, Some(Batch), 2, [837, 1529, 2836]),
            (16, &[1, 1, 2, 2, 2], MaxPooling, Some(Batch), 3, [2309, 4116, 7972]),
            (16, &[1, 2, 1, 1, 1], Stride, Some(Batch), 2, [630, 1009, 1963]),
            (8, &[1, 1, 2], Stride, Some(Batch), 2, [6483, 6772, 6889]),
            (4, &[1, 2, 1], Stride, Some(Batch), 2, [2523, 2533, 2833]),
            (16, &[1, 1, 2, 2, 2, 2], Stride, None, 3, [349, 518, 874]),
            (16, &[2, 2, 1], MaxPooling, None, 1, [1596, 2704, 5288]),
            (8, &[1, 2, 1, 2, 2, 2], Stride, Some(Batch), 2, [393, 638, 1082]),
            (32, &[1, 1, 1, 1, 1, 1], MaxPooling, Some(Batch), 2, [3794, 7508, 14783]),
        ];
        for (first, n_conv, reduction, normalization, n_fcblocks, measured) in draws {
            assert_near(&shaped(first, n_conv, reduction, normalization, n_fcblocks, &image), measured);
        }
    }

    /// Draws that took no part in choosing the constants, with their megabytes as measured.
    #[test]
    fn predictions_for_draws_that_the_model_was_not_fitted_to_are_within_a_quarter_too() {
        use NetworkType::{Autoencoder, Cnn};
        use Normalization::{Batch, Instance};
        use Reduction::{MaxPooling, Stride};
        type Measured = (NetworkType, usize, &'static [usize], Reduction, Option<Normalization>, usize, usize, u64);
        let draws: [Measured; 33] = [
            (Cnn, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Batch), 3, 1, 745),
            (Cnn, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Batch), 3, 2, 1238),
            (Cnn, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Batch), 3, 4, 2255),
            (Cnn, 16, &[2, 1, 1, 1], Stride, Some(Batch), 3, 1, 5593),
            (Cnn, 16, &[2, 1, 1, 1], Stride, Some(Batch), 3, 2, 5867),
            (Cnn, 16, &[2, 1, 1, 1], Stride, Some(Batch), 3, 4, 6611),
            (Cnn, 16, &[2, 2], Stride, Some(Batch), 1, 1, 771),
            (Cnn, 16, &[2, 2], Stride, Some(Batch), 1, 2, 1110),
            (Cnn, 16, &[2, 2], Stride, Some(Batch), 1, 4, 2025),
            (Cnn, 32, &[2, 1, 1, 2, 1], Stride, None, 3, 1, 739),
            (Cnn, 32, &[1, 1, 1], Stride, None, 1, 1, 519),
            (Cnn, 32, &[2, 1, 1, 1], Stride, None, 2, 1, 1295),
            (Cnn, 16, &[1, 1, 1, 2], Stride, Some(Batch), 2, 1, 1313),
            (Cnn, 8, &[2, 2, 2, 2, 2, 1], Stride, Some(Batch), 3, 1, 477),
            (Cnn, 16, &[1, 2, 1, 1], Stride, Some(Batch), 2, 1, 1510),
            (Cnn, 16, &[1, 2, 1, 1, 1, 2], Stride, Some(Batch), 1, 1, 626),
            (Cnn, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Instance), 3, 1, 768),
            (Cnn, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Instance), 3, 2, 1254),
            (Cnn, 4, &[2, 1, 1, 2, 1], Stride, Some(Instance), 3, 1, 543),
            (Cnn, 4, &[2, 1, 1, 2, 1], Stride, Some(Instance), 3, 2, 633),
            (Cnn, 4, &[2, 1, 1, 2, 1], Stride, Some(Instance), 3, 4, 949),
            (Cnn, 4, &[1, 2, 2, 1, 1, 1], Stride, Some(Instance), 3, 2, 381),
            (Autoencoder, 4, &[1, 2, 1, 2, 2, 2], MaxPooling, Some(Batch), 3, 1, 1181),
            (Autoencoder, 4, &[2, 1], MaxPooling, None, 3, 1, 786),
            (Autoencoder, 4, &[2, 1], MaxPooling, None, 3, 2, 1433),
            (Autoencoder, 16, &[2, 1, 1, 1], Stride, Some(Batch), 3, 1, 786),
            (Autoencoder, 16, &[2, 1, 1, 1], Stride, Some(Batch), 3, 2, 1352),
            (Autoencoder, 4, &[1, 2, 2], MaxPooling, Some(Instance), 3, 1, 1065),
            (Autoencoder, 4, &[1, 2, 2], MaxPooling, Some(Instance), 3, 2, 1981),
            (Autoencoder, 32, &[1, 1, 1], Stride, None, 1, 1, 560),
            (Autoencoder, 32, &[1, 1, 1], Stride, None, 1, 2, 1089),
            (Autoencoder, 8, &[2, 1, 1, 1, 1, 2], MaxPooling, Some(Instance), 3, 1, 1810),
            (Autoencoder, 4, &[2, 2], MaxPooling, Some(Batch), 3, 2, 1907),
        ];
        for (kind, first, n_conv, reduction, normalization, n_fcblocks, batch, measured) in draws {
            let mut shape = shaped(first, n_conv, reduction, normalization, n_fcblocks, &[1, 169, 208, 179]);
            if kind == Autoencoder {
                shape.fc.clear();
            }
            let predicted = Footprint::of(&shape, kind, batch).peak_bytes as f64 / 1e6;
            let ratio = predicted / measured as f64;
            assert!((0.75..=1.25).contains(&ratio), "{predicted} for {measured} MB, {kind}, batch {batch}: {shape:?}");
        }
    }

    #[test]
    fn the_best_models_take_memory_beside_a_cpu_training_and_none_of_a_gpu() {
        let shape = architecture(8, &[1, 1, 2], Reduction::Stride, &[1, 169, 208, 179]);
        for (kind, models) in [(NetworkType::Cnn, 2), (NetworkType::MultiCnn, 2), (NetworkType::Autoencoder, 1)] {
            let footprint = Footprint::of(&shape, kind, 1);
            assert_eq!(footprint.kept_bytes, models * 4 * footprint.parameters, "{kind}");
            assert_eq!(footprint.on("cpu"), footprint.peak_bytes + footprint.kept_bytes);
            assert_eq!(footprint.on("GPU-1a"), footprint.peak_bytes);
        }
        let earlier: Footprint = serde_json::from_str(r#"{"parameters": 7, "peak_bytes": 9}"#).expect("an earlier record's");
        assert_eq!(earlier, Footprint { parameters: 7, peak_bytes: 9, kept_bytes: 0, image_bytes: 0 });
    }

    #[test]
    fn a_small_network_is_counted_tensor_by_tensor() {
        let shape = architecture(2, &[1], Reduction::Stride, &[1, 8, 8, 8]);
        let (batch, output) = (3 * 512 * 4, 3 * 128 * 4);
        // The convolution's gradients are the widest moment: that of its output and that of its input, beside both.
        assert_eq!(step(&shape, NetworkType::Cnn, 3), batch + output + output + batch);
    }

    #[test]
    fn memory_grows_with_the_batch_and_the_width_and_falls_with_strides() {
        let shape = [1, 40, 40, 40];
        let bytes = |first, reduction, batch| step(&architecture(first, &[2, 2], reduction, &shape), NetworkType::Cnn, batch);
        assert_eq!(bytes(16, Reduction::MaxPooling, 4), 4 * bytes(16, Reduction::MaxPooling, 1));
        assert!(bytes(32, Reduction::MaxPooling, 2) > bytes(16, Reduction::MaxPooling, 2));
        assert!(bytes(16, Reduction::Stride, 2) < bytes(16, Reduction::MaxPooling, 2));
    }

    #[test]
    fn an_evaluation_takes_small_items_together_in_a_training_steps_memory() {
        let patch = shaped(16, &[2, 3, 2], Reduction::Stride, None, 1, &[1, 50, 50, 50]);
        let together = |batch| evaluation_batch(&patch, NetworkType::Cnn, batch);
        assert_eq!([together(1), together(2), together(5)], [2, 4, 10]);
        for (n_conv, reduction) in
            [(&[2, 3, 2][..], Reduction::MaxPooling), (&[1], Reduction::Stride), (&[2, 2, 2, 2], Reduction::Stride)]
        {
            let shape = architecture(8, n_conv, reduction, &[1, 169, 208, 179]);
            for kind in [NetworkType::Cnn, NetworkType::Autoencoder] {
                let items = evaluation_batch(&shape, kind, 4);
                assert!(items >= 4 && items.is_multiple_of(4), "{items}");
                let (one, training) = (tally(&shape, kind, 1).widest, step(&shape, kind, 4));
                assert!(items == 4 || one * items as u64 <= training, "{items} items of {one} bytes, {training} in training");
            }
        }
    }

    #[test]
    fn an_autoencoder_takes_more_than_its_encoder() {
        let shape = architecture(8, &[1, 1], Reduction::MaxPooling, &[1, 20, 21, 22]);
        assert!(step(&shape, NetworkType::Autoencoder, 2) > step(&shape, NetworkType::Cnn, 2));
    }

    #[test]
    fn what_cannot_be_counted_is_more_than_any_device_has() {
        let mut shape = architecture(2, &[1], Reduction::Stride, &[1, 8, 8, 8]);
        shape.input = vec![1, usize::MAX, usize::MAX, usize::MAX];
        assert_eq!(Footprint::of(&shape, NetworkType::Cnn, usize::MAX).peak_bytes, u64::MAX);
    }
}
