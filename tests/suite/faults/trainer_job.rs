//! Small jobs for the real trainer, and what must hold of their folders after any death and after any attempt that followed it.

use super::check::files;
use crate::trainer_run::{Job, assert_same};
use neurosearch::store::records::job_records::{TrainerRecord, read_options};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::records::{finished_folds, record};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// One thin block, and a single thread, so that several jobs share two cores without standing in each other's way.
fn tiny(changes: Value) -> Value {
    let block = json!({ "conv0": { "in_channels": null, "out_channels": 2, "n_conv": 1, "d_reduction": "stride" } });
    crate::trainer_run::laid_over(
        json!({ "convolutions": block, "n_fcblocks": 1, "nproc": 0, "batch_size": 2, "epochs": 2 }),
        changes,
    )
}

/// With every option that draws random numbers.
pub fn cnn() -> Value {
    tiny(json!({
        "epochs": 4, "dropout": 0.3, "sampler": "weighted", "data_augmentation": ["Noise", "Erasing", "CropPad", "Smoothing"]
    }))
}

pub fn autoencoder() -> Value {
    tiny(json!({ "network_type": "autoencoder", "data_augmentation": ["Noise"] }))
}

/// Two networks, whose answers are voted.
pub fn multicnn() -> Value {
    tiny(json!({ "network_type": "multicnn", "mode": "patch", "patch_size": 26, "stride_size": 26, "dropout": 0.2 }))
}

pub fn command(job: &Job) -> Command {
    let mut command = job.command();
    command.env("NEUROSEARCH_THREADS", "1");
    command
}

/// Trains to the end, which must be that it is done.
pub fn train(job: &Job) {
    let output = command(job).output().expect("the trainer starts");
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(job.end()["ended"], "done");
}

/// The job as an attempt that was disturbed left it: its records can be read, and its fold looks finished only where it is.
pub fn assert_sound(job: &Job, whole: &Job, what: &str) {
    let folder = JobDir::new(&job.folder);
    for path in [folder.trainer_record(), folder.progress(), folder.end()].iter().filter(|path| path.exists()) {
        let read: Result<Value, _> = record::read_json(path);
        read.unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    if folder.trainer_record().exists() {
        record::read::<TrainerRecord>(&folder.trainer_record()).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    let (options, _) = read_options(&folder.commandline()).unwrap_or_else(|e| panic!("{what}: {e}"));
    if finished_folds::is_finished(&folder.fold(0), &options) {
        assert_same(&job.fold(0), &whole.fold(0));
    } else if folder.end().exists() {
        assert_ne!(job.end()["ended"], "done", "{what}");
    }
}

/// The job after the attempt that nobody disturbed: bit for bit as `whole`, which never stopped, and nothing lies about.
pub fn assert_ended_as(job: &Job, whole: &Job, what: &str) {
    assert_same(&job.fold(0), &whole.fold(0));
    assert!(!JobDir::new(&job.folder).fold(0).private().exists(), "{what}: checkpoints of a finished fold");
    let mut left: Vec<PathBuf> =
        files(&job.folder).iter().filter_map(|path| path.strip_prefix(&job.folder).ok()).map(PathBuf::from).collect();
    left.retain(|path| path.to_string_lossy().contains(".tmp"));
    assert!(left.is_empty(), "{what}: {left:?}");
}
