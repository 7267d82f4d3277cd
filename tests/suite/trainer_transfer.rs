//! Whole trainings that start from another job: every direction, the selection, and sources that are refused.

use super::trainer_run::Job;
use super::trainer_small::{Small, assert_says, columns, dots, model, odds, probe, spoilt_tensor, tensors};
use serde_json::{Value, json};
use std::path::Path;

/// A job from the source at `path`; key by key, `changes` over that.
fn from(small: &Small, path: &Path, changes: Value) -> Job {
    let mut options = json!({ "transfer_learning_path": path });
    options.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    small.job(options)
}

/// Two patches an image, each with the image's own first voxel.
fn two_patches() -> Small {
    let small = Small::of_two_classes();
    for (name, value) in [("ad0", 0.9), ("ad1", 0.9), ("ad2", 0.9), ("cn0", 0.1), ("cn1", 0.1), ("cn2", 0.1)] {
        small.image(name, [2, 2, 4], &dots([2, 2, 4], &[([0; 3], value), ([0, 0, 2], value)]));
    }
    small
}

fn patches(network_type: &str, selection: Value) -> Value {
    json!({ "mode": "patch", "patch_size": 2, "stride_size": 2, "network_type": network_type, "transfer_learning_selection": selection })
}

#[test]
fn the_selection_decides_which_model_starts_each_cnn() {
    let small = two_patches();
    let models = [("best_loss", probe(1, 10.0)), ("best_balanced_accuracy", probe(1, -10.0))];
    let source = small.source("source", "cnn", &models);
    // The best balanced accuracy is what an absent selection means.
    for (selection, slope) in [(json!("best_loss"), 10.0), (json!("best_balanced_accuracy"), -10.0), (Value::Null, -10.0)] {
        let says = |participant, item, x| (participant, item, odds(slope, x));
        let job = from(&small, &source, patches("cnn", selection.clone()));
        job.train();
        let by_image = [says("ad2", 0, 0.9), says("ad2", 1, 0.9), says("cn2", 0, 0.1), says("cn2", 1, 0.1)];
        assert_says(&job, "validation_patch_level_prediction.tsv", "patch_id", &by_image);
        let job = from(&small, &source, patches("multicnn", selection));
        job.train();
        let by_position = [says("ad2", 0, 0.9), says("cn2", 0, 0.1), says("ad2", 1, 0.9), says("cn2", 1, 0.1)];
        assert_says(&job, "validation_patch_level_prediction.tsv", "patch_id", &by_position);
    }
}

#[test]
fn a_multicnn_starts_a_multicnn_position_by_position_by_the_selection() {
    let small = two_patches();
    let models = [
        ("cnn-0/best_loss", probe(1, 1.0)),
        ("cnn-1/best_loss", probe(1, 2.0)),
        ("cnn-0/best_balanced_accuracy", probe(1, 3.0)),
        ("cnn-1/best_balanced_accuracy", probe(1, 4.0)),
    ];
    let source = small.source("source", "multicnn", &models);
    for (selection, slopes) in [("best_loss", [1.0, 2.0]), ("best_balanced_accuracy", [3.0, 4.0])] {
        let job = from(&small, &source, patches("multicnn", json!(selection)));
        job.train();
        let says = |participant, item: usize, x| (participant, item, odds(slopes[item], x));
        let expected = [says("ad2", 0, 0.9), says("cn2", 0, 0.1), says("ad2", 1, 0.9), says("cn2", 1, 0.1)];
        assert_says(&job, "validation_patch_level_prediction.tsv", "patch_id", &expected);
    }
}

