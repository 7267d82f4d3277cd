//! A disk that does not take what a trainer has to write: nothing new starts, no job is at fault, and it goes on by itself.

use super::check::{assert_whole, job};
use super::{dir, setup, wait};
use crate::harness::{Daemon, drop_space, space};
use crate::stand_in::{json, launch, neurosearch, said, until};
use serde_json::json;
use std::fs;

#[test]
fn a_trainer_without_room_holds_the_search_counts_as_no_failure_and_goes_on_by_itself() {
    let dir = dir();
    let failpoints = dir.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let (full, no_room) = (dir.path().join("full"), failpoints.join("write:%.neurosearch%probe=ENOSPC+"));
    fs::write(&full, "").expect("written");
    fs::write(&no_room, "").expect("armed");
    let setup = setup(1).with("NEUROSEARCH_FAILPOINTS", failpoints.display().to_string());
    let setup = setup.with("STAND_IN", "unwritable").with("STAND_IN_FULL", full.display().to_string());
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("full");
    drop_space(&launch, &space(3, 2, &json!({})));
    let alarmed = |words: &str| {
        let search = daemon.search(&launch);
        search.is_some_and(|search| search.alarms.iter().any(|a| a.contains("nothing new is started") && a.contains(words)))
    };
    until("the alarm says why", || alarmed("could not be written") || alarmed("No space left"));
    until("the directory is tried, in vain", || alarmed("probe") && alarmed("No space left"));
    let counts = daemon.counts(&launch);
    assert_eq!((counts.queued, counts.running, counts.failed, counts.undrawn), (1, 0, 0, 2), "nothing new starts");
    let record = json(&job(&launch, 0).record());
    assert_eq!((&record["state"], &record["failures_in_a_row"]), (&json!("queued"), &json!(0)));
    fs::remove_file(full).expect("room");
    fs::remove_file(no_room).expect("disarmed");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 3);
    until("the alarm is gone", || daemon.search(&launch).is_some_and(|search| search.alarms.is_empty()));
    assert_whole(&launch, 3, 2);
}

#[test]
fn a_job_by_hand_without_room_says_so_and_can_be_continued() {
    let dir = dir();
    let launch = launch(dir.path(), json!({}));
    let full = dir.path().join("full");
    fs::write(&full, "").expect("written");
    let run = |arguments: &[&std::ffi::OsStr]| {
        let mut command = neurosearch(dir.path());
        command.args(arguments).env("STAND_IN", "unwritable").env("STAND_IN_FULL", &full);
        command.output().expect("the program runs")
    };
    let folder = launch.join("x");
    let output = run(&["generate".as_ref(), launch.as_os_str(), "x".as_ref()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("could not be written") && said(&output).contains("neurosearch continue"),
        "{}",
        said(&output)
    );
    assert_eq!(json(&folder.join(".neurosearch/job.json"))["state"], json!("paused"));
    fs::remove_file(&full).expect("room");
    let output = run(&["continue".as_ref(), folder.as_os_str()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
