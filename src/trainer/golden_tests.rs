//! Holds the networks against the twelve that the reference itself built, trained a little and evaluated.

use super::loss::cross_entropy_sum;
use super::network::Network;
use super::state::{from_stored, read_model};
use neurosearch::domain::architecture::{Architecture, ConvBlock, FcLayer};
use neurosearch::domain::options::{Normalization, Reduction};
use neurosearch::store::torch_file;
use serde_json::Value;
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

impl Golden {
    fn network(&self) -> Network {
        let network = Network::cnn(&self.architecture, Device::Cpu).expect("builds");
        let state = read_model(&self.folder.join("model_best.pth.tar")).expect("the reference's weights are read");
        network.load_state(&state).expect("the reference's weights fit");
        network
    }

    fn input(&self) -> Tensor {
        let value = torch_file::read(&self.folder.join("input.pt")).expect("the batch is read");
        from_stored(value.as_tensor().expect("a tensor")).expect("converts")
    }

    fn number(&self, key: &str) -> f64 {
        self.expected[key].as_f64().expect("a number")
    }
}

/// The agreement that every golden number is held to.
fn close(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0), "{what}: {ours}, the reference {theirs}");
}

#[test]
fn all_twelve_networks_give_the_references_output_in_evaluation() {
    for i in 0..12 {
        let golden = golden(i);
        let output = golden.network().forward(&golden.input(), false).expect("runs");
        for (row, expected) in golden.expected["eval_output"].as_array().expect("rows").iter().enumerate() {
            for (class, expected) in expected.as_array().expect("a row").iter().enumerate() {
                let ours = output.double_value(&[row as i64, class as i64]);
                close(&format!("net-{i}, item {row}, class {class}"), ours, expected.as_f64().expect("a number"));
            }
        }
    }
}

#[test]
fn all_twelve_networks_give_the_references_loss_and_gradient_in_training() {
    for i in 0..12 {
        let golden = golden(i);
        let network = golden.network();
        let classes: Vec<i64> = golden.expected["labels"].as_array().expect("a list").iter().filter_map(Value::as_i64).collect();
        let output = network.forward(&golden.input(), true).expect("runs");
        let loss = cross_entropy_sum(&output, &Tensor::from_slice(&classes)).expect("a loss");
        loss.backward();
        let squares: f64 = network.trainable().iter().map(|p| p.grad().square().sum(tch::Kind::Double).double_value(&[])).sum();
        close(&format!("net-{i}, loss"), loss.double_value(&[]), golden.number("train_mode_sum_cross_entropy"));
        close(&format!("net-{i}, gradient norm"), squares.sqrt(), golden.number("train_mode_gradient_norm"));
    }
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
        let ours = golden.network().state().expect("copied");
        let names = |state: &super::state::State| state.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs), "net-{i}");
        assert!(ours.iter().zip(&theirs).all(|((_, a), (_, b))| a.equal(b)), "net-{i}");
    }
}
