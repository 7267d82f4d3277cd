//! `neurosearch analysis` against the reference's own tables, and over folders that are not as they should be.

use crate::harness::tempdir;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/golden/analysis");
const METRICS: &str =
    "accuracy\tbalanced_accuracy\tsensitivity\tspecificity\tppv\tnpv\ttotal_loss\ttotal_kl_loss\ttotal_atlas_loss\timage_id\n";

pub fn analyse(launch: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_neurosearch")).arg("analysis").arg(launch).output().expect("started")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

pub fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).expect("a table");
    text.lines().map(|line| line.split('\t').map(str::to_string).collect()).collect()
}

fn by_name(path: &Path) -> BTreeMap<String, Vec<String>> {
    rows(path).into_iter().map(|row| (row[0].clone(), row)).collect()
}

/// A fold with the same balanced accuracy under both selections.
pub fn write_fold(job: &Path, fold: u32, accuracy: &str) {
    for selection in ["best_loss", "best_balanced_accuracy"] {
        let folder = job.join(format!("fold-{fold}/cnn_classification/{selection}"));
        fs::create_dir_all(&folder).expect("made");
        let row = format!("{accuracy}\t{accuracy}\t{accuracy}\t{accuracy}\t{accuracy}\t{accuracy}\t1.5\t0\t0\t\n");
        fs::write(folder.join("validation_image_level_metrics.tsv"), format!("{METRICS}{row}")).expect("written");
    }
}

pub fn write_job(launch: &Path, name: &str, options: &str) -> std::path::PathBuf {
    let job = launch.join(name);
    fs::create_dir_all(&job).expect("made");
    fs::write(job.join("commandline.json"), options).expect("written");
    job
}

/// A search space of so many folds.
pub fn space(folds: u32) -> String {
    format!(
        r#"{{"mode": "image", "network_type": "cnn", "caps_dir": "c", "tsv_path": "t", "preprocessing": "t1-linear",
        "diagnoses": ["AD", "CN"], "epochs": 1, "n_convblocks": 1, "first_conv_width": 4, "n_fcblocks": 1, "n_splits": {folds}}}"#
    )
}

#[test]
fn the_tables_of_sixty_jobs_agree_with_the_reference_by_job_name() {
    let dir = tempdir();
    let launch = dir.path().join("launch");
    copy(&Path::new(GOLDEN).join("launch"), &launch);
    let output = analyse(&launch);
    assert!(output.status.success(), "{output:?}");
    for table in ["analysis_balanced_accuracy.tsv", "analysis_loss.tsv"] {
        let ours = by_name(&launch.join(table));
        let theirs = by_name(&Path::new(GOLDEN).join("expected").join(table));
        assert_eq!(ours, theirs, "{table}");
        let order: Vec<String> = rows(&launch.join(table)).into_iter().map(|row| row[0].clone()).collect();
        let mut natural: Vec<String> = (0..60).map(|index| format!("job-{index}")).collect();
        natural.insert(0, String::new());
        natural.push("total".to_string());
        assert_eq!(order, natural, "{table}");
    }
    let jobs = rows(&launch.join("jobs.tsv"));
    assert_eq!(jobs.len(), 61);
    assert!(jobs.iter().all(|row| row.len() == jobs[0].len()));
}

#[test]
fn what_cannot_be_read_counts_as_not_found_and_is_named() {
    let dir = tempdir();
    let launch = dir.path();
    let job = write_job(launch, "job-2", r#"{"n_splits": 3}"#);
    write_fold(&job, 0, "0.75");
    write_fold(&job, 1, "1.0");
    fs::write(job.join("fold-1/cnn_classification/best_loss/validation_image_level_metrics.tsv"), METRICS).expect("cut");
    write_job(launch, "job-10", "{broken");
    fs::create_dir(launch.join("not-a-job")).expect("made");
    let output = analyse(launch);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in ["job-2/fold-1/cnn_classification/best_loss", "no result of fold-2", "job-10/commandline.json"] {
        assert!(said.contains(words), "{words} is not in:\n{said}");
    }
    let loss = "job-2\t1\t1\t1\t1\t1\t1\t0\t0\t0\t0\t0\t1\njob-10\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\n";
    let text = fs::read_to_string(launch.join("analysis_loss.tsv")).expect("a table");
    assert!(text.contains(loss), "{text}");
    assert!(text.ends_with("total\t1\t1\t1\t1\t1\t1\t0\t0\t0\t0\t0\t1\n"), "{text}");
    let accuracy = by_name(&launch.join("analysis_balanced_accuracy.tsv"));
    assert_eq!(accuracy["job-2"].join(" "), "job-2 1 1 1 1 1 1 1 1 1 0 0 2");
}

#[test]
fn a_fold_that_lacks_the_file_of_one_selection_is_named_and_counts_under_the_other() {
    let dir = tempdir();
    let launch = dir.path();
    let job = write_job(launch, "job-0", r#"{"n_splits": 2}"#);
    let lost = |selection: &str| job.join(format!("fold-0/cnn_classification/{selection}/validation_image_level_metrics.tsv"));
    let tables = ["analysis_loss.tsv", "analysis_balanced_accuracy.tsv"];
    for (selection, folds) in [("best_loss", ["1", "2"]), ("best_balanced_accuracy", ["2", "1"])] {
        (0..2).for_each(|fold| write_fold(&job, fold, "0.75"));
        fs::remove_file(lost(selection)).expect("removed");
        let output = analyse(launch);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&lost(selection).display().to_string()) && said.lines().count() == 1, "{said}");
        assert_eq!(tables.map(|table| by_name(&launch.join(table))["job-0"][12].clone()), folds);
    }
}

