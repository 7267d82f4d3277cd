//! Every mode and network type trains end to end and leaves the files that it should.

use super::trainer_run::{Job, fixtures, table};
use super::trainer_small::{Small, columns};
use neurosearch::domain::words::Preprocessing;
use neurosearch::store::formats::nifti;
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

/// Two regions of 2 x 2 x 2 voxels in images of 4 x 2 x 2, whose voxels are all different.
fn two_regions() -> Small {
    let small = Small::new(Preprocessing::T1Linear);
    small.labels_of_six();
    for (region, from) in [("first", 0), ("second", 8)] {
        let inside = |voxel| f32::from(u8::from((from..from + 8).contains(&voxel)));
        small.mask(region, [4, 2, 2], &(0..16).map(inside).collect::<Vec<_>>());
    }
    for (index, participant) in ["ad0", "ad1", "cn0", "cn1", "ad2", "cn2"].iter().enumerate() {
        small.image(participant, [4, 2, 2], &(0..16).map(|voxel| (100 * index + voxel) as f32).collect::<Vec<_>>());
    }
    small
}

#[test]
fn few_items_an_image_give_more_reconstructions_as_far_as_the_set_goes() {
    let small = two_regions();
    let job = small.job(json!({ "mode": "roi", "roi_list": ["first", "second"], "network_type": "autoencoder" }));
    job.train();
    // Two regions an image, tripled; four images to train with hold eight, two to validate only four.
    for (set, images, count) in [("train", [0, 1, 2], 6), ("validation", [4, 5, 5], 4)] {
        let folder = job.fold(0).join("autoencoder_reconstruction").join(set);
        assert_eq!(names(&folder).len(), 2 * count, "{set}");
        for item in 0..count {
            let input = nifti::read(&folder.join(format!("input-{item}.nii.gz"))).expect("a volume");
            let first = 100 * images[item / 2] + 8 * (item % 2);
            assert_eq!(input.voxels, (first..first + 8).map(|voxel| voxel as f32).collect::<Vec<_>>(), "{set} {item}");
            let output = nifti::read(&folder.join(format!("output-{item}.nii.gz"))).expect("a volume");
            assert_eq!(output.shape, [2; 3]);
        }
    }
}

#[test]
fn a_multicnn_of_slices_counts_networks_from_0_and_gives_the_slices_their_own_ids() {
    let small = two_regions();
    let job = small.job(json!({
        "mode": "slice", "slice_direction": 0, "discarded_slices": [1, 1], "network_type": "multicnn", "unnormalize": false
    }));
    job.train();
    assert_eq!(names(&job.fold(0).join("models")), ["cnn-0", "cnn-1"]);
    let rows = columns(&job, "validation_slice_level_prediction.tsv", ["participant_id", "slice_id"]);
    assert_eq!(rows, [["ad2", "1"], ["cn2", "1"], ["ad2", "2"], ["cn2", "2"]]);
    assert_eq!(columns(&job, "validation_slice_level_metrics.tsv", ["slice_id"]), [["1"], ["2"]]);
    assert_eq!(columns(&job, "validation_image_level_prediction.tsv", ["participant_id"]), [["ad2"], ["cn2"]]);
}
