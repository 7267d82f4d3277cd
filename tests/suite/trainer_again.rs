//! A job taken up again after somebody changed its files, or after a death at the worst moment: nothing wrong is kept, nothing lost stays lost.

use super::stand_in::{Signal, signal};
use super::trainer_run::{Job, assert_same, json_of, table, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the trainer, which dies at a failpoint on its way.
fn dies_at(job: &Job, failpoint: &str) {
    let failpoints = job.launch.path().join("failpoints");
    fs::create_dir_all(&failpoints).expect("made");
    fs::write(failpoints.join(format!("{failpoint}=kill")), "").expect("armed");
    let output = job.command().env("NEUROSEARCH_FAILPOINTS", &failpoints).output().expect("the trainer starts");
    assert_eq!(output.status.code(), None, "{failpoint} was not passed: {}", words(&output));
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn killed_once_there_is(job: &Job, checkpoint: u32) {
    let mut child = job.start();
    let path = job.folder.join(format!(".neurosearch/fold-0/checkpoint-{checkpoint}"));
    wait_until("the checkpoint", || path.exists() || !matches!(child.try_wait(), Ok(None)));
    signal(child.id(), Signal::KILL);
    assert!(!child.wait().expect("reaped").success(), "it was over before it could be killed");
}

fn epochs(number: u32) -> Value {
    json!({ "epochs": number, "dropout": 0.2 })
}

#[test]
fn a_checkpoint_of_other_rows_is_not_used_and_the_log_says_why() {
    for (train, validation) in [(&[8, 9, 10, 11][..], &[0, 1, 4, 5][..]), (&[2, 3], &[0, 1]), (&[2, 3, 6, 7], &[1, 0, 5, 8])] {
        let fresh = Job::new(epochs(4));
        fresh.labels(train, validation);
        fresh.train();
        let job = Job::new(epochs(4));
        killed_once_there_is(&job, 1);
        job.labels(train, validation);
        let output = job.run();
        assert!(output.status.success(), "{}", words(&output));
        assert!(words(&output).contains("label files"), "{}", words(&output));
        assert_same(&job.fold(0), &fresh.fold(0));
    }
}

#[test]
fn every_table_and_every_model_of_a_finished_fold_can_be_deleted_and_comes_back() {
    let whole = Job::new(epochs(1));
    whole.train();
    let job = Job::new(epochs(1));
    job.train();
    let classification = Path::new("cnn_classification");
    let lost = [
        classification.join("best_loss/train_image_level_prediction.tsv"),
        classification.join("best_balanced_accuracy/validation_image_level_metrics.tsv"),
        classification.join("best_loss"),
        classification.to_path_buf(),
        PathBuf::from("training.tsv"),
        PathBuf::from("models/best_loss/model_best.pth.tar"),
    ];
    for lost in lost {
        let path = job.fold(0).join(&lost);
        if path.is_dir() {
            fs::remove_dir_all(&path).expect("removed");
        } else {
            fs::remove_file(&path).expect("removed");
        }
        let output = Command::new(env!("CARGO_BIN_EXE_neurosearch")).arg("continue").arg(&job.folder).output().expect("it runs");
        assert!(output.status.success(), "{}: {}", lost.display(), words(&output));
        assert_same(&job.fold(0), &whole.fold(0));
    }
}

#[test]
fn results_that_are_there_by_half_make_way_and_no_epoch_is_trained_again() {
    let whole = Job::new(epochs(3));
    whole.train();
    let job = Job::new(epochs(3));
    dies_at(&job, "rename:fold-#%cnn_classification");
    let half = job.fold(0).join("cnn_classification/best_loss");
    fs::create_dir_all(&half).expect("made");
    fs::write(half.join("train_image_level_metrics.tsv"), "accuracy\n1.0\n").expect("written");
    let trained = fs::read(job.fold(0).join("training.tsv")).expect("read");
    job.train();
    assert_eq!(fs::read(job.fold(0).join("training.tsv")).expect("read"), trained, "with the very times of before");
    assert_same(&job.fold(0), &whole.fold(0));
}

#[test]
fn checkpoints_of_a_finished_fold_that_a_death_left_behind_go_at_the_next_start() {
    let job = Job::new(epochs(1));
    dies_at(&job, "remove:.neurosearch%fold-#");
    let kept = job.folder.join(".neurosearch/fold-0");
    assert!(kept.join("checkpoint-0").exists());
    let model = job.fold(0).join("models/best_loss/model_best.pth.tar");
    let before = fs::metadata(&model).expect("there").modified().expect("a time");
    job.train();
    assert!(!kept.exists());
    assert_eq!(fs::metadata(&model).expect("there").modified().expect("a time"), before, "nothing is trained again");
}

#[test]
fn a_multicnns_checkpoints_are_read_one_by_one_when_it_is_their_networks_turn() {
    let changes = json!({ "epochs": 2, "mode": "patch", "network_type": "multicnn", "patch_size": 20, "stride_size": 22 });
    let whole = Job::new(changes.clone());
    whole.train();
    let job = Job::new(changes);
    // The first two networks are finished, each with its last checkpoint left.
    killed_once_there_is(&job, 4);
    for number in [1, 3] {
        let path = job.folder.join(format!(".neurosearch/fold-0/checkpoint-{number}"));
        fs::write(&path, "damaged").expect("written");
    }
    let output = job.run();
    assert!(output.status.success(), "{}", words(&output));
    let place = |number: u32| words(&output).find(&format!("checkpoint {number} of ")).expect("a note");
    assert!(place(1) < place(3), "{}", words(&output));
    assert_same(&job.fold(0), &whole.fold(0));
}

#[test]
fn the_last_report_says_that_every_fold_is_done() {
    let labels = super::trainer_run::fixtures().join("mni-quarter/labels");
    let job = Job::new(json!({ "tsv_path": labels, "n_splits": 2, "epochs": 1, "batch_size": 12 }));
    job.train();
    let report = || json_of(&job.folder.join(".neurosearch/progress.json"));
    assert_eq!((&report()["folds_done"], &report()["folds"]), (&json!(2), &json!(2)));
    job.train();
    assert_eq!(report()["folds_done"], json!(2), "where there was nothing left to do, too");
    assert_eq!(table(&job.fold(1).join("training.tsv")).rows.len(), 1);
}
