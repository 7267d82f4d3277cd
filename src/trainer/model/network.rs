//! A sampled network: its layers in order, and its weights by PyTorch's names.

use super::layers::{BatchNorm, Conv, Layer, Linear, Pass};
use super::state_dict::{Mismatch, State, copied, copy_into};
use crate::failure::TrainingFailure;
use neurosearch::domain::network::architecture::{Architecture, ConvBlock};
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::words::{NetworkType, Normalization, Reduction};
use tch::{Device, Kind, TchError, Tensor};

/// One layer with the name that its tensors carry in a state dictionary (`features.conv0.3`).
#[derive(Debug)]
pub struct Step {
    pub name: String,
    pub layer: Layer,
    /// A LeakyReLU follows.
    pub activate: bool,
}

/// A CNN or an autoencoder on one device. Its weights are zero until `init` or `load_state`.
#[derive(Debug)]
pub struct Network {
    steps: Vec<Step>,
    device: Device,
    precision: Precision,
}

impl Network {
    /// Convolutional blocks, then the fully connected layers: N x C x sizes becomes N x 2.
    pub fn cnn(architecture: &Architecture, device: Device) -> Result<Self, TrainingFailure> {
        let axes = architecture.input.len() - 1;
        let mut steps = Vec::new();
        for (i, block) in architecture.blocks.iter().enumerate() {
            let name = format!("features.conv{i}");
            steps.extend(conv_block(&name, block, architecture.normalization, axes, Layer::Pool, device)?);
        }
        steps.push(Step { name: "classifier.0".to_string(), layer: Layer::Flatten, activate: false });
        steps.push(Step { name: "classifier.1".to_string(), layer: Layer::Dropout(architecture.dropout), activate: false });
        for (i, fc) in architecture.fc.iter().enumerate() {
            let layer = Layer::Linear(Linear::zeros(wide(fc.in_features), wide(fc.out_features), device)?);
            steps.push(Step { name: format!("classifier.FC{i}.0"), layer, activate: i + 1 < architecture.fc.len() });
        }
        Ok(Network::of(steps, device))
    }

    /// The network of a job of this type.
    pub fn of_type(network_type: NetworkType, architecture: &Architecture, device: Device) -> Result<Self, TrainingFailure> {
        match network_type {
            NetworkType::Autoencoder => Network::autoencoder(architecture, device),
            NetworkType::Cnn | NetworkType::MultiCnn => Network::cnn(architecture, device),
        }
    }

    /// A network of any steps, for the autoencoder's builder.
    pub(crate) const fn of(steps: Vec<Step>, device: Device) -> Self {
        Network { steps, device, precision: Precision::Fp32 }
    }

    /// The same network, computing in this precision. What tf32 needs is the device's (`device::use_precision`).
    #[must_use]
    pub const fn in_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Every layer in order, for initialisation.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub const fn device(&self) -> Device {
        self.device
    }

    /// The output for a batch on the network's device, in f32 whatever the precision. With `train`: batch statistics, which move the running ones, dropout,
    /// and a graph for the gradient; without: none of these.
    pub fn forward(&self, batch: &Tensor, train: bool) -> Result<Tensor, TrainingFailure> {
        let run = || -> Result<Tensor, TchError> {
            let mut pass = Pass::new(train, self.precision);
            let mut x = batch.shallow_clone();
            for step in &self.steps {
                x = step.layer.forward(x, step.activate, &mut pass)?;
            }
            x.f_to_kind(Kind::Float)
        };
        Ok(if train { run()? } else { tch::no_grad(run)? })
    }

    /// The trained tensors, as handles on the network's own, in the order of the state.
    pub fn trainable(&self) -> Vec<Tensor> {
        self.tensors().filter(|(_, _, trained)| *trained).map(|(_, tensor, _)| tensor.shallow_clone()).collect()
    }

    /// How many numbers are trained.
    #[cfg(test)]
    pub fn parameters(&self) -> u64 {
        self.tensors().filter(|(_, _, trained)| *trained).map(|(_, tensor, _)| tensor.numel() as u64).sum()
    }

