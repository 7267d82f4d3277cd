//! One job's draw from a search space: the same for the same seed and index, in any order, on any machine.

use super::SearchSpace;
use crate::domain::input::keys::{self, Key};
use crate::domain::input::object_reader::Span;
use crate::domain::network::architecture::doubling_blocks;
use crate::domain::options::JobOptions;
use crate::domain::random::{below, unit};
use crate::domain::seed;
use crate::domain::text::fault::Fault;
use crate::domain::words::{Mode, NetworkType};
use rand_chacha::ChaCha12Rng;
use serde_json::Map;

/// Values that were drawn and do not go together: a failed job of class `bad_options`.
#[derive(Debug, Clone, PartialEq)]
pub struct Misfit {
    /// All of them, for the job's record, or None if a variable has no value to choose from, which no space that was read
    /// comes to.
    pub options: Option<Box<JobOptions>>,
    pub fault: Fault,
}

impl From<Fault> for Misfit {
    fn from(fault: Fault) -> Self {
        Misfit { options: None, fault }
    }
}

/// The options of job `index` of the search with this `seed`, before the data's sizes are known (`fc` is none).
///
/// Every variable has a stream of its own, so that a variable added to the space leaves the others' draws as they are.
///
/// # Errors
/// The values do not go together.
pub fn draw(space: &SearchSpace, seed: u64, index: u64) -> Result<JobOptions, Misfit> {
    redraw(space, seed, index, 0)
}

/// As [`draw`], for the `number`th time: 0 is the first draw, and each number has streams of its own, so that what a job
/// was drawn from is known by seed, index and number.
pub fn redraw(space: &SearchSpace, seed: u64, index: u64, number: u64) -> Result<JobOptions, Misfit> {
    let seed = if number == 0 { seed } else { seed::derive(seed, "redraw", &[index, number]) };
    let draws = Draws { seed, index };
    let mode = draws.choice(&keys::MODE, &space.mode)?;
    let network_type = draws.network_type(space, mode)?;
    let patch_size = draws.whole(&keys::PATCH_SIZE, space.patch_size);
    let stride_size = draws.whole(&keys::STRIDE_SIZE, space.stride_size);
    let slice_direction = draws.choice(&keys::SLICE_DIRECTION, &space.slice_direction)?;
    let mode_options = space.mode_options(mode, patch_size, stride_size, slice_direction);
    let d_reduction = draws.choice(&keys::D_REDUCTION, &space.d_reduction)?;
    let width = draws.choice(&keys::FIRST_CONV_WIDTH, &space.first_conv_width)?;
    let wd_bool = draws.choice(&keys::WD_BOOL, &space.wd_bool)?;
    let weight_decay = draws.exponent(&keys::WEIGHT_DECAY, space.weight_decay);
    let accumulation_steps = count(draws.whole(&keys::ACCUMULATION_STEPS, space.accumulation_steps));
    let channels = if mode == Mode::Slice { 3 } else { 1 };
    let options = JobOptions {
        mode: mode_options,
        selection_threshold: space
            .selection_threshold
            .filter(|_| mode != Mode::Image)
            .map(|span| draws.uniform(&keys::SELECTION_THRESHOLD, span)),
        network_type,
        caps_dir: space.caps_dir.clone(),
        tsv_path: space.tsv_path.clone(),
        preprocessing: draws.choice(&keys::PREPROCESSING, &space.preprocessing)?,
        diagnoses: space.diagnoses.clone(),
        baseline: draws.choice(&keys::BASELINE, &space.baseline)?,
        unnormalize: draws.choice(&keys::UNNORMALIZE, &space.unnormalize)?,
        data_augmentation: space.data_augmentation.clone(),
        sampler: draws.choice(&keys::SAMPLER, &space.sampler)?,
        folds: space.folds.clone(),
        epochs: space.epochs,
        batch_size: space.batch_size,
        nproc: space.nproc,
        use_cpu: space.use_cpu,
        evaluation_steps: space.evaluation_steps.next_multiple_of(accumulation_steps.max(1)),
        accumulation_steps,
        learning_rate: draws.exponent(&keys::LEARNING_RATE, space.learning_rate),
        wd_bool,
        weight_decay: if wd_bool { weight_decay } else { 0.0 },
        dropout: draws.uniform(&keys::DROPOUT, space.dropout),
        patience: space.patience,
        tolerance: space.tolerance,
        transfer_path: draws.choice(&keys::TRANSFER_PATH, &space.transfer_learning_path)?,
        transfer_selection: draws.choice(&keys::TRANSFER_SELECTION, &space.transfer_learning_selection)?,
        network_normalization: draws.choice(&keys::NETWORK_NORMALIZATION, &space.network_normalization)?,
        channels_limit: space.channels_limit,
        convolutions: doubling_blocks(channels, width, space.channels_limit, &draws.n_conv(space), d_reduction),
        n_fcblocks: count(draws.whole(&keys::N_FCBLOCKS, space.n_fcblocks)),
        fc: None,
        seed: Some(seed::derive(seed, "training", &[index])),
        unknown: Map::new(),
        unknown_within: Map::new(),
    };
    match options.check_together() {
        Ok(()) => Ok(options),
        Err(fault) => Err(Misfit { options: Some(Box::new(options)), fault }),
    }
}

