//! Every option changes what it should in a training, and only that.

use super::trainer_run::{Job, fixtures, table};
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
fn the_same_seed_gives_the_same_training_whatever_nproc() {
    let with = |nproc: u32| {
        let changes = json!({ "nproc": nproc, "dropout": 0.2, "data_augmentation": ["CropPad", "Noise"], "sampler": "weighted" });
        let job = Job::new(changes);
        job.train();
        super::trainer_run::results(&job.fold(0))
    };
    let alone = with(0);
    assert_eq!(with(1), alone);
    assert_eq!(with(3), alone);
}

#[test]
fn none_in_the_augmentations_does_nothing() {
    assert_eq!(losses(json!({ "data_augmentation": ["None"] })), losses(json!({ "data_augmentation": false })));
}

#[test]
fn epochs_and_evaluation_steps_decide_the_rows() {
    // Four training images in batches of one: four batches an epoch.
    let places = |changes: Value| -> Vec<(String, String)> {
        losses(changes)[1..].iter().map(|row| (row[0].clone(), row[1].clone())).collect()
    };
    let pairs = |expected: &[(u32, u32)]| expected.iter().map(|(e, i)| (e.to_string(), i.to_string())).collect::<Vec<_>>();
    let base = json!({ "batch_size": 1, "epochs": 3 });
    assert_eq!(places(base), pairs(&[(0, 3), (1, 3), (2, 3)]));
    let inner = json!({ "batch_size": 1, "epochs": 2, "evaluation_steps": 2 });
    assert_eq!(places(inner), pairs(&[(0, 1), (0, 3), (0, 3), (1, 1), (1, 3), (1, 3)]));
    let odd = json!({ "batch_size": 1, "epochs": 1, "evaluation_steps": 3 });
    assert_eq!(places(odd), pairs(&[(0, 2), (0, 3)]));
}

#[test]
fn an_inner_evaluation_on_the_last_batch_stands_twice_with_the_same_figures() {
    let rows = losses(json!({ "batch_size": 2, "epochs": 1, "evaluation_steps": 2 }));
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1], rows[2]);
}

#[test]
fn gradients_that_wait_at_the_end_of_an_epoch_are_dropped() {
    // Four batches: with three a step, the fourth's gradient must not reach the next epoch's first step, so that a training
    // whose fourth batch is another one ends the same only if it was dropped. Accumulating four makes one step of all.
    let three = losses(json!({ "batch_size": 1, "accumulation_steps": 3 }));
    let four = losses(json!({ "batch_size": 1, "accumulation_steps": 4 }));
    assert_ne!(three, four);
    let (class, sentence) = Job::new(json!({ "batch_size": 1, "accumulation_steps": 5 })).failure();
    assert_eq!(class, "bad_options");
    assert!(sentence.contains("accumulation_steps"), "{sentence}");
}

#[test]
fn patience_stops_after_epochs_that_are_not_better_by_the_tolerance() {
    // A tolerance of 0.99 makes hardly any epoch better than the first.
    assert_eq!(losses(json!({ "epochs": 6, "patience": 2, "tolerance": 0.99 })).len(), 1 + 3);
    assert_eq!(losses(json!({ "epochs": 4, "patience": 0, "tolerance": 0.99 })).len(), 1 + 4);
}

#[test]
fn the_threshold_decides_which_patches_vote() {
    let voted = |threshold: f64| {
        let job = Job::new(json!({
            "mode": "patch", "patch_size": 20, "stride_size": 22, "selection_threshold": threshold, "epochs": 1, "batch_size": 8
        }));
        job.train();
        table(&job.fold(0).join("cnn_classification/best_loss/validation_patch_level_prediction.tsv"))
    };
    // The items' own predictions do not depend on it.
    assert_eq!(voted(0.0), voted(0.9));
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
