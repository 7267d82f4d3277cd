//! Every direction of transfer, and every one that is refused, from folders of ours and from the reference's.

use super::failure::TrainingFailure;
use super::model::network::Network;
use super::model::state_dict::{State, model_value};
use super::model::transfer;
use super::stop::TrainingStop;
use super::testing::tempdir;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::architecture::{Architecture, ConvBlock, FcLayer};
use neurosearch::domain::options::Transfer;
use neurosearch::domain::words::{NetworkType, Normalization, Reduction, Selection};
use neurosearch::store::formats::torch_file;
use neurosearch::store::records::layout::JobDir;
use std::path::Path;
use tch::Device;

const FOLD: u32 = 1;

fn architecture(width: usize) -> Architecture {
    let d_reduction = Reduction::MaxPooling;
    Architecture {
        input: vec![1, 6, 5, 7],
        blocks: vec![ConvBlock { in_channels: 1, out_channels: width, n_conv: 2, d_reduction }],
        normalization: Some(Normalization::Batch),
        fc: vec![FcLayer { in_features: width * 36, out_features: 2 }],
        dropout: 0.0,
    }
}

fn network(kind: NetworkType, seed: u64) -> Network {
    let build = if kind == NetworkType::Autoencoder { Network::autoencoder } else { Network::cnn };
    let mut network = build(&architecture(3), Device::Cpu).expect("builds");
    network.init(seed).expect("initialises");
    network
}

/// A job folder of `kind` with one saved model; returns the model's state.
fn source(at: &Path, kind: NetworkType, position: Option<usize>, selection: Selection, seed: u64) -> State {
    let job = JobDir::new(at);
    let file = job.fold(FOLD).model(position, selection);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    std::fs::write(job.commandline(), format!("{{\"mode\": \"image\", \"network_type\": \"{kind}\"}}")).expect("written");
    let state = network(kind, seed).state().expect("copied");
    save(&file, &state);
    state
}

fn save(file: &Path, state: &State) {
    let value = model_value(state, 0, 0.5, Some(0.5)).expect("converts");
    torch_file::write(file, "model_best", &value).expect("written");
}

fn option(at: &Path, selection: Selection) -> Transfer {
    Transfer { path: at.to_path_buf(), selection }
}

/// The tensors of `state` below `prefix`, by the rest of their names.
fn below(state: &State, prefix: &str) -> Vec<(String, tch::Tensor)> {
    state.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_string(), t.shallow_clone()))).collect()
}

fn same(a: &State, b: &State) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((n, t), (m, u))| n == m && t.equal(u))
}

#[test]
fn a_network_of_the_same_type_takes_over_every_weight() {
    for kind in [NetworkType::Cnn, NetworkType::Autoencoder] {
        let folder = tempdir();
        let theirs = source(folder.path(), kind, None, Selection::BestLoss, 1);
        let ours = network(kind, 2);
        let weights = transfer::load(&option(folder.path(), Selection::BestLoss), FOLD, kind, None).expect("loads");
        weights.apply(&ours).expect("fits");
        assert!(same(&ours.state().expect("copied"), &theirs), "{kind}");
    }
}

