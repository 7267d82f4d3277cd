//! Directories and folders that go while something is under way in them.

use super::check::{assert_nothing_lost, files, job};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::stand_in::{json, until};
use neurosearch::domain::job::JobState;
use neurosearch::store::fs::lock;
use neurosearch::store::records::job_records::JobRecord;
use neurosearch::store::records::record;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Waits for the last records of a search whose jobs are done, and asserts that none is lost.
fn recorded(launch: &Path, jobs: u64) {
    let done = |index| record::read::<JobRecord>(&job(launch, index).record()).is_ok_and(|record| record.state == JobState::Done);
    until("every record says done", || (0..jobs).all(done));
    assert_nothing_lost(launch, jobs);
}

#[test]
fn a_search_that_is_removed_during_a_draw_gives_its_slot_to_the_next() {
    let dir = tempdir();
    let failpoints = dir.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let drawing = failpoints.join("create:%removed%job-#=wait+");
    fs::write(&drawing, "").expect("armed");
    let daemon = Daemon::start(dir.path(), &setup(1).with("NEUROSEARCH_FAILPOINTS", failpoints.display().to_string()));
    let launch = daemon.launch("removed");
    drop_space(&launch, &space(1, 1, &json!({})));
    until("the slot is lent for the draw", || daemon.status().devices.iter().any(|device| device.busy == 1));
    // The daemon may put a file there in between.
    until("it is removed", || fs::remove_dir_all(&launch).is_ok());
    let next = daemon.launch("next");
    drop_space(&next, &space(1, 1, &json!({})));
    wait(&daemon, &next, "the next search has the slot", |counts| counts.done == 1);
    fs::remove_file(drawing).expect("disarmed");
}

#[test]
fn nothing_is_put_into_another_directory_of_the_same_name() {
    let dir = tempdir();
    let hold = dir.path().join("hold");
    fs::write(&hold, "").expect("held");
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_HOLD", hold.display().to_string()));
    let launch = daemon.launch("replaced");
    drop_space(&launch, &space(2, 3, &json!({})));
    // It may move only once the stand-in no longer reads what it begins with.
    let begun = launch.join("job-0/.neurosearch/epochs");
    until("a trainer runs", || fs::metadata(&begun).is_ok_and(|meta| meta.len() > 0));
    let away = dir.path().join("away");
    fs::rename(&launch, &away).expect("moved away");
    fs::create_dir(&launch).expect("made");
    let held = |wanted: bool| {
        let alarms = daemon.search(&launch).map(|search| search.alarms).unwrap_or_default();
        alarms.iter().any(|alarm| alarm.contains("another one has its name")) == wanted
    };
    until("the search is held", || held(true));
    // What would be done now, were it not held.
    let order = json!({ "target": launch, "set": { "priority": "3" } });
    daemon.client().post::<serde_json::Value>("/v1/set", &order).expect("set");
    until("the order is taken", || daemon.search(&launch).is_some_and(|search| search.priority == 3));
    // A table whose writing was under way just then may arrive there; nothing else may.
    let table =
        |path: &std::path::PathBuf| path.to_string_lossy().contains("analysis_") || path.to_string_lossy().contains("jobs.tsv");
    let ours: Vec<_> = files(&launch).into_iter().filter(|path| !table(path)).collect();
    assert_eq!(ours, Vec::<std::path::PathBuf>::new(), "nothing of ours is put there");
    fs::remove_dir_all(&launch).expect("removed");
    fs::rename(&away, &launch).expect("moved back");
    fs::remove_file(hold).expect("let go");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 2);
    assert!(held(false));
    recorded(&launch, 2);
    until("the order that waited is recorded", || json(&launch.join(".neurosearch/search.json"))["priority"] == json!(3));
}

#[test]
fn the_folder_of_a_running_job_may_be_removed_and_the_search_goes_on() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_PAUSE", "0.1"));
    let launch = daemon.launch("folder");
    drop_space(&launch, &space(2, 5, &json!({})));
    until("an epoch is done", || job(&launch, 0).private().join("epochs").exists());
    until("its folder is removed", || fs::remove_dir_all(job(&launch, 0).path()).is_ok());
    wait(&daemon, &launch, "both jobs are done, one of them drawn again", |counts| counts.done == 2);
    recorded(&launch, 2);
}

#[test]
fn a_lock_that_is_removed_is_taken_again_and_the_search_recorded_again() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("unlocked");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    let private = launch.join(".neurosearch");
    until("it is removed", || fs::remove_dir_all(&private).is_ok());
    until("the lock is held again", || lock::is_held(&private.join("lock")).is_ok_and(|held| held));
    until("the search is recorded again", || private.join("search.json").exists());
    assert_eq!(daemon.counts(&launch).done, 1);
}
