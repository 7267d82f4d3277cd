//! Holds the networks against the twelve that the reference itself built, trained a little and evaluated.

use super::device;
use super::model::loss::{cross_entropy_sum, mse};
use super::model::network::Network;
use super::model::state_dict::{from_stored, read_model};
use neurosearch::domain::network::architecture::{Architecture, ConvBlock, FcLayer};
use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::words::{Normalization, Reduction};
use neurosearch::store::formats::torch_file;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use tch::{Device, Tensor};

struct Golden {
    folder: PathBuf,
    expected: Value,
    architecture: Architecture,
}

fn golden(i: usize) -> Golden {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/golden/networks/net-{i}"));
    let json = |name: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(name)).expect("the fixture is there");
        serde_json::from_str(&text).expect("the fixture is JSON")
    };
    let (options, expected) = (json("commandline.json"), json("expected.json"));
    let architecture = architecture(&options, &expected);
    Golden { folder, expected, architecture }
}

fn size(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a whole number")).expect("a small one")
}

fn architecture(options: &Value, expected: &Value) -> Architecture {
    let input: Vec<usize> = expected["input_shape"].as_array().expect("a list").iter().map(size).collect();
    let convolutions = &options["convolutions"];
    let mut blocks = Vec::new();
    while let Some(block) = convolutions.get(format!("conv{}", blocks.len())) {
        let in_channels = block["in_channels"].as_u64().map_or(input[0], |_| size(&block["in_channels"]));
        let d_reduction = Reduction::from_word(block["d_reduction"].as_str().expect("a word")).expect("one of ours");
        blocks.push(ConvBlock {
            in_channels,
            out_channels: size(&block["out_channels"]),
            n_conv: size(&block["n_conv"]),
            d_reduction,
        });
    }
    let mut fc = Vec::new();
    while let Some(layer) = expected["fc"].get(format!("FC{}", fc.len())) {
        fc.push(FcLayer { in_features: size(&layer["in_features"]), out_features: size(&layer["out_features"]) });
    }
    let normalization = options["network_normalization"].as_str().and_then(Normalization::from_word);
    let dropout = options["dropout"].as_f64().expect("a number");
    Architecture { input, blocks, normalization, fc, dropout }
}

/// On what and in how many bits a network computes.
#[derive(Debug, Clone, Copy)]
struct Way {
    device: Device,
    precision: Precision,
}

const CPU: Way = Way { device: Device::Cpu, precision: Precision::Fp32 };

impl Golden {
    fn network(&self, way: Way) -> Network {
        let network = Network::cnn(&self.architecture, way.device).expect("builds").in_precision(way.precision);
        let state = read_model(&self.folder.join("model_best.pth.tar")).expect("the reference's weights are read");
        network.load_state(&state).expect("the reference's weights fit");
        network
    }

    fn input(&self, way: Way) -> Tensor {
        let value = torch_file::read(&self.folder.join("input.pt")).expect("the batch is read");
        from_stored(value.as_tensor().expect("a tensor")).expect("converts").to_device(way.device)
    }

    fn number(&self, key: &str) -> f64 {
        self.expected[key].as_f64().expect("a number")
    }
}

/// How far a number is from the reference's, as a part of that, or absolutely where it is below 1.
fn distance(ours: f64, theirs: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs().max(1.0)
}

/// The greatest distance of the outputs in evaluation, of the loss and of the gradient's norm in training, over all networks.
fn distances(way: Way) -> [f64; 3] {
    device::use_precision(way.device, way.precision);
    let mut greatest = [0.0f64; 3];
    let mut note = |what: usize, ours: f64, theirs: f64| {
        assert!(ours.is_finite(), "{way:?}");
        greatest[what] = greatest[what].max(distance(ours, theirs));
    };
    for i in 0..12 {
        let golden = golden(i);
        let output = golden.network(way).forward(&golden.input(way), false).expect("runs");
        for (row, expected) in golden.expected["eval_output"].as_array().expect("rows").iter().enumerate() {
            for (class, expected) in expected.as_array().expect("a row").iter().enumerate() {
                note(0, output.double_value(&[row as i64, class as i64]), expected.as_f64().expect("a number"));
            }
        }
        let network = golden.network(way);
        let classes: Vec<i64> = golden.expected["labels"].as_array().expect("a list").iter().filter_map(Value::as_i64).collect();
        let output = network.forward(&golden.input(way), true).expect("runs");
        let loss = cross_entropy_sum(&output, &Tensor::from_slice(&classes).to_device(way.device)).expect("a loss");
        loss.backward();
        note(1, loss.double_value(&[]), golden.number("train_mode_sum_cross_entropy"));
        note(2, gradient_norm(&network), golden.number("train_mode_gradient_norm"));
    }
    greatest
}

fn gradient_norm(network: &Network) -> f64 {
    let squares = |p: &Tensor| p.grad().square().sum(tch::Kind::Double).double_value(&[]);
    network.trainable().iter().map(squares).sum::<f64>().sqrt()
}