#[test]
fn the_folds_of_the_search_space_are_looked_at_and_the_jobs_own_where_it_is_refused() {
    let dir = tempdir();
    let launch = dir.path();
    let job = write_job(launch, "job-0", r#"{"n_splits": 2, "split": [1]}"#);
    for fold in 0..3 {
        write_fold(&job, fold, "0.75");
    }
    for (content, folds) in [(space(3).as_str(), "3"), ("{\"mode\": ", "1")] {
        fs::write(launch.join("random_search.json"), content).expect("written");
        assert!(analyse(launch).status.success());
        assert_eq!(by_name(&launch.join("analysis_loss.tsv"))["job-0"][12], folds);
    }
}

#[test]
fn an_autoencoders_finished_folds_count_without_any_threshold() {
    let dir = tempdir();
    let launch = dir.path();
    let job = write_job(launch, "job-0", r#"{"mode": "image", "network_type": "autoencoder", "n_splits": 2}"#);
    fs::create_dir(job.join(".neurosearch")).expect("made");
    for (fold, finished) in [(0, true), (1, false)] {
        let model = job.join(format!("fold-{fold}/models/best_loss"));
        fs::create_dir_all(&model).expect("made");
        fs::write(model.join("model_best.pth.tar"), "weights").expect("written");
        if finished {
            fs::create_dir(job.join(format!("fold-{fold}/autoencoder_reconstruction"))).expect("made");
            fs::write(job.join(format!("fold-{fold}/training.tsv")), "epoch\tloss_valid\n0\t0.5\n").expect("written");
        }
    }
    assert!(analyse(launch).status.success());
    for table in ["analysis_balanced_accuracy.tsv", "analysis_loss.tsv"] {
        assert_eq!(by_name(&launch.join(table))["job-0"].join(" "), "job-0 1 0 0 0 0 0 0 0 0 0 0 1");
    }
}

#[test]
fn options_states_and_results_stand_side_by_side_in_jobs_tsv() {
    let dir = tempdir();
    let launch = dir.path();
    let job = write_job(launch, "job-0", r#"{"mode": "patch", "patch_size": 12, "learning_rate": 1e-05, "n_splits": 2}"#);
    write_fold(&job, 0, "0.5");
    write_fold(&job, 1, "1.0");
    let training = "epoch\titeration\ttime\tbalanced_accuracy_train\tloss_train\tbalanced_accuracy_valid\tloss_valid\n\
        0\t3\t1.5\t0.5\t0.7\t0.5\t0.75\n1\t3\t3.0\t1.0\t0.5\t1.0\t0.25\n";
    fs::write(job.join("fold-1/training.tsv"), training).expect("written");
    fs::create_dir(job.join(".neurosearch")).expect("made");
    let record = r#"{"version": 1, "starter": "daemon", "index": 0, "search_seed": 7, "space_sha256": null, "state": "failed",
        "class": "killed", "sentence": "a signal\n\u001b[31m from outside", "attempts": 2, "failures_in_a_row": 1, "checkpoints_seen": 3}"#;
    fs::write(job.join(".neurosearch/job.json"), record).expect("written");
    assert!(analyse(launch).status.success());
    let table = rows(&launch.join("jobs.tsv"));
    let cell = |name: &str| {
        let at = table[0].iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
        table[1][at].clone()
    };
    let expected = [
        ("job", "job-0"),
        ("index", "0"),
        ("state", "failed"),
        ("failure", "killed"),
        ("attempts", "2"),
        ("mode", "patch"),
        ("patch_size", "12"),
        ("learning_rate", "1e-05"),
        ("best_loss_folds", "2"),
        ("best_loss_mean_balanced_accuracy", "0.75"),
        ("best_loss_mean_loss", "0.25"),
        ("best_balanced_accuracy_fold-1_npv", "1.0"),
        ("best_loss_fold-1_epoch", "1"),
        ("best_loss_fold-0_epoch", ""),
    ];
    for (name, text) in expected {
        assert_eq!(cell(name), text, "{name}");
    }
    assert!(!cell("reason").contains('\u{1b}'), "{:?}", cell("reason"));
}

#[test]
fn a_folder_that_is_no_launch_directory_gets_no_tables() {
    let dir = tempdir();
    assert_eq!(analyse(dir.path()).status.code(), Some(3));
    assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    assert_eq!(analyse(&dir.path().join("missing")).status.code(), Some(4));
}