    /// The names of its state.
    pub fn names(&self) -> Vec<String> {
        self.tensors().map(|(name, _, _)| name).collect()
    }

    /// The whole state in PyTorch's order and by its names, copied to the CPU.
    pub fn state(&self) -> Result<State, TrainingFailure> {
        self.state_by(copied)
    }

    /// The same by another way than a copy.
    pub fn state_by(&self, take: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<State, TrainingFailure> {
        let taken = self.tensors().map(|(name, tensor, _)| Ok((name, take(tensor)?)));
        taken.collect::<Result<State, TchError>>().map_err(TrainingFailure::from)
    }

    /// Takes over a whole state: the same names and shapes, no more and no fewer; otherwise nothing changes.
    pub fn load_state(&self, state: &State) -> Result<(), Mismatch> {
        self.load_below("", state)
    }

    /// Takes over the part of the state whose names begin with `prefix`, of which `state` must hold all and nothing else.
    pub fn load_below(&self, prefix: &str, state: &State) -> Result<(), Mismatch> {
        let tensors: Vec<_> = self.tensors().collect();
        let own: Vec<_> =
            tensors.iter().filter(|(name, _, _)| name.starts_with(prefix)).map(|(n, t, _)| (n.clone(), *t)).collect();
        copy_into(&own, state)
    }

    fn tensors(&self) -> impl Iterator<Item = (String, &Tensor, bool)> {
        self.steps.iter().flat_map(|step| {
            step.layer.tensors().into_iter().map(|(name, tensor, trained)| (format!("{}.{name}", step.name), tensor, trained))
        })
    }
}

/// The steps of one convolutional block; `pool` ends it where it reduces by pooling.
pub(crate) fn conv_block(
    name: &str,
    block: &ConvBlock,
    normalization: Option<Normalization>,
    axes: usize,
    pool: Layer,
    device: Device,
) -> Result<Vec<Step>, TchError> {
    let mut modules = Modules::new(name, normalization, device);
    for i in 0..block.n_conv {
        let last = i + 1 == block.n_conv;
        let out = wide(if last { block.out_channels } else { block.in_channels });
        let stride = if last && block.d_reduction == Reduction::Stride { 2 } else { 1 };
        let conv = Conv::zeros(wide(block.in_channels), out, axes, stride, None, device)?;
        modules.convolution(conv, out, true)?;
    }
    if block.d_reduction == Reduction::MaxPooling {
        modules.push(pool, false);
    }
    Ok(modules.steps)
}

/// A sequence of PyTorch modules under one name, each with its index, activations counted though they are no step here.
pub(crate) struct Modules<'a> {
    name: &'a str,
    normalization: Option<Normalization>,
    device: Device,
    next: usize,
    pub steps: Vec<Step>,
}

impl<'a> Modules<'a> {
    pub fn new(name: &'a str, normalization: Option<Normalization>, device: Device) -> Self {
        Modules { name, normalization, device, next: 0, steps: Vec::new() }
    }

    /// One step, which is one module, or two where an activation follows.
    pub fn push(&mut self, layer: Layer, activate: bool) {
        let name = format!("{}.{}", self.name, self.next);
        self.steps.push(Step { name, layer, activate });
        self.next += 1 + usize::from(activate);
    }

    /// A convolution. If it is `dressed`, its normalisation over `channels` and its activation follow.
    pub fn convolution(&mut self, conv: Conv, channels: i64, dressed: bool) -> Result<(), TchError> {
        let normalization = self.normalization.filter(|_| dressed);
        self.push(Layer::Conv(conv), dressed && normalization.is_none());
        match normalization {
            Some(Normalization::Batch) => self.push(Layer::BatchNorm(BatchNorm::new(channels, self.device)?), true),
            Some(Normalization::Instance) => self.push(Layer::InstanceNorm, true),
            None => {}
        }
        Ok(())
    }
}

/// A size as libtorch counts it; no tensor of a size beyond i64 could be made before this.
pub(crate) fn wide(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