/// Whole numbers of the table are bounded far below what a usize holds.
fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The draws of one job.
struct Draws {
    seed: u64,
    index: u64,
}

impl Draws {
    fn stream(&self, key: &Key) -> ChaCha12Rng {
        seed::stream(self.seed, &format!("draw/{}", key.name), &[self.index])
    }

    /// One of `values`, each equally likely.
    fn choice<T: Clone>(&self, key: &Key, values: &[T]) -> Result<T, Fault> {
        let at = below(&mut self.stream(key), values.len() as u64);
        values.get(count(at)).cloned().ok_or_else(|| Fault::new(key.name, "no value to choose from"))
    }

    /// A whole number of the span, both ends included.
    fn whole(&self, key: &Key, span: Span<u64>) -> u64 {
        whole(&mut self.stream(key), span)
    }

    /// A real number of the span.
    fn uniform(&self, key: &Key, span: Span<f64>) -> f64 {
        let part = unit(&mut self.stream(key));
        // Written so that a single value stays itself; rounding must not leave the span.
        (span.low + part * (span.high - span.low)).clamp(span.low, span.high)
    }

    /// 10^-x for an x of the span.
    fn exponent(&self, key: &Key, span: Span<f64>) -> f64 {
        libm::pow(10.0, -self.uniform(key, span))
    }

    /// Among those that the mode allows; among all where it allows none, which does not go together then.
    fn network_type(&self, space: &SearchSpace, mode: Mode) -> Result<NetworkType, Fault> {
        let allowed: Vec<NetworkType> =
            space.network_type.iter().copied().filter(|&t| mode != Mode::Image || t != NetworkType::MultiCnn).collect();
        self.choice(&keys::NETWORK_TYPE, if allowed.is_empty() { &space.network_type } else { &allowed })
    }

    /// The number of convolutions of each block, drawn anew for each.
    fn n_conv(&self, space: &SearchSpace) -> Vec<usize> {
        let purpose = format!("draw/{}", keys::N_CONV.name);
        (0..self.whole(&keys::N_CONVBLOCKS, space.n_convblocks))
            .map(|block| count(whole(&mut seed::stream(self.seed, &purpose, &[self.index, block]), space.n_conv)))
            .collect()
    }
}

fn whole(stream: &mut ChaCha12Rng, span: Span<u64>) -> u64 {
    // No span of the table reaches over all 2^64 numbers.
    span.low + below(stream, (span.high - span.low).saturating_add(1))
}

#[cfg(test)]
mod tests;