#[test]
fn of_an_autoencoder_with_a_decoder_of_other_layers_the_encoder_alone_is_taken_over() {
    let folder = tempdir();
    let state = source(folder.path(), NetworkType::Autoencoder, None, Selection::BestLoss, 1);
    // The reference numbers the layers of its decoder, and has others.
    let theirs: State = state.into_iter().map(|(name, tensor)| (name.replace("decoder.conv", "decoder."), tensor)).collect();
    save(&JobDir::new(folder.path()).fold(FOLD).model(None, Selection::BestLoss), &theirs);
    let ours = network(NetworkType::Autoencoder, 2);
    let before = ours.state().expect("copied");
    let option = option(folder.path(), Selection::BestLoss);
    let weights = transfer::load(&option, FOLD, NetworkType::Autoencoder, None).expect("loads");
    let left = weights.left_behind(&ours).expect("told");
    assert!(left.contains("model_best.pth.tar") && left.contains("only its encoder"), "{left}");
    weights.apply(&ours).expect("fits");
    let after = ours.state().expect("copied");
    assert!(same(&below(&after, "encoder."), &below(&theirs, "encoder.")));
    assert!(same(&below(&after, "decoder."), &below(&before, "decoder.")));
    assert!(!below(&after, "encoder.").is_empty() && !below(&after, "decoder.").is_empty());
    let wider = Network::autoencoder(&architecture(4), Device::Cpu).expect("builds");
    assert!(weights.apply(&wider).expect_err("other widths").sentence.contains("encoder.conv0.3.weight"));
}

#[test]
fn an_autoencoder_of_ours_that_lacks_a_tensor_is_damaged_and_not_another_kind() {
    let folder = tempdir();
    let mut state = source(folder.path(), NetworkType::Autoencoder, None, Selection::BestLoss, 1);
    let (lost, _) = state.pop().expect("a tensor");
    assert!(lost.starts_with("decoder."), "{lost}");
    save(&JobDir::new(folder.path()).fold(FOLD).model(None, Selection::BestLoss), &state);
    let weights =
        transfer::load(&option(folder.path(), Selection::BestLoss), FOLD, NetworkType::Autoencoder, None).expect("loads");
    let ours = network(NetworkType::Autoencoder, 2);
    assert_eq!(weights.left_behind(&ours), None);
    assert!(weights.apply(&ours).expect_err("a tensor is missing").sentence.contains(&lost));
}

#[test]
fn an_autoencoders_encoder_becomes_the_features_and_the_classifier_stays() {
    for target in [NetworkType::Cnn, NetworkType::MultiCnn] {
        let folder = tempdir();
        let theirs = source(folder.path(), NetworkType::Autoencoder, None, Selection::BestLoss, 1);
        let ours = network(target, 2);
        let before = ours.state().expect("copied");
        // Whatever selection is asked for: an autoencoder has only one.
        let weights =
            transfer::load(&option(folder.path(), Selection::BestBalancedAccuracy), FOLD, target, Some(4)).expect("loads");
        weights.apply(&ours).expect("fits");
        let after = ours.state().expect("copied");
        assert!(same(&below(&after, "features."), &below(&theirs, "encoder.")));
        assert!(!below(&after, "features.").is_empty());
        assert!(same(&below(&after, "classifier."), &below(&before, "classifier.")));
    }
}

#[test]
fn a_cnn_starts_every_position_of_a_multicnn() {
    let folder = tempdir();
    let theirs = source(folder.path(), NetworkType::Cnn, None, Selection::BestBalancedAccuracy, 1);
    for position in 0..3 {
        let ours = network(NetworkType::MultiCnn, 2);
        let option = option(folder.path(), Selection::BestBalancedAccuracy);
        transfer::load(&option, FOLD, NetworkType::MultiCnn, Some(position)).expect("loads").apply(&ours).expect("fits");
        assert!(same(&ours.state().expect("copied"), &theirs));
    }
}

#[test]
fn a_multicnn_starts_a_multicnn_position_by_position() {
    let folder = tempdir();
    for position in 0..3 {
        source(folder.path(), NetworkType::MultiCnn, Some(position), Selection::BestLoss, position as u64);
    }
    for position in 0..3 {
        let ours = network(NetworkType::MultiCnn, 9);
        let option = option(folder.path(), Selection::BestLoss);
        transfer::load(&option, FOLD, NetworkType::MultiCnn, Some(position)).expect("loads").apply(&ours).expect("fits");
        assert!(same(&ours.state().expect("copied"), &network(NetworkType::MultiCnn, position as u64).state().expect("copied")));
    }
}

