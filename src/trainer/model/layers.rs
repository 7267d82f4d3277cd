//! The layers a network is made of, each with its weights and its way forward.

use super::convolution::convolution;
use super::memory_format::channels_last;
use neurosearch::domain::network::precision::Precision;
use tch::{Kind, TchError, Tensor};

/// PyTorch's defaults for both normalisations.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// A convolution of kernel 3 and padding 1, or the transposed one that undoes its change of size.
#[derive(Debug)]
pub struct Conv {
    /// Out x in x 3 x 3 (x 3); in x out for a transposed one.
    pub weight: Tensor,
    pub bias: Tensor,
    pub stride: i64,
    /// A transposed convolution's output padding by axis; none for a plain convolution.
    pub output_padding: Option<Vec<i64>>,
}

/// A batch normalisation with its running statistics.
#[derive(Debug)]
pub struct BatchNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub running_mean: Tensor,
    pub running_var: Tensor,
    /// One int64: the training batches seen.
    pub num_batches_tracked: Tensor,
}

/// A fully connected layer; the weight is out x in.
#[derive(Debug)]
pub struct Linear {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// One step of a network. A LeakyReLU is part of the layer before it, so that it can work in place.
#[derive(Debug)]
pub enum Layer {
    Conv(Conv),
    BatchNorm(BatchNorm),
    /// Without weights and without running statistics.
    InstanceNorm,
    /// Zeros before every odd axis, then a maximum over 2 by 2.
    Pool,
    /// The same, remembering where each maximum was, for the decoder.
    RememberingPool,
    /// Puts values back where the matching pool found them, and cuts off its padding.
    Unpool,
    /// N x everything else.
    Flatten,
    Dropout(f64),
    Linear(Linear),
}

/// What one remembering pool leaves for its unpool.
#[derive(Debug)]
struct Pooled {
    /// Flat positions in the padded input.
    indices: Tensor,
    /// The input's sizes before padding, without N and C.
    sizes: Vec<i64>,
}

/// What is known along one pass through the layers.
#[derive(Debug)]
pub struct Pass {
    /// Batch statistics and dropout, rather than running statistics and none.
    pub train: bool,
    /// What convolutions and products compute in; the rest takes what they give.
    kind: Kind,
    pooled: Vec<Pooled>,
}

impl Pass {
    pub fn new(train: bool, precision: Precision) -> Self {
        let kind = if precision == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float };
        Pass { train, kind, pooled: Vec::new() }
    }
}

impl Layer {
    /// The layer's output; with `activate`, through a LeakyReLU of slope 0.01, in place on the fresh output.
    pub fn forward(&self, x: Tensor, activate: bool, pass: &mut Pass) -> Result<Tensor, TchError> {
        let y = match self {
            Layer::Conv(conv) => conv.forward(&x, pass.kind)?,
            Layer::BatchNorm(norm) => norm.forward(&x, pass.train)?,
            Layer::InstanceNorm => return instance_norm(&x, activate),
            Layer::Pool => pool(&x)?,
            Layer::RememberingPool => remembering_pool(&x, pass)?,
            Layer::Unpool => unpool(&x, pass)?,
            Layer::Flatten => x.f_flatten(1, -1)?,
            Layer::Dropout(p) => x.f_dropout(*p, pass.train)?,
            Layer::Linear(linear) => linear.forward(&x, pass.kind)?,
        };
        if activate { leaky_relu(y) } else { Ok(y) }
    }

    /// The tensors of the layer's state, in PyTorch's order: parameters, then buffers. The flag says whether it is trained.
    pub fn tensors(&self) -> Vec<(&'static str, &Tensor, bool)> {
        match self {
            Layer::Conv(Conv { weight, bias, .. }) | Layer::Linear(Linear { weight, bias }) => {
                vec![("weight", weight, true), ("bias", bias, true)]
            }
            Layer::BatchNorm(norm) => vec![
                ("weight", &norm.weight, true),
                ("bias", &norm.bias, true),
                ("running_mean", &norm.running_mean, false),
                ("running_var", &norm.running_var, false),
                ("num_batches_tracked", &norm.num_batches_tracked, false),
            ],
            _ => Vec::new(),
        }
    }
}

/// LeakyReLU in place: what precedes it never needs its own output again for its gradient.
fn leaky_relu(mut x: Tensor) -> Result<Tensor, TchError> {
    x.f_leaky_relu_()
}

impl Linear {
    fn forward(&self, x: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
        x.f_to_kind(kind)?.f_linear(&self.weight.f_to_kind(kind)?, Some(&self.bias.f_to_kind(kind)?))
    }
}

impl Conv {
    fn forward(&self, x: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
        let x = channels_last(&x.f_to_kind(kind)?)?;
        let (weight, bias) = (self.weight.f_to_kind(kind)?, self.bias.f_to_kind(kind)?);
        convolution(&x, &weight, &bias, self.stride, self.output_padding.as_deref())
    }
}

impl BatchNorm {
    /// On the CPU the statistics are taken of a contiguous tensor: libtorch sums a channels-last one in order, in f32,
    /// and is percents off on whole images.
    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let x = if train && !x.device().is_cuda() { x.f_contiguous()? } else { x.shallow_clone() };
        if train {
            let _ = self.num_batches_tracked.shallow_clone().f_add_scalar_(1)?;
        }
        x.f_batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            train,
            MOMENTUM,
            EPSILON,
            true,
        )
    }
}

