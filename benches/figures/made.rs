//! Launch directories of finished jobs, as many as a figure asks for.

use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The documentation's own example, its comma mended, with the folds that are made here.
pub const SPACE: &str = r#"{"mode": ["patch", "image"], "network_type": "cnn", "caps_dir": "/path/to/caps",
    "preprocessing": "t1-linear", "tsv_path": "/path/to/tsv", "diagnoses": ["AD", "CN"], "epochs": 100,
    "learning_rate": [2, 5], "wd_bool": [true, false], "weight_decay": [2, 4], "dropout": [0, 0.9],
    "n_convblocks": [2, 6], "first_conv_width": [4, 8, 16, 32], "channels_limit": 64,
    "d_reduction": ["MaxPooling", "stride"], "network_normalization": [null, "BatchNorm"],
    "n_conv": [1, 2], "n_fcblocks": [1, 3], "n_splits": 5}"#;

const METRICS: &str = "accuracy\tbalanced_accuracy\tsensitivity\tspecificity\tppv\tnpv\t\
    total_loss\ttotal_kl_loss\ttotal_atlas_loss\timage_id\n";

const METRICS_FILE: &str = "validation_image_level_metrics.tsv";
const SELECTIONS: [&str; 2] = ["best_balanced_accuracy", "best_loss"];

/// How much there is of what.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub jobs: usize,
    pub folds: u32,
    pub epochs: u32,
}

impl Made {
    /// Makes the launch directory: options, records, training tables and metrics, as a finished search leaves them.
    pub fn write(&self, launch: &Path) -> Result<(), String> {
        make(launch)?;
        put(&launch.join("random_search.json"), &SPACE.replace("\"n_splits\": 5", &format!("\"n_splits\": {}", self.folds)))?;
        let options = options(self.folds).to_string();
        let training = training(self.epochs);
        for job in 0..self.jobs {
            let folder = launch.join(format!("job-{job}"));
            make(&folder.join(".neurosearch"))?;
            put(&folder.join("commandline.json"), &options)?;
            put(&folder.join(".neurosearch/job.json"), &record(job).to_string())?;
            for fold in 0..self.folds {
                make(&folder.join(format!("fold-{fold}")))?;
                put(&folder.join(format!("fold-{fold}/training.tsv")), &training)?;
                self.finish(launch, job, fold, (job % 40) as f64 / 40.0)?;
            }
        }
        Ok(())
    }

    /// Those files that tables are made of.
    pub fn files(&self, launch: &Path) -> Vec<PathBuf> {
        let metrics = |fold: &Path, selection| fold.join("cnn_classification").join(selection).join(METRICS_FILE);
        let of_fold = |fold: PathBuf| {
            let [accuracy, loss] = SELECTIONS.map(|selection| metrics(&fold, selection));
            [accuracy, loss, fold.join("training.tsv")]
        };
        let of_job = |job: PathBuf| {
            let folds: Vec<PathBuf> = (0..self.folds).map(|fold| job.join(format!("fold-{fold}"))).collect();
            [job.join("commandline.json"), job.join(".neurosearch/job.json")]
                .into_iter()
                .chain(folds.into_iter().flat_map(of_fold))
        };
        (0..self.jobs).flat_map(|job| of_job(launch.join(format!("job-{job}")))).collect()
    }

    /// Gives a fold this balanced accuracy.
    pub fn finish(&self, launch: &Path, job: usize, fold: u32, accuracy: f64) -> Result<(), String> {
        for selection in SELECTIONS {
            let folder = launch.join(format!("job-{job}/fold-{fold}/cnn_classification/{selection}"));
            make(&folder)?;
            let figures = format!("{accuracy}\t").repeat(6);
            put(&folder.join(METRICS_FILE), &format!("{METRICS}{figures}1.5\t0\t0\t\n"))?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn training(epochs: u32) -> String {
    let mut text =
        String::from("epoch\titeration\ttime\tbalanced_accuracy_train\tloss_train\tbalanced_accuracy_valid\tloss_valid\n");
    for epoch in 0..epochs {
        let loss = std::f64::consts::LN_2 / f64::from(epoch + 1);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{epoch}\t99\t{}\t0.8333333333333333\t{loss}\t0.75\t{loss}", f64::from(epoch) * 3.21);
    }
    text
}

fn options(folds: u32) -> serde_json::Value {
    let block = json!({"in_channels": 8, "out_channels": 8, "n_conv": 2, "d_reduction": "MaxPooling"});
    json!({
        "mode": "image", "network_type": "cnn", "caps_dir": "/path/to/caps", "preprocessing": "t1-linear",
        "tsv_path": "/path/to/tsv", "diagnoses": ["AD", "CN"], "baseline": false, "unnormalize": false,
        "data_augmentation": false, "sampler": "random", "n_splits": folds, "split": (0..folds).collect::<Vec<_>>(),
        "epochs": 100, "learning_rate": 5.64341e-4, "wd_bool": true, "weight_decay": 4.87963e-3, "dropout": 0.0679,
        "convolutions": {"conv0": block, "conv1": block, "conv2": block, "conv3": block, "conv4": block},
        "fc": {"FC0": {"in_features": 16128, "out_features": 180}, "FC1": {"in_features": 180, "out_features": 2}},
        "n_fcblocks": 2, "seed": 123,
    })
}

fn record(job: usize) -> serde_json::Value {
    json!({
        "version": 1, "starter": "daemon", "index": job, "search_seed": 7, "space_sha256": "00", "state": "done",
        "attempts": 1, "failures_in_a_row": 0, "checkpoints_seen": 1,
    })
}
