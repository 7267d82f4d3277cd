//! Initial weights: PyTorch's own defaults for each layer, drawn from streams of ours so that every device starts alike.

use super::layers::{BatchNorm, Layer};
use super::network::Network;
use crate::failure::TrainingFailure;
use neurosearch::domain::seed;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use tch::{Kind, TchError, Tensor};

/// Numbers drawn and copied at a time, so that a large layer never needs its memory twice.
const CHUNK: usize = 1 << 20;

impl Network {
    /// Draws all weights from `seed`, and resets running statistics. Each tensor has a stream of its own, named after it.
    pub fn init(&mut self, seed: u64) -> Result<(), TrainingFailure> {
        tch::no_grad(|| {
            for step in self.steps() {
                match &step.layer {
                    Layer::Conv(conv) => uniform(seed, &step.name, &conv.weight, &conv.bias)?,
                    Layer::Linear(linear) => uniform(seed, &step.name, &linear.weight, &linear.bias)?,
                    Layer::BatchNorm(norm) => reset(norm)?,
                    _ => {}
                }
            }
            Ok::<(), TchError>(())
        })?;
        Ok(())
    }
}

/// Weight and bias uniform in +-1/sqrt(fan in).
///
/// As in PyTorch, the fan in is the weight's second size times its kernel's volume. That holds for a transposed convolution too,
/// although its second size is that of its output.
fn uniform(seed: u64, name: &str, weight: &Tensor, bias: &Tensor) -> Result<(), TchError> {
    let fan_in: i64 = weight.size()[1..].iter().product();
    let bound = 1.0 / (fan_in as f64).sqrt();
    for (word, tensor) in [("weight", weight), ("bias", bias)] {
        fill(tensor, bound, &mut seed::stream(seed, &format!("init/{name}.{word}"), &[]))?;
    }
    Ok(())
}

/// Fills a contiguous tensor with numbers uniform in [-bound, bound).
fn fill(tensor: &Tensor, bound: f64, rng: &mut ChaCha12Rng) -> Result<(), TchError> {
    let flat = tensor.f_view([-1])?;
    let mut numbers = Vec::with_capacity(tensor.numel().min(CHUNK));
    for start in (0..tensor.numel()).step_by(CHUNK) {
        let length = CHUNK.min(tensor.numel() - start);
        numbers.clear();
        numbers.extend((0..length).map(|_| between(bound, rng.next_u32())));
        flat.f_narrow(0, start as i64, length as i64)?.f_copy_(&Tensor::f_from_slice(&numbers)?)?;
    }
    Ok(())
}

/// 24 random bits, as many as an f32 in [0, 1) holds, stretched to [-bound, bound).
fn between(bound: f64, bits: u32) -> f32 {
    let unit = f64::from(bits >> 8) / f64::from(1_u32 << 24);
    (bound * (2.0 * unit - 1.0)) as f32
}

fn reset(norm: &BatchNorm) -> Result<(), TchError> {
    for (tensor, value) in [(&norm.weight, 1.0), (&norm.bias, 0.0), (&norm.running_mean, 0.0), (&norm.running_var, 1.0)] {
        let _ = tensor.shallow_clone().f_fill_(value)?;
    }
    norm.num_batches_tracked.shallow_clone().f_copy_(&Tensor::f_zeros([] as [i64; 0], (Kind::Int64, norm.weight.device()))?)
}