/// Loss and gradient's norm of the autoencoder of each architecture, of the same weights everywhere.
fn autoencoders(device: Device) -> Vec<[f64; 2]> {
    let one = |i: usize| {
        let golden = golden(i);
        let mut drawn = Network::autoencoder(&golden.architecture, Device::Cpu).expect("builds");
        drawn.init(i as u64).expect("drawn");
        let network = Network::autoencoder(&golden.architecture, device).expect("builds");
        network.load_state(&drawn.state().expect("copied")).expect("fits");
        let input = golden.input(Way { device, precision: Precision::Fp32 });
        let loss = mse(&network.forward(&input, true).expect("runs"), &input).expect("a loss");
        loss.backward();
        [loss.double_value(&[]), gradient_norm(&network)]
    };
    (0..12).map(one).collect()
}

/// Every network is as near the reference, in output, loss and gradient, as its precision allows.
fn hold(way: Way, tolerances: [f64; 3]) {
    let found = distances(way);
    let near = found.iter().zip(tolerances).all(|(found, tolerance)| *found <= tolerance);
    assert!(near, "{way:?}: output, loss and gradient are off by {found:?}, {tolerances:?} allowed");
}

/// Allowed distances of output, loss and gradient norm.
const FP32: [f64; 3] = [1e-4; 3];
const TF32: [f64; 3] = [5e-3, 5e-3, 2e-2];
const BF16: [f64; 3] = [5e-2, 5e-2, 2e-1];

#[test]
fn all_twelve_networks_give_the_references_output_loss_and_gradient() {
    hold(CPU, FP32);
}

#[test]
fn in_bfloat16_they_stay_as_near_as_eight_bits_allow() {
    let way = Way { precision: Precision::Bf16, ..CPU };
    hold(way, BF16);
    assert!(distances(way)[0] > FP32[0], "that near is fp32: nothing was rounded");
}

/// CUDA's part must be opened before anything else calls into libtorch, so the real test is alone in a process of its own.
#[test]
fn on_a_gpu_they_are_as_near_in_fp32_and_within_their_tolerance_in_tf32_and_bf16() {
    const ALONE: &str = "NEUROSEARCH_TEST_ALONE";
    const NAME: &str = "golden_tests::on_a_gpu_they_are_as_near_in_fp32_and_within_their_tolerance_in_tf32_and_bf16";
    if std::env::var_os(ALONE).is_some() {
        return hold_on_a_gpu();
    }
    let mut alone = std::process::Command::new(std::env::current_exe().expect("found"));
    let alone = alone.args(["--exact", NAME, "--nocapture"]).env(ALONE, "1").stderr(std::process::Stdio::inherit());
    let said = String::from_utf8_lossy(&alone.output().expect("starts").stdout).into_owned();
    assert!(said.contains("1 passed"), "{said}");
}

fn hold_on_a_gpu() {
    let Ok(device) = device::choose(false, None) else { return skip("a GPU, and a libtorch with CUDA") };
    for (precision, tolerances) in [(Precision::Fp32, FP32), (Precision::Tf32, TF32), (Precision::Bf16, BF16)] {
        let way = Way { device, precision };
        // Nowhere is left to report that stderr is closed.
        let _ = writeln!(std::io::stderr(), "{way:?}: greatest distances {:?}", distances(way));
        hold(way, tolerances);
    }
    device::use_precision(device, Precision::Fp32);
    for (i, (there, here)) in autoencoders(device).iter().zip(autoencoders(Device::Cpu)).enumerate() {
        for (ours, theirs) in there.iter().zip(here) {
            assert!(distance(*ours, theirs) <= FP32[0], "the autoencoder of net-{i}: {there:?}, and {here:?} on the CPU");
        }
    }
}

/// As `tests/suite/needs.rs` does it: said past the runner's capture, and a failure where every test must run.
fn skip(what: &str) {
    assert!(std::env::var_os("NEUROSEARCH_TEST_ALL").is_none(), "skipped: needs {what}");
    let test = std::thread::current().name().unwrap_or("a test").to_string();
    let _ = writeln!(std::io::stderr(), "{test}: skipped: needs {what}");
}

#[test]
fn all_twelve_networks_have_the_references_number_of_parameters() {
    for i in 0..12 {
        let golden = golden(i);
        let network = Network::cnn(&golden.architecture, Device::Cpu).expect("builds");
        assert_eq!(Some(network.parameters()), golden.expected["parameters"].as_u64(), "net-{i}");
    }
}

#[test]
fn the_state_has_the_references_names_in_the_references_order() {
    for i in 0..12 {
        let golden = golden(i);
        let theirs = read_model(&golden.folder.join("model_best.pth.tar")).expect("read");
        let ours = golden.network(CPU).state().expect("copied");
        let names = |state: &super::model::state_dict::State| state.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "net-{i}");
        assert!(ours.iter().zip(&theirs).all(|((_, a), (_, b))| a.equal(b)), "net-{i}");
    }
}
