//! Every mode and network type trains end to end and leaves the files that it should.

use super::trainer_run::{Job, fixtures, table};
use neurosearch::store::nifti;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn classification(job: &Job, file: &str) -> PathBuf {
    job.fold(0).join("cnn_classification/best_loss").join(file)
}

fn patches(network_type: &str) -> Value {
    json!({ "mode": "patch", "network_type": network_type, "patch_size": 20, "stride_size": 22, "epochs": 1, "batch_size": 4 })
}

#[test]
fn patches_are_voted_into_images() {
    let job = Job::new(patches("cnn"));
    job.train();
    let items = table(&classification(&job, "validation_patch_level_prediction.tsv"));
    assert_eq!(items.header[2..], ["patch_id", "true_label", "predicted_label", "proba0", "proba1"]);
    // 42 x 52 x 45 in windows of 20 every 22: two along each axis.
    assert_eq!(items.rows.len(), 4 * 8);
    assert!(items.rows.iter().enumerate().all(|(i, row)| row.cells[2] == (i % 8).to_string()), "rows, then items ascending");
    assert_eq!(table(&classification(&job, "validation_patch_level_metrics.tsv")).header.len(), 10);
    assert_eq!(table(&classification(&job, "validation_image_level_metrics.tsv")).header.len(), 6);
    let images = table(&classification(&job, "validation_image_level_prediction.tsv"));
    let participants: Vec<&str> = images.rows.iter().map(|row| row.cells[0].as_str()).collect();
    assert_eq!(participants, ["sub-MNI0000", "sub-MNI0001", "sub-MNI0004", "sub-MNI0005"], "sorted as text");
}

#[test]
fn a_multicnn_has_a_network_at_each_position_and_gathers_their_answers() {
    let job = Job::new(patches("multicnn"));
    job.train();
    let all: Vec<String> = (0..8).map(|position| format!("cnn-{position}")).collect();
    assert_eq!(names(&job.fold(0).join("models")), all);
    assert_eq!(names(&job.fold(0).join("tensorboard_logs")), all);
    assert_eq!(names(&job.fold(0)), ["cnn_classification", "models", "tensorboard_logs"]);
    for cnn in all {
        assert_eq!(names(&job.fold(0).join("models").join(&cnn)), ["best_balanced_accuracy", "best_loss"]);
        assert_eq!(names(&job.fold(0).join("tensorboard_logs").join(&cnn)), ["train", "training.tsv", "validation"]);
    }
    let items = table(&classification(&job, "train_patch_level_prediction.tsv"));
    assert_eq!(items.rows.len(), 32);
    assert!(items.rows.iter().enumerate().all(|(i, row)| row.cells[2] == (i / 4).to_string()), "position-major");
    let metrics = table(&classification(&job, "train_patch_level_metrics.tsv"));
    let ids: Vec<&str> = metrics.rows.iter().map(|row| row.cells[9].as_str()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn slices_carry_their_index_in_the_volume() {
    // 42 sagittal slices, of which three are kept.
    let job = Job::new(json!({
        "mode": "slice", "slice_direction": 0, "discarded_slices": [20, 19], "epochs": 1, "batch_size": 4
    }));
    job.train();
    let items = table(&classification(&job, "validation_slice_level_prediction.tsv"));
    let ids: Vec<&str> = items.rows.iter().take(3).map(|row| row.cells[2].as_str()).collect();
    assert_eq!(ids, ["20", "21", "22"]);
    assert_eq!(items.rows.len(), 12);
}

#[test]
fn one_item_an_image_gives_the_items_table_again_without_id_and_probabilities() {
    let job = Job::new(json!({ "mode": "patch", "patch_size": 40, "stride_size": 40, "epochs": 1, "batch_size": 4 }));
    job.train();
    let items = table(&classification(&job, "validation_patch_level_prediction.tsv"));
    let images = table(&classification(&job, "validation_image_level_prediction.tsv"));
    let short: Vec<Vec<String>> =
        items.rows.iter().map(|row| [0, 1, 3, 4].map(|column| row.cells[column].clone()).to_vec()).collect();
    assert_eq!(images.rows.iter().map(|row| row.cells.clone()).collect::<Vec<_>>(), short);
    assert_eq!(table(&classification(&job, "validation_image_level_metrics.tsv")).header.len(), 9);
}

#[test]
fn regions_of_a_list_of_masks_are_items() {
    let masks = fixtures().join("mni-quarter/caps/masks/roi_based/tpl-MNI152NLin2009cSym");
    let regions: Vec<String> = names(&masks)
        .into_iter()
        .filter_map(|name| Some(name.split_once("_roi-")?.1.strip_suffix("_mask.nii.gz")?.to_string()))
        .collect();
    assert!(!regions.is_empty());
    let job = Job::new(json!({ "mode": "roi", "roi_list": regions, "uncropped_roi": true, "epochs": 1, "batch_size": 4 }));
    job.train();
    let items = table(&classification(&job, "validation_roi_level_prediction.tsv"));
    assert_eq!(items.rows.len(), 4 * regions.len());
    assert_eq!(items.header[2], "roi_id");
}

#[test]
fn an_autoencoder_leaves_its_best_model_and_reconstructions() {
    for (changes, shape, count) in [
        (json!({ "network_type": "autoencoder", "epochs": 2 }), [42, 52, 45], 3),
        (
            json!({ "network_type": "autoencoder", "epochs": 1, "mode": "patch", "patch_size": 15, "stride_size": 20, "batch_size": 8 }),
            [15; 3],
            8,
        ),
        (
            json!({ "network_type": "autoencoder", "epochs": 1, "mode": "slice", "slice_direction": 2, "discarded_slices": [22, 22] }),
            [3, 224, 224],
            3,
        ),
    ] {
        let job = Job::new(changes);
        job.train();
        assert_eq!(names(&job.fold(0)), ["autoencoder_reconstruction", "models", "tensorboard_logs", "training.tsv"]);
        assert_eq!(names(&job.fold(0).join("models")), ["best_loss"]);
        let header = ["epoch", "iteration", "time", "loss_train", "loss_valid"];
        assert_eq!(table(&job.fold(0).join("training.tsv")).header, header);
        for set in ["train", "validation"] {
            let folder = job.fold(0).join("autoencoder_reconstruction").join(set);
            assert_eq!(names(&folder).len(), 2 * count);
            for kind in ["input", "output"] {
                let volume = nifti::read(&folder.join(format!("{kind}-{}.nii.gz", count - 1))).expect("a volume");
                assert_eq!(volume.shape, shape);
                assert!(volume.voxels.iter().all(|v| v.is_finite()));
            }
        }
    }
}

#[test]
fn an_autoencoder_starts_a_cnn_and_a_multicnn() {
    let source = Job::new(laid(patches("autoencoder")));
    source.train();
    for network_type in ["cnn", "multicnn"] {
        let mut changes = laid(patches(network_type));
        changes["transfer_learning_path"] = json!(source.folder);
        Job::new(changes).train();
    }
    let mut forbidden = laid(patches("autoencoder"));
    let cnn = Job::new(laid(patches("cnn")));
    cnn.train();
    forbidden["transfer_learning_path"] = json!(cnn.folder);
    assert_eq!(Job::new(forbidden).failure().0, "bad_options");
}

/// With a single block, to be quick.
fn laid(mut changes: Value) -> Value {
    changes["convolutions"] =
        json!({ "conv0": { "in_channels": null, "out_channels": 2, "n_conv": 1, "d_reduction": "MaxPooling" } });
    changes
}
