//! Holds initial weights, normalisations, pooling and the autoencoder's sizes to what PyTorch defines.

use super::model::layers::{BatchNorm, Layer, Pass};
use super::model::network::Network;
use neurosearch::domain::network::architecture::{Architecture, ConvBlock, FcLayer};
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::words::{Normalization, Reduction};
use tch::{Device, Kind, Tensor};

fn architecture(
    input: &[usize],
    widths: &[usize],
    n_conv: usize,
    d_reduction: Reduction,
    normalization: Option<Normalization>,
) -> Architecture {
    let mut channels = input[0];
    let mut blocks = Vec::new();
    for width in widths {
        blocks.push(ConvBlock { in_channels: channels, out_channels: *width, n_conv, d_reduction });
        channels = *width;
    }
    Architecture { input: input.to_vec(), blocks, normalization, fc: Vec::new(), dropout: 0.0 }
}

fn batch(n: i64, input: &[usize]) -> Tensor {
    let size: Vec<i64> = std::iter::once(n).chain(input.iter().map(|s| *s as i64)).collect();
    tch::manual_seed(5);
    Tensor::rand(&size, (Kind::Float, Device::Cpu))
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

#[test]
fn an_autoencoders_output_always_has_its_inputs_size() {
    let inputs: [&[usize]; 6] = [&[1, 7, 9, 11], &[1, 8, 12, 10], &[1, 5, 6, 13], &[1, 4, 15, 9], &[3, 13, 17], &[3, 6, 11]];
    for input in inputs {
        for reduction in [Reduction::MaxPooling, Reduction::Stride] {
            for normalization in [None, Some(Normalization::Batch), Some(Normalization::Instance)] {
                let mut network = Network::autoencoder(&architecture(input, &[4, 6], 2, reduction, normalization), Device::Cpu)
                    .expect("builds");
                network.init(3).expect("initialises");
                let x = batch(2, input);
                for train in [true, false] {
                    let y = network.forward(&x, train).expect("runs");
                    assert_eq!(y.size(), x.size(), "{reduction} {normalization:?}");
                }
                network.forward(&x, true).expect("runs").square().sum(Kind::Float).backward();
                assert!(network.trainable().iter().all(|p| p.grad().defined()), "every weight takes part");
            }
        }
    }
}

#[test]
fn a_decoder_counts_every_module_and_ends_on_a_bare_transposed_convolution() {
    let network =
        Network::autoencoder(&architecture(&[1, 8, 8, 8], &[4, 6], 2, Reduction::MaxPooling, None), Device::Cpu).expect("builds");
    let state = network.state().expect("copied");
    let weights: Vec<(String, Vec<i64>)> =
        state.iter().filter(|(n, _)| n.ends_with("weight")).map(|(n, t)| (n.clone(), t.size())).collect();
    let expected = [
        ("encoder.conv0.0.weight", [1, 1]),
        ("encoder.conv0.2.weight", [4, 1]),
        ("encoder.conv1.0.weight", [4, 4]),
        ("encoder.conv1.2.weight", [6, 4]),
        ("decoder.conv1.1.weight", [6, 4]),
        ("decoder.conv1.3.weight", [4, 4]),
        ("decoder.conv0.1.weight", [4, 1]),
        ("decoder.conv0.3.weight", [1, 1]),
    ];
    assert_eq!(weights.len(), expected.len());
    for ((name, size), (expected_name, channels)) in weights.iter().zip(expected) {
        assert_eq!((name.as_str(), &size[..2]), (expected_name, &channels[..]));
    }
    let normalized = architecture(&[1, 8, 8, 8], &[4], 2, Reduction::Stride, Some(Normalization::Batch));
    let state = Network::autoencoder(&normalized, Device::Cpu).expect("builds").state().expect("copied");
    let decoder: Vec<&str> =
        state.iter().filter_map(|(n, _)| n.strip_prefix("decoder.conv0.")).filter(|n| n.ends_with("weight")).collect();
    assert_eq!(decoder, ["0.weight", "1.weight", "3.weight"]);
}

#[test]
fn initial_weights_are_uniform_within_pytorchs_bounds_and_fill_them() {
    let mut shape = architecture(&[1, 16, 16, 16], &[8, 16], 2, Reduction::Stride, Some(Normalization::Batch));
    shape.fc = vec![FcLayer { in_features: 1024, out_features: 30 }, FcLayer { in_features: 30, out_features: 2 }];
    for build in [Network::cnn, Network::autoencoder] {
        let mut network = build(&shape, Device::Cpu).expect("builds");
        network.init(11).expect("initialises");
        let state = network.state().expect("copied");
        for (name, tensor) in state.iter().filter(|(name, t)| name.ends_with("weight") && t.dim() > 1) {
            let fan_in: i64 = tensor.size()[1..].iter().product();
            let bound = 1.0 / (fan_in as f64).sqrt();
            let (_, bias) = state.iter().find(|(n, _)| *n == name.replace("weight", "bias")).expect("a bias");
            for t in [tensor, bias] {
                assert!(t.abs().max().double_value(&[]) <= bound, "{name}");
            }
            if tensor.numel() > 2000 {
                assert!(tensor.abs().max().double_value(&[]) > 0.99 * bound, "{name} reaches its bound");
                assert!(tensor.mean(Kind::Double).double_value(&[]).abs() < 0.05 * bound, "{name} is centred");
                let deviation = tensor.to_kind(Kind::Double).std(false).double_value(&[]);
                assert!((deviation / bound - 1.0 / 3_f64.sqrt()).abs() < 0.03, "{name} is uniform: {deviation} of {bound}");
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_one_others() {
    let shape = architecture(&[1, 9, 9, 9], &[4], 1, Reduction::Stride, Some(Normalization::Batch));
    let state = |seed| {
        let mut network = Network::cnn(&shape, Device::Cpu).expect("builds");
        network.init(seed).expect("initialises");
        network.state().expect("copied")
    };
    let (a, b, c) = (state(1), state(1), state(2));
    assert!(a.iter().zip(&b).all(|((_, x), (_, y))| x.equal(y)));
    assert!(!a[0].1.equal(&c[0].1));
}

/// Normalises in f64, over the axes given.
fn normalized(x: &Tensor, axes: &[i64]) -> (Tensor, Tensor, Tensor) {
    let x = x.to_kind(Kind::Double);
    let mean = x.mean_dim(axes, true, Kind::Double);
    let variance = (&x - &mean).square().mean_dim(axes, true, Kind::Double);
    let y = (&x - &mean) / (&variance + 1e-5).sqrt();
    (y, mean, variance)
}

#[test]
fn batch_norm_uses_the_batch_in_training_and_running_values_in_evaluation() {
    for input in [vec![5, 9, 8, 7], vec![5, 9, 8]] {
        let x = super::model::memory_format::channels_last(&(batch(3, &input) * 4.0 + 100.0)).expect("permutes");
        let layer = Layer::BatchNorm(BatchNorm::new(5, Device::Cpu).expect("builds"));
        let axes: Vec<i64> = (0..x.dim() as i64).filter(|axis| *axis != 1).collect();
        let (expected, mean, variance) = normalized(&x, &axes);
        let y = layer.forward(x.shallow_clone(), false, &mut Pass::new(true, Precision::Fp32)).expect("runs");
        assert!(largest_difference(&y, &expected) < 1e-3);
        let Layer::BatchNorm(norm) = &layer else { unreachable!() };
        let n = (x.numel() / 5) as f64;
        assert!(largest_difference(&norm.running_mean, &(mean.flatten(0, -1) * 0.1)) < 1e-4);
        assert!(largest_difference(&norm.running_var, &(variance.flatten(0, -1) * (0.1 * n / (n - 1.0)) + 0.9)) < 1e-4);
        assert_eq!(norm.num_batches_tracked.int64_value(&[]), 1);
        let (m, v) = (norm.running_mean.copy(), norm.running_var.copy());
        let y = layer.forward(x.shallow_clone(), false, &mut Pass::new(false, Precision::Fp32)).expect("runs");
        let shape: Vec<i64> = (0..x.dim()).map(|axis| if axis == 1 { 5 } else { 1 }).collect();
        assert!(largest_difference(&y, &((&x - m.view(&*shape)) / (v.view(&*shape) + 1e-5).sqrt())) < 1e-3);
        assert_eq!(norm.num_batches_tracked.int64_value(&[]), 1);
        assert!(norm.running_mean.equal(&m) && norm.running_var.equal(&v));
    }
}

#[test]
fn batch_norm_is_right_over_as_many_voxels_as_a_whole_image_has() {
    let x = super::model::memory_format::channels_last(&(batch(1, &[2, 169, 208, 179]) + 10.0)).expect("permutes");
    let norm = BatchNorm::new(2, Device::Cpu).expect("builds");
    let (_, mean, variance) = normalized(&x, &[0, 2, 3, 4]);
    let layer = Layer::BatchNorm(norm);
    let _ = tch::no_grad(|| layer.forward(x, false, &mut Pass::new(true, Precision::Fp32))).expect("runs");
    let Layer::BatchNorm(norm) = &layer else { unreachable!() };
    assert!(largest_difference(&norm.running_mean, &(mean.flatten(0, -1) * 0.1)) < 1e-6);
    assert!(largest_difference(&norm.running_var, &(variance.flatten(0, -1) * 0.1 + 0.9)) < 1e-6);
}

#[test]
fn instance_norm_uses_each_items_own_statistics_in_both_modes() {
    for input in [vec![4, 6, 7, 8], vec![4, 6, 7]] {
        let x = super::model::memory_format::channels_last(&batch(3, &input)).expect("permutes");
        let axes: Vec<i64> = (2..x.dim() as i64).collect();
        let (expected, _, _) = normalized(&x, &axes);
        for train in [true, false] {
            let y = Layer::InstanceNorm.forward(x.shallow_clone(), false, &mut Pass::new(train, Precision::Fp32)).expect("runs");
            assert!(largest_difference(&y, &expected) < 1e-4);
            let y = Layer::InstanceNorm.forward(x.shallow_clone(), true, &mut Pass::new(train, Precision::Fp32)).expect("runs");
            assert!(largest_difference(&y, &expected.leaky_relu()) < 1e-4);
        }
    }
}

#[test]
fn pooling_pads_odd_axes_in_front_and_takes_the_maximum() {
    for input in [vec![3, 7, 8, 9], vec![3, 5, 5, 5], vec![3, 4, 6, 8], vec![3, 7, 6], vec![3, 5, 9]] {
        let x = batch(2, &input) - 0.7;
        let run = |pool: &dyn Fn(Tensor) -> Tensor| {
            let x = x.copy().set_requires_grad(true);
            let y = pool(x.shallow_clone());
            (&y * Tensor::arange(y.numel() as i64, (Kind::Float, Device::Cpu)).view(&*y.size())).sum(Kind::Float).backward();
            (y.detach(), x.grad())
        };
        let ours = run(&|x| Layer::Pool.forward(x, false, &mut Pass::new(true, Precision::Fp32)).expect("runs"));
        let plain = run(&|x| {
            let pad: Vec<i64> = x.size()[2..].iter().rev().flat_map(|s| [s % 2, 0]).collect();
            let x = x.constant_pad_nd(&*pad);
            if x.dim() == 4 {
                x.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
            } else {
                x.max_pool3d([2; 3], [2; 3], [0; 3], [1; 3], false)
            }
        });
        assert!(ours.0.equal(&plain.0) && ours.1.equal(&plain.1), "{input:?}");
        let remembering =
            run(&|x| Layer::RememberingPool.forward(x, false, &mut Pass::new(true, Precision::Fp32)).expect("runs"));
        assert!(ours.0.equal(&remembering.0) && ours.1.equal(&remembering.1), "{input:?}");
    }
}

#[test]
fn a_forward_pass_in_evaluation_changes_nothing_and_leaves_no_graph() {
    let mut shape = architecture(&[1, 9, 8, 7], &[4], 2, Reduction::MaxPooling, Some(Normalization::Batch));
    shape.fc = vec![FcLayer { in_features: 4 * 5 * 4 * 4, out_features: 2 }];
    shape.dropout = 0.5;
    let mut network = Network::cnn(&shape, Device::Cpu).expect("builds");
    network.init(1).expect("initialises");
    let before = network.state().expect("copied");
    let x = batch(2, &shape.input);
    let (a, b) = (network.forward(&x, false).expect("runs"), network.forward(&x, false).expect("runs"));
    assert!(a.equal(&b) && !a.requires_grad());
    assert!(before.iter().zip(&network.state().expect("copied")).all(|((_, x), (_, y))| x.equal(y)));
    let (c, d) = (network.forward(&x, true).expect("runs"), network.forward(&x, true).expect("runs"));
    assert!(!c.equal(&d) && c.requires_grad(), "dropout draws anew");
}

/// A block of three convolutions, the first two of a single channel, whose gradient the shim computes.
#[test]
fn convolutions_of_a_single_channel_have_the_gradients_of_plain_ones() {
    for input in [vec![1, 7, 6, 5], vec![1, 9, 8]] {
        let mut network = Network::cnn(&architecture(&input, &[4], 3, Reduction::Stride, None), Device::Cpu).expect("builds");
        network.init(2).expect("initialises");
        let x = batch(2, &input);
        let weight_of = |y: &Tensor| Tensor::arange(y.numel() as i64, (Kind::Float, Device::Cpu)).sin().view(&*y.size());
        let y = network.forward(&x, true).expect("runs");
        (&y * weight_of(&y)).sum(Kind::Float).backward();
        let plain: Vec<Tensor> =
            network.trainable().iter().map(|p| p.detach().to_kind(Kind::Double).copy().set_requires_grad(true)).collect();
        let axes = input.len() - 1;
        let mut z = x.to_kind(Kind::Double);
        for (i, pair) in plain.chunks(2).enumerate() {
            let stride = vec![if i == 2 { 2 } else { 1 }; axes];
            z = z
                .convolution(&pair[0], Some(&pair[1]), &stride, vec![1; axes], vec![1; axes], false, vec![0; axes], 1)
                .leaky_relu();
        }
        let z = z.flatten(1, -1);
        (&z * weight_of(&z).to_kind(Kind::Double)).sum(Kind::Double).backward();
        assert!(largest_difference(&y, &z) < 1e-5);
        for (ours, theirs) in network.trainable().iter().zip(&plain) {
            assert!(largest_difference(&ours.grad(), &theirs.grad()) < 1e-4, "{:?}", ours.size());
        }
    }
}
