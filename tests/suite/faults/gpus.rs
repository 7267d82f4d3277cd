//! GPUs that fail, and drivers that do not answer, by a listing in the driver's place.

use super::wait;
use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::until;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const LISTING: &str =
    r#"[{"index": 0, "uuid": "GPU-1a", "name": "T4", "memory_total": 16000000000, "memory_free": 16000000000}]"#;

/// A daemon's setup whose driver answers with this text.
fn with_listing(dir: &Path, text: &str) -> (PathBuf, Setup) {
    let path = dir.join("gpus.json");
    fs::write(&path, text).expect("written");
    let config = "rescan_seconds = 1\nsettle_milliseconds = 100".to_string();
    let setup = Setup { config, ..Setup::default() };
    let setup = setup.with("NEUROSEARCH_GPU_LISTING", path.display().to_string());
    (path, setup)
}

#[test]
fn jobs_wait_for_a_driver_that_does_not_answer_and_start_when_it_does() {
    let dir = tempdir();
    let (path, setup) = with_listing(dir.path(), "no answer");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("waiting");
    drop_space(&launch, &space(2, 1, &json!({ "use_cpu": false })));
    until("the alarm says that jobs wait", || {
        daemon.status().alarms.iter().any(|alarm| alarm.contains("jobs that need a GPU wait"))
    });
    daemon.wait_for("the space is accepted", &launch, |counts| counts.undrawn == 2);
    fs::write(&path, LISTING).expect("the driver answers");
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
}

#[test]
fn a_gpu_on_which_three_different_jobs_in_a_row_fail_is_drained_and_shown_so() {
    let dir = tempdir();
    let (_, setup) = with_listing(dir.path(), LISTING);
    let daemon = Daemon::start(dir.path(), &setup.with("STAND_IN", "device"));
    let launch = daemon.launch("failing");
    drop_space(&launch, &space(6, 1, &json!({ "use_cpu": false })));
    // The daemon answers before the driver does: at first there is no GPU.
    let gpu = || daemon.status().devices.into_iter().find(|device| device.id == "GPU-1a");
    let drained = |why: String| why.contains("drained: 3 different jobs");
    until("it is drained", || gpu().is_some_and(|gpu| gpu.out_of_use.is_some_and(drained)));
    until("its slot is free", || gpu().is_some_and(|gpu| gpu.busy == 0));
    assert!(daemon.counts(&launch).failed < 3, "the others wait: {:?}", daemon.counts(&launch));
}
