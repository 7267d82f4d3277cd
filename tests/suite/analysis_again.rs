//! `neurosearch analysis` once more: what has not changed since is not read again, and the tables are those of one that reads all.

use crate::analysis::{analyse, rows, space, write_fold, write_job};
use crate::harness::tempdir;
use crate::stand_in::until;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

const TABLES: [&str; 3] = ["analysis_balanced_accuracy.tsv", "analysis_loss.tsv", "jobs.tsv"];
const RECORD: &str = r#"{"version": 1, "starter": "daemon", "index": 0, "search_seed": 7, "space_sha256": null, "attempts": 1,
    "failures_in_a_row": 0, "checkpoints_seen": 0, "state": "#;

fn analyse_anew(launch: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
    let output = command.args(["analysis", "--anew"]).arg(launch).output().expect("started");
    assert!(output.status.success(), "{output:?}");
}

fn tables(launch: &Path) -> Vec<String> {
    TABLES.iter().map(|table| fs::read_to_string(launch.join(table)).expect("a table")).collect()
}

/// The jobs of which something is written down.
fn known(launch: &Path) -> Vec<String> {
    let text = fs::read_to_string(launch.join(".analysis")).unwrap_or_default();
    let written: Value = serde_json::from_str(&text).unwrap_or_default();
    written["rows"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// Analyses until something is known of exactly these jobs, which takes as long as their files need to grow old.
fn analyse_until_known(launch: &Path, jobs: &[&str]) {
    until("something is known of the jobs", || {
        assert!(analyse(launch).status.success());
        known(launch) == jobs
    });
}

fn training_table(job: &Path, below: &str, loss: &str) {
    let folder = job.join(below);
    fs::create_dir_all(&folder).expect("made");
    let text = format!("epoch\tbalanced_accuracy_valid\tloss_valid\n0\t0.5\t{loss}\n");
    fs::write(folder.join("training.tsv"), text).expect("written");
}

/// Jobs of one fold: one that is done, one of ClinicaDL's, a multicnn, and those of which nothing can be known beforehand.
fn made(launch: &Path) {
    fs::write(launch.join("random_search.json"), space(1)).expect("written");
    let finished = |name: &str, options: &str| {
        let job = write_job(launch, name, options);
        write_fold(&job, 0, "0.75");
        job
    };
    let recorded = |name: &str, state: &str| {
        let job = finished(name, "{}");
        fs::create_dir(job.join(".neurosearch")).expect("made");
        fs::write(job.join(".neurosearch/job.json"), format!("{RECORD}{state}}}")).expect("written");
        training_table(&job, "fold-0", "0.25");
    };
    recorded("job-0", r#""done""#);
    finished("job-1", "{}");
    let multicnn = finished("job-2", r#"{"network_type": "multicnn"}"#);
    // ClinicaDL leaves one beside those of the networks.
    training_table(&multicnn, "fold-0", "0.75");
    training_table(&multicnn, "fold-0/tensorboard_logs/cnn-0", "0.5");
    recorded("job-3", r#""running", "device": "cpu-0", "since": 1"#);
    write_job(launch, "job-4", "{}");
    let autoencoder = write_job(launch, "job-5", r#"{"network_type": "autoencoder"}"#);
    fs::create_dir_all(autoencoder.join("fold-0/models/best_loss")).expect("made");
    fs::write(autoencoder.join("fold-0/models/best_loss/model_best.pth.tar"), "weights").expect("written");
}

type Change = fn(&Path);

/// What may happen to a launch directory that is [`made`].
const CHANGES: [(&str, Change); 10] = [
    ("metrics, to the same length and time", |launch| {
        let job = launch.join("job-1");
        let path = job.join("fold-0/cnn_classification/best_loss/validation_image_level_metrics.tsv");
        let time = path.metadata().and_then(|meta| meta.modified()).expect("its time");
        write_fold(&job, 0, "0.95");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(time)).expect("its old time");
    }),
    ("a training table", |launch| training_table(&launch.join("job-0"), "fold-0", "0.125")),
    ("one network's training table", |launch| {
        training_table(&launch.join("job-2"), "fold-0/tensorboard_logs/cnn-0", "0.125");
    }),
    ("another network", |launch| training_table(&launch.join("job-2"), "fold-0/tensorboard_logs/cnn-1", "0.5")),
    ("options", |launch| drop(write_job(launch, "job-1", r#"{"epochs": 7}"#))),
    ("a record", |launch| {
        let state = r#""failed", "class": "killed", "sentence": "from outside""#;
        fs::write(launch.join("job-0/.neurosearch/job.json"), format!("{RECORD}{state}}}")).expect("written");
    }),
    ("a result that is gone", |launch| {
        fs::remove_dir_all(launch.join("job-2/fold-0/cnn_classification")).expect("removed");
    }),
    ("a job under another's name", |launch| {
        fs::rename(launch.join("job-1"), launch.join("aside")).expect("renamed");
        fs::rename(launch.join("job-2"), launch.join("job-1")).expect("renamed");
    }),
    ("a job that is gone", |launch| fs::remove_dir_all(launch.join("job-0")).expect("removed")),
    ("the folds", |launch| fs::write(launch.join("random_search.json"), space(2)).expect("written")),
];

#[test]
fn an_analysis_after_any_change_equals_one_that_reads_everything() {
    let dir = tempdir();
    let jobs = ["job-0", "job-1", "job-2"];
    let fresh = |name: &str| {
        let launch = dir.path().join(name);
        fs::create_dir(&launch).expect("made");
        made(&launch);
        launch
    };
    let launches = CHANGES.map(|(what, _)| fresh(what));
    launches.iter().for_each(|launch| analyse_until_known(launch, &jobs));
    let before = tables(&launches[0]);
    CHANGES.iter().zip(&launches).for_each(|((_, change), launch)| change(launch));
    // Once this one is old enough, all the changes are.
    analyse_until_known(&fresh("later"), &jobs);
    for ((what, _), launch) in CHANGES.iter().zip(&launches) {
        assert!(analyse(launch).status.success(), "{what}");
        let ours = tables(launch);
        analyse_anew(launch);
        assert_eq!(ours, tables(launch), "after a change of {what}");
        assert_ne!(ours, before, "{what} changed nothing");
    }
}

/// The first cells of `jobs.tsv`.
fn jobs(launch: &Path) -> Vec<String> {
    rows(&launch.join("jobs.tsv")).into_iter().map(|row| row[0].clone()).collect()
}

const ALL: [&str; 7] = ["job", "job-0", "job-1", "job-2", "job-3", "job-4", "job-5"];

/// Writes into what is known that job-1 has another name, which nobody comes to who reads it.
fn made_up(launch: &Path) -> String {
    let written = fs::read_to_string(launch.join(".analysis")).expect("written down");
    let other = written.replace("job-1\\t", "known\\t");
    assert_ne!(written, other);
    fs::write(launch.join(".analysis"), &other).expect("written");
    other
}

#[test]
fn an_unchanged_job_is_not_read_and_a_damaged_cache_is_not_believed() {
    let dir = tempdir();
    let launch = dir.path();
    made(launch);
    analyse_until_known(launch, &["job-0", "job-1", "job-2"]);
    let known_jobs = known(launch);
    let other = made_up(launch);
    assert!(analyse(launch).status.success());
    assert_eq!(jobs(launch), ALL.map(|name| if name == "job-1" { "known" } else { name }));
    analyse_anew(launch);
    assert_eq!(jobs(launch), ALL);
    let program = other.split(['[', ']']).nth(1).expect("whose it is");
    let of_no_use = [other[..other.len() / 2].to_string(), other.replace(program, "1,2"), "[]".repeat(100_000), String::new()];
    for text in of_no_use {
        fs::write(launch.join(".analysis"), &text).expect("written");
        assert!(analyse(launch).status.success());
        assert_eq!(jobs(launch), ALL, "after {:.80}", text);
        assert_eq!(known(launch), known_jobs, "it is written down again");
    }
}

#[test]
fn without_a_search_space_every_job_is_read_and_nothing_is_written_down() {
    let dir = tempdir();
    let launch = dir.path();
    made(launch);
    analyse_until_known(launch, &["job-0", "job-1", "job-2"]);
    let other = made_up(launch);
    fs::remove_file(launch.join("random_search.json")).expect("removed");
    assert!(analyse(launch).status.success());
    assert_eq!(jobs(launch), ALL);
    assert_eq!(fs::read_to_string(launch.join(".analysis")).expect("as it was"), other);
}