#[test]
fn an_autoencoder_starts_every_network_with_its_encoder_and_an_autoencoder_with_all() {
    let small = two_patches();
    let kernel = |first: f32| (0..27).map(|i| first + i as f32 / 100.0).collect::<Vec<f32>>();
    let encoder = [("encoder.conv0.0.weight", &[1, 1, 3, 3, 3][..], kernel(0.1)), ("encoder.conv0.0.bias", &[1], vec![0.25])];
    let ours = [("decoder.conv0.0.weight", &[1, 1, 3, 3, 3][..], kernel(0.4)), ("decoder.conv0.0.bias", &[1], vec![0.75])];
    // The reference names and lays out its decoder otherwise.
    let theirs = [("decoder.deconv0.4.weight", &[1, 7][..], vec![0.5; 7])];
    let source =
        |name: &str, decoder: &[_]| small.source(name, "autoencoder", &[("best_loss", model(&[&encoder[..], decoder].concat()))]);
    let (ours, theirs) = (source("ours", &ours), source("theirs", &theirs));
    for source in [&ours, &theirs] {
        // An autoencoder has a best loss alone, whatever is asked for.
        for (network_type, places) in [("cnn", &["best_loss"][..]), ("multicnn", &["cnn-0/best_loss", "cnn-1/best_loss"])] {
            let job = from(&small, source, patches(network_type, json!("best_balanced_accuracy")));
            job.train();
            for place in places {
                let state = tensors(&job, place);
                assert_eq!((&state["features.conv0.0.weight"], &state["features.conv0.0.bias"]), (&kernel(0.1), &vec![0.25]));
            }
        }
    }
    let job = from(&small, &ours, patches("autoencoder", Value::Null));
    job.train();
    let state = tensors(&job, "best_loss");
    assert_eq!((&state["encoder.conv0.0.weight"], &state["decoder.conv0.0.weight"]), (&kernel(0.1), &kernel(0.4)));
    assert_eq!((&state["encoder.conv0.0.bias"], &state["decoder.conv0.0.bias"]), (&vec![0.25], &vec![0.75]));
    let job = from(&small, &theirs, patches("autoencoder", Value::Null));
    let output = job.run();
    assert!(String::from_utf8_lossy(&output.stderr).contains("only its encoder"), "{output:?}");
    let state = tensors(&job, "best_loss");
    assert_eq!((&state["encoder.conv0.0.weight"], &state["encoder.conv0.0.bias"]), (&kernel(0.1), &vec![0.25]));
    assert_ne!(state["decoder.conv0.0.weight"], kernel(0.4));
}

#[test]
fn directions_that_make_no_sense_are_refused_before_anything_is_trained() {
    let small = two_patches();
    for (source, target) in [("cnn", "autoencoder"), ("multicnn", "autoencoder"), ("multicnn", "cnn")] {
        let folder = small.source(source, source, &[("best_loss", probe(1, 1.0)), ("cnn-0/best_loss", probe(1, 1.0))]);
        let job = from(&small, &folder, patches(target, json!("best_loss")));
        let (class, sentence) = job.failure();
        assert_eq!(class, "bad_options", "{sentence}");
        assert!(
            sentence.contains("transfer_learning_path") && sentence.contains(source) && sentence.contains(target),
            "{sentence}"
        );
        assert!(!job.fold(0).exists());
    }
}

#[test]
fn a_source_of_another_shape_or_with_a_foreign_global_is_named() {
    let small = Small::of_two_classes();
    let source = small.source("source", "cnn", &[("best_loss", probe(5, 1.0))]);
    let refused = |words: &[&str]| {
        let (class, sentence) = from(&small, &source, json!({})).failure();
        assert_eq!(class, "bad_data", "{sentence}");
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
    };
    refused(&["classifier.FC0.0.weight", "[2, 5]", "[2, 1]"]);
    let (path, marker) = (source.join("fold-0/models/best_loss/model_best.pth.tar"), small.path("executed"));
    spoilt_tensor(&path, &marker);
    refused(&["model_best.pth.tar", "posix.system"]);
    assert!(!marker.exists(), "nothing of it may be executed");
}

#[test]
fn a_transfer_from_a_job_that_was_trained_here_says_what_its_best_model_says() {
    let small = Small::of_two_classes();
    let trained = small.job(json!({ "learning_rate": 0.1, "epochs": 3 }));
    trained.train();
    let job = from(&small, &trained.folder, json!({ "seed": 8 }));
    job.train();
    let last = |job: &Job| columns(job, "validation_image_level_metrics.tsv", ["total_loss"]);
    assert_eq!(last(&job), last(&trained));
    let other = small.job(json!({ "seed": 8 }));
    other.train();
    assert_ne!(last(&other), last(&trained));
}
