//! Every option changes what it should in a training, and only that.

use super::trainer_run::{Job, fixtures};
use super::trainer_small::Small;
use serde_json::{Value, json};

/// The losses of a training with these changes.
fn losses(changes: Value) -> Vec<Vec<String>> {
    Job::new(changes).train().losses()
}

#[test]
fn each_option_that_shapes_the_training_changes_its_losses() {
    let base = losses(json!({}));
    let fewer = json!({ "conv0": { "in_channels": null, "out_channels": 8, "n_conv": 1, "d_reduction": "stride" } });
    let changes = [
        ("seed", json!(8)),
        ("batch_size", json!(2)),
        ("learning_rate", json!(0.01)),
        ("weight_decay", json!(0.5)),
        ("dropout", json!(0.5)),
        ("sampler", json!("weighted")),
        ("network_normalization", json!("InstanceNorm")),
        ("network_normalization", Value::Null),
        ("convolutions", fewer),
        ("n_fcblocks", json!(1)),
        ("accumulation_steps", json!(2)),
        ("unnormalize", json!(true)),
        ("data_augmentation", json!(["Noise"])),
        ("data_augmentation", json!(["Erasing"])),
        ("data_augmentation", json!(["CropPad"])),
        ("data_augmentation", json!(["Smoothing"])),
    ];
    let mut seen = vec![("nothing", base)];
    for (key, value) in changes {
        let mut change = json!({});
        change[key] = value.clone();
        // An absent normalisation is BatchNorm; none at all is the word.
        if value.is_null() {
            change[key] = json!("None");
        }
        let now = losses(change);
        for (other, before) in &seen {
            assert_ne!(&now, before, "{key} {value} makes no difference to {other}");
        }
        seen.push((key, now));
    }
}

#[test]
fn a_key_that_is_not_known_is_named_in_the_trainers_output_and_changes_nothing() {
    let job = Job::new(json!({ "colour": "blue" }));
    let output = job.run();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("unknown key \"colour\""), "{said}");
    assert_eq!(job.losses(), losses(json!({})));
}

#[test]
fn none_in_the_augmentations_does_nothing() {
    assert_eq!(losses(json!({ "data_augmentation": ["None"] })), losses(json!({ "data_augmentation": false })));
}

#[test]
fn without_wd_bool_a_weight_decay_is_of_no_effect() {
    let small = Small::of_two_classes();
    let decayed = |value: f64, wd_bool: bool| {
        small.job(json!({ "learning_rate": 0.01, "epochs": 2, "weight_decay": value, "wd_bool": wd_bool })).train().losses()
    };
    assert_eq!(decayed(0.5, false), decayed(0.0, true));
    assert_ne!(decayed(0.5, true), decayed(0.0, true));
}

#[test]
fn a_transfer_starts_from_the_sources_best_model() {
    let source = Job::new(json!({ "seed": 3 }));
    source.train();
    let from = |selection: &str| {
        json!({ "transfer_learning_path": source.folder, "transfer_learning_selection": selection, "learning_rate": 1e-30, "epochs": 1,
                "weight_decay": 0.0, "network_normalization": "InstanceNorm" })
    };
    let (class, sentence) = Job::new(from("best_loss")).failure();
    assert_eq!(class, "bad_data", "BatchNorm's tensors have no place: {sentence}");
    assert!(sentence.contains("features.conv0"), "{sentence}");
    let mut changes = from("best_loss");
    changes["network_normalization"] = json!("BatchNorm");
    let with = losses(changes.clone());
    changes["transfer_learning_path"] = Value::Null;
    assert_ne!(with, losses(changes));
}

#[test]
fn a_source_that_does_not_fit_the_last_network_is_told_before_the_first_is_trained() {
    let multicnn = |width: u32| {
        let block = json!({ "conv0": { "in_channels": null, "out_channels": width, "n_conv": 1, "d_reduction": "stride" } });
        json!({ "network_type": "multicnn", "mode": "patch", "patch_size": 26, "stride_size": 26, "epochs": 1, "convolutions": block })
    };
    let (source, wider) = (Job::new(multicnn(2)), Job::new(multicnn(3)));
    source.train();
    wider.train();
    let model = "models/cnn-1/best_balanced_accuracy/model_best.pth.tar";
    std::fs::copy(wider.fold(0).join(model), source.fold(0).join(model)).expect("copied");
    let mut changes = multicnn(2);
    changes["transfer_learning_path"] = json!(source.folder);
    let job = Job::new(changes);
    let (class, sentence) = job.failure();
    assert_eq!(class, "bad_data");
    assert!(sentence.contains("cnn-1") && sentence.contains("features.conv0.0.weight"), "{sentence}");
    assert!(!job.fold(0).exists(), "nothing was trained");
}

#[test]
fn folds_are_trained_as_split_says() {
    let labels = fixtures().join("mni-quarter/labels");
    let job = Job::new(json!({ "tsv_path": labels, "n_splits": 2, "split": [1], "epochs": 1, "batch_size": 12 }));
    job.train();
    assert!(job.fold(1).join("cnn_classification").is_dir());
    assert!(!job.fold(0).exists());
    let both =
        Job::new(json!({ "tsv_path": fixtures().join("mni-quarter/labels"), "n_splits": 2, "epochs": 1, "batch_size": 12 }));
    both.train();
    assert!((0..2).all(|fold| both.fold(fold).join("cnn_classification").is_dir()));
    assert_eq!(
        super::trainer_run::results(&both.fold(1)),
        super::trainer_run::results(&job.fold(1)),
        "a fold depends on no other"
    );
}
