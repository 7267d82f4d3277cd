//! Watches that fail, directories that move, file systems that do not answer, tables that cannot be written, and panics.

use super::check::assert_whole;
use super::{setup, wait};
use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::until;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// A setup with a directory of failpoints, in which a test arms what it needs.
fn armed(dir: &Path, setup: Setup) -> (PathBuf, Setup) {
    let failpoints = dir.join("failpoints");
    fs::create_dir_all(&failpoints).expect("made");
    let setup = setup.with("NEUROSEARCH_FAILPOINTS", failpoints.display().to_string());
    (failpoints, setup)
}

fn alarmed(daemon: &Daemon, words: &str) -> bool {
    daemon.status().alarms.iter().any(|alarm| alarm.contains(words))
}

#[test]
fn where_nothing_can_be_watched_the_regular_scan_finds_everything() {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path(), setup(1));
    let refused = failpoints.join("watch:*=ENOSPC+");
    fs::write(&refused, "").expect("armed");
    let daemon = Daemon::start(dir.path(), &setup);
    until("the alarm says so", || alarmed(&daemon, "not every directory can be watched"));
    let launch = daemon.launch("polled");
    drop_space(&launch, &space(1, 1, &json!({})));
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    drop_space(&launch, &space(2, 1, &json!({})));
    wait(&daemon, &launch, "an edit is found too", |counts| counts.done == 2);
    fs::remove_file(refused).expect("disarmed");
    until("the alarm is gone", || !alarmed(&daemon, "not every directory can be watched"));
    assert_whole(&launch, 2, 1);
}

#[test]
fn a_directory_that_was_moved_away_and_back_is_watched_as_before() {
    let dir = tempdir();
    let mut setup = setup(1);
    // Only an event tells of the last edit.
    setup.config = setup.config.replace("rescan_seconds = 1", "rescan_seconds = 3600");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("moved");
    drop_space(&launch, &space(1, 1, &json!({})));
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    let away = dir.path().join("away");
    fs::rename(&launch, &away).expect("moved away");
    until("it is forgotten", || daemon.search(&launch).is_none());
    fs::rename(&away, &launch).expect("moved back");
    wait(&daemon, &launch, "it is known again", |counts| counts.done == 1);
    drop_space(&launch, &space(2, 1, &json!({})));
    wait(&daemon, &launch, "its edit is heard", |counts| counts.done == 2);
    assert_whole(&launch, 2, 1);
}

#[test]
fn a_watched_directory_that_is_deleted_and_made_again_is_watched_as_before() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    drop_space(&daemon.launch("first"), &space(1, 1, &json!({})));
    wait(&daemon, &daemon.root.join("first"), "the job is done", |counts| counts.done == 1);
    until("it is deleted", || fs::remove_dir_all(&daemon.root).is_ok());
    until("the alarm is shown", || alarmed(&daemon, "root"));
    fs::create_dir(&daemon.root).expect("made again");
    let launch = daemon.launch("second");
    drop_space(&launch, &space(1, 1, &json!({})));
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    until("the alarm is gone", || daemon.status().alarms.is_empty());
    assert_whole(&launch, 1, 1);
}

#[test]
fn a_file_system_that_does_not_answer_is_shown_and_keeps_no_other_waiting() {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path(), setup(1));
    let daemon = Daemon::start(dir.path(), &setup);
    let dead = failpoints.join("look:%root=wait+");
    fs::write(&dead, "").expect("armed");
    until("it is shown", || alarmed(&daemon, "has not answered"));
    let second = dir.path().join("second");
    let launch = second.join("alive");
    fs::create_dir_all(&launch).expect("made");
    let order = json!({ "target": second });
    daemon.client().post::<serde_json::Value>("/v1/add", &order).expect("added");
    drop_space(&launch, &space(1, 1, &json!({})));
    wait(&daemon, &launch, "the other directory is served", |counts| counts.done == 1);
    fs::remove_file(dead).expect("it answers again");
    until("the alarm is gone", || daemon.status().alarms.is_empty());
}

#[test]
fn tables_that_cannot_be_written_are_an_alarm_and_are_written_when_they_can_be() {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path(), setup(1));
    let full = failpoints.join("write:%jobs.tsv=ENOSPC+");
    fs::write(&full, "").expect("armed");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("tables");
    drop_space(&launch, &space(1, 1, &json!({})));
    let told = || {
        let alarms = daemon.search(&launch).map(|search| search.alarms).unwrap_or_default();
        alarms.iter().any(|alarm| alarm.contains("the tables are out of date") && alarm.contains("jobs.tsv"))
    };
    until("the alarm is shown", told);
    assert!(!launch.join("jobs.tsv").exists());
    fs::remove_file(full).expect("disarmed");
    until("the table is there", || launch.join("jobs.tsv").exists());
    until("the alarm is gone", || !told());
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    assert_whole(&launch, 1, 1);
}

#[test]
fn a_panic_in_any_thread_ends_the_daemon_and_the_next_one_goes_on() {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path(), setup(1));
    fs::write(failpoints.join("write:%jobs.tsv=panic"), "").expect("armed");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("panic");
    drop_space(&launch, &space(2, 1, &json!({})));
    until("the daemon has ended", || !daemon.is_running());
    assert!(daemon.log().contains("arms a panic"), "{}", daemon.log());
    daemon.start_again(&setup);
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
    assert_whole(&launch, 2, 1);
}