/// Why these weights cannot be loaded, be it tried ever so often.
fn refusal(transfer: &Transfer, fold: u32, target: NetworkType, position: Option<usize>) -> TrainingFailure {
    match transfer::load(transfer, fold, target, position) {
        Err(TrainingStop::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn directions_that_make_no_sense_are_refused_by_both_names() {
    use NetworkType::{Autoencoder, Cnn, MultiCnn};
    for (from, to, words) in
        [(Cnn, Autoencoder, "an autoencoder"), (MultiCnn, Autoencoder, "an autoencoder"), (MultiCnn, Cnn, "a cnn")]
    {
        let folder = tempdir();
        source(folder.path(), from, Some(0), Selection::BestLoss, 1);
        let refused = refusal(&option(folder.path(), Selection::BestLoss), FOLD, to, Some(0));
        assert_eq!(refused.class, FailureClass::BadOptions);
        assert!(refused.sentence.contains(&format!("trained a {from}, which cannot start {words};")), "{refused}");
    }
}

#[test]
fn a_source_of_another_width_is_refused_naming_file_tensor_and_both_shapes() {
    let folder = tempdir();
    source(folder.path(), NetworkType::Cnn, None, Selection::BestLoss, 1);
    let other = Network::cnn(&architecture(4), Device::Cpu).expect("builds");
    let weights = transfer::load(&option(folder.path(), Selection::BestLoss), FOLD, NetworkType::Cnn, None).expect("loads");
    let refused = weights.apply(&other).expect_err("does not fit");
    assert_eq!(refused.class, FailureClass::BadData);
    for part in ["model_best.pth.tar", "\"features.conv0.3.weight\"", "[3, 1, 3, 3, 3]", "[4, 1, 3, 3, 3]"] {
        assert!(refused.sentence.contains(part), "{part} in {refused}");
    }
}

#[test]
fn a_source_without_the_fold_or_without_its_commandline_is_refused_by_file() {
    let folder = tempdir();
    let option = option(folder.path(), Selection::BestLoss);
    let refused = refusal(&option, FOLD, NetworkType::Cnn, None);
    assert!(refused.sentence.contains("commandline.json") && refused.sentence.contains("not a job folder"), "{refused}");
    source(folder.path(), NetworkType::Cnn, None, Selection::BestLoss, 1);
    let refused = refusal(&option, FOLD + 1, NetworkType::Cnn, None);
    assert!(refused.sentence.contains("fold-2") && refused.sentence.contains("no such model"), "{refused}");
    assert_eq!(refused.class, FailureClass::BadData);
}

/// The network of the golden training run on whole images of 42 x 52 x 45 voxels.
fn golden_image_network() -> Architecture {
    let d_reduction = Reduction::MaxPooling;
    let block = |in_channels, out_channels, n_conv| ConvBlock { in_channels, out_channels, n_conv, d_reduction };
    Architecture {
        input: vec![1, 42, 52, 45],
        blocks: vec![block(1, 4, 1), block(4, 8, 2), block(8, 16, 1)],
        normalization: Some(Normalization::Batch),
        fc: vec![FcLayer { in_features: 4032, out_features: 90 }, FcLayer { in_features: 90, out_features: 2 }],
        dropout: 0.0,
    }
}

#[test]
fn the_references_own_job_folder_is_a_source() {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/training/image/source");
    let weights = transfer::load(&option(&at, Selection::BestLoss), 0, NetworkType::Cnn, None).expect("read");
    let network = Network::cnn(&golden_image_network(), Device::Cpu).expect("builds");
    weights.apply(&network).expect("fits");
    let theirs = super::model::state_dict::read_model(&at.join("fold-0/models/best_loss/model_best.pth.tar")).expect("read");
    assert!(same(&network.state().expect("copied"), &theirs));
    let refused = weights.apply(&self::network(NetworkType::Cnn, 1)).expect_err("it has other widths");
    assert!(refused.sentence.contains("features.conv0.0.weight"), "{refused}");
}