/// Every channel of every item by its own mean and variance, in training and in evaluation alike.
///
/// It is the batch normalisation of one item with N x C channels. The activation comes before the tensor is viewed as N x C
/// again, because working in place on a view would copy the gradient.
fn instance_norm(x: &Tensor, activate: bool) -> Result<Tensor, TchError> {
    let size = x.size();
    let mut merged = vec![1, size[0] * size[1]];
    merged.extend_from_slice(&size[2..]);
    let none: Option<&Tensor> = None;
    let y = x.f_contiguous()?.f_view(merged.as_slice())?.f_batch_norm(none, none, none, none, true, MOMENTUM, EPSILON, true)?;
    let y = if activate { leaky_relu(y)? } else { y };
    y.f_view(size.as_slice())
}

/// Max pooling of a padded tensor. The network pads zeros, but libtorch pads -infinity without a copy. So this pads
/// -infinity and then takes the maximum with zero in the first plane of every padded axis.
fn pool(x: &Tensor) -> Result<Tensor, TchError> {
    let x = channels_last(x)?;
    let odd: Vec<i64> = x.size()[2..].iter().map(|size| size % 2).collect();
    let two = vec![2; odd.len()];
    let one = vec![1; odd.len()];
    let y = match odd.len() {
        2 => x.f_max_pool2d(&two, &two, &odd, &one, false)?,
        _ => x.f_max_pool3d(&two, &two, &odd, &one, false)?,
    };
    for (axis, _) in odd.iter().enumerate().filter(|(_, odd)| **odd == 1) {
        let _ = y.f_narrow(axis as i64 + 2, 0, 1)?.f_clamp_min_(0.0)?;
    }
    Ok(y)
}

fn remembering_pool(x: &Tensor, pass: &mut Pass) -> Result<Tensor, TchError> {
    let sizes = x.size()[2..].to_vec();
    let padding: Vec<i64> = sizes.iter().rev().flat_map(|size| [size % 2, 0]).collect();
    let x = if padding.contains(&1) { x.f_constant_pad_nd(&padding)? } else { x.shallow_clone() };
    let x = channels_last(&x)?;
    let two = vec![2; sizes.len()];
    let zero = vec![0; sizes.len()];
    let one = vec![1; sizes.len()];
    let (y, indices) = match sizes.len() {
        2 => x.f_max_pool2d_with_indices(&two, &two, &zero, &one, false)?,
        _ => x.f_max_pool3d_with_indices(&two, &two, &zero, &one, false)?,
    };
    pass.pooled.push(Pooled { indices, sizes });
    Ok(y)
}

fn unpool(x: &Tensor, pass: &mut Pass) -> Result<Tensor, TchError> {
    let pooled = pass.pooled.pop().ok_or_else(|| TchError::Shape("an unpool without its pool".to_string()))?;
    let padded: Vec<i64> = pooled.sizes.iter().map(|size| size + size % 2).collect();
    let (x, indices) = (x.f_to_kind(Kind::Float)?.f_contiguous()?, pooled.indices.f_contiguous()?);
    let mut y = match padded.len() {
        2 => x.f_max_unpool2d(&indices, &padded)?,
        _ => x.f_max_unpool3d(&indices, &padded, [2, 2, 2], [0, 0, 0])?,
    };
    for (axis, size) in pooled.sizes.iter().enumerate().filter(|(_, size)| **size % 2 == 1) {
        y = y.f_narrow(axis as i64 + 2, 1, *size)?;
    }
    Ok(y)
}

impl Conv {
    /// Weights of the right shape, all zero.
    pub fn zeros(
        in_channels: i64,
        out_channels: i64,
        axes: usize,
        stride: i64,
        output_padding: Option<Vec<i64>>,
        on: tch::Device,
    ) -> Result<Self, TchError> {
        let mut size = if output_padding.is_some() { vec![in_channels, out_channels] } else { vec![out_channels, in_channels] };
        size.extend(vec![3; axes]);
        let weight = parameter(&size, on)?;
        Ok(Conv { weight, bias: parameter(&[out_channels], on)?, stride, output_padding })
    }
}

impl BatchNorm {
    /// Weight 1, bias 0, mean 0, variance 1.
    pub fn new(channels: i64, on: tch::Device) -> Result<Self, TchError> {
        let norm = BatchNorm {
            weight: parameter(&[channels], on)?,
            bias: parameter(&[channels], on)?,
            running_mean: Tensor::f_zeros([channels], (Kind::Float, on))?,
            running_var: Tensor::f_ones([channels], (Kind::Float, on))?,
            num_batches_tracked: Tensor::f_zeros([] as [i64; 0], (Kind::Int64, on))?,
        };
        let _ = tch::no_grad(|| norm.weight.shallow_clone().f_fill_(1.0))?;
        Ok(norm)
    }
}

impl Linear {
    /// Weights of the right shape, all zero.
    pub fn zeros(in_features: i64, out_features: i64, on: tch::Device) -> Result<Self, TchError> {
        Ok(Linear { weight: parameter(&[out_features, in_features], on)?, bias: parameter(&[out_features], on)? })
    }
}

/// A trained tensor, zero until it is initialised or loaded.
fn parameter(size: &[i64], on: tch::Device) -> Result<Tensor, TchError> {
    Ok(Tensor::f_zeros(size, (Kind::Float, on))?.set_requires_grad(true))
}
