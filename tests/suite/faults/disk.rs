//! A disk that is full, read-only or failing for a while: nothing new starts, the alarm is shown, and the search goes on by itself.

use super::check::assert_whole;
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::stand_in::until;
use serde_json::json;
use std::fs;

/// Every durable write fails with `error` while a job runs and another is due.
fn search_through(error: &str, words: &str) {
    let dir = tempdir();
    let failpoints = dir.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let setup = setup(1).with("NEUROSEARCH_FAILPOINTS", failpoints.display().to_string()).with("STAND_IN_PAUSE", "0.1");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("full");
    drop_space(&launch, &space(4, 3, &json!({})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);
    let failure = failpoints.join(format!("write:*={error}+"));
    fs::write(&failure, "").expect("armed");
    until("the alarm is shown", || {
        daemon.search(&launch).is_some_and(|search| search.alarms.iter().any(|alarm| alarm.contains(words)))
    });
    let done = daemon.counts(&launch).done;
    until("the running job has ended", || daemon.counts(&launch).running == 0);
    assert!(daemon.counts(&launch).done <= done + 1, "nothing new starts");
    assert_eq!(daemon.counts(&launch).failed, 0, "a full disk is no job's fault");
    fs::remove_file(failure).expect("disarmed");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 4);
    until("the alarm is gone", || daemon.search(&launch).is_some_and(|search| search.alarms.is_empty()));
    assert_whole(&launch, 4, 3);
}

#[test]
fn a_full_disk_holds_the_search_until_there_is_room() {
    search_through("ENOSPC", "No space left on device");
}

#[test]
fn a_read_only_disk_holds_the_search_until_it_takes_writes() {
    search_through("EROFS", "Read-only file system");
}

#[test]
fn a_failing_disk_holds_the_search_until_it_works_again() {
    search_through("EIO", "Input/output error");
}
