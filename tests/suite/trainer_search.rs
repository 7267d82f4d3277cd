//! Searches by the real daemon and the real trainer: one over every mode and every network type, and what is asked of a done job.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{json, until};
use crate::verbs::{granted, path};
use neurosearch::control::reply::SearchState;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

const JOBS: u64 = 40;

#[test]
fn a_space_of_every_mode_and_network_type_runs_forty_jobs_without_a_failure() {
    let dir = tempdir();
    let config = "devices = \"cpu\"\nslots_per_device = 2\nrescan_seconds = 1\nsettle_milliseconds = 100".to_string();
    let setup = Setup { config, environment: Vec::new() }.with("NEUROSEARCH_TRAINER", env!("CARGO_BIN_EXE_neurosearch-trainer"));
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("all");
    let everything = json!({
        "mode": ["image", "patch", "roi", "slice"], "network_type": ["autoencoder", "cnn", "multicnn"],
        "patch_size": [20, 26], "stride_size": 26, "roi_list": ["left", "right"], "slice_direction": 0, "discarded_slices": [20, 20],
        "n_convblocks": [1, 2], "first_conv_width": 2, "n_fcblocks": [1, 2], "d_reduction": ["MaxPooling", "stride"],
        "network_normalization": ["BatchNorm", "InstanceNorm", null], "batch_size": 6, "nproc": 1, "sampler": ["random", "weighted"],
        "data_augmentation": ["Noise", "Erasing", "CropPad", "Smoothing"], "selection_threshold": [0, 1], "dropout": [0, 0.5],
        "unnormalize": false, "accumulation_steps": [1, 2],
        // With this seed every pair that is allowed is drawn at least twice.
        "neurosearch": { "n_jobs": JOBS, "seed": 12 }
    });
    drop_space(&launch, &space(JOBS, 1, &everything));
    // Job by job, so that only a job that hangs is waited for in vain, however slow the machine is.
    for count in 1..=JOBS {
        daemon.wait_for("the next job is done", &launch, |counts| {
            assert_eq!(counts.failed, 0, "{}", daemon.log());
            counts.done >= count
        });
    }
    until("the search is finished", || daemon.search(&launch).map(|search| search.state) == Some(SearchState::Finished));
    let kinds: Vec<(String, String)> = (0..JOBS)
        .map(|index| {
            let options = json(&launch.join(format!("job-{index}/commandline.json")));
            let word = |key: &str| options[key].as_str().expect("a word").to_string();
            (word("mode"), word("network_type"))
        })
        .collect();
    assert_eq!(kinds.iter().collect::<BTreeSet<_>>().len(), 11, "every allowed pair was drawn: {kinds:?}");
    let row = |index: u64| format!("job-{index}\t1\t");
    let table = || fs::read_to_string(launch.join("analysis_balanced_accuracy.tsv")).unwrap_or_default();
    until("every job is in the table", || (0..JOBS).all(|index| table().contains(&row(index))));
    let table = table();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 1 + 40 + 1, "{table}");
    for (line, (mode, network_type)) in lines[1..].iter().zip(&kinds) {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_eq!((cells[1], cells.last()), ("1", Some(&"1")), "{mode} {network_type}: {line}");
        if network_type == "autoencoder" {
            assert!(cells[2..cells.len() - 1].iter().all(|cell| *cell == "0"), "{line}");
        }
    }
    assert!(lines[41].starts_with("total\t40\t") && lines[41].ends_with("\t40"), "{table}");
}

#[test]
fn results_of_a_done_job_that_were_deleted_come_back_by_a_retry() {
    let dir = tempdir();
    let config = "devices = \"cpu\"\nrescan_seconds = 1\nsettle_milliseconds = 100".to_string();
    let setup = Setup { config, environment: Vec::new() }.with("NEUROSEARCH_TRAINER", env!("CARGO_BIN_EXE_neurosearch-trainer"));
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("done");
    drop_space(&launch, &space(1, 1, &json!({ "n_splits": 2 })));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    let job = launch.join("job-0");
    let results = job.join("fold-1/cnn_classification");
    let metrics = results.join("best_loss/validation_image_level_metrics.tsv");
    let before = fs::read_to_string(&metrics).expect("a table");
    fs::remove_dir_all(&results).expect("removed");
    let said = granted(dir.path(), &["retry", path(&job)]);
    assert!(said.contains("what is missing of its results is made anew"), "{said}");
    until("they are there again", || fs::read_to_string(&metrics).is_ok_and(|after| after == before));
    daemon.wait_for("it is done again", &launch, |counts| counts.done == 1);
}
