//! A disk that does not take what a trainer has to write, or not give what it has to read: what is an outage holds the search until it is over, and one bad file ends its own job alone.

use super::check::{assert_whole, job, starts};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::stand_in::{checkout, json, launch, neurosearch, said, until};
use neurosearch::control::reply::Search;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[test]
fn a_full_disk_holds_the_search_fails_no_job_and_ends_by_itself() {
    let dir = tempdir();
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

/// A daemon on a search of two jobs, to the first of which `input` is not given.
fn unread(dir: &Path, input: &Path) -> (Daemon, PathBuf) {
    let setup = setup(1).with("STAND_IN", "unread").with("STAND_IN_UNREAD", input.display().to_string());
    let daemon = Daemon::start(dir, &setup);
    let launch = daemon.launch("unread");
    drop_space(&launch, &space(2, 2, &json!({})));
    (daemon, launch)
}

#[test]
fn one_input_on_a_bad_sector_fails_its_own_job_and_no_other() {
    let dir = tempdir();
    let caps = dir.path().join("caps");
    fs::create_dir(&caps).expect("made");
    // A regular file whose first byte cannot be read, beside one that can.
    symlink("/proc/self/mem", caps.join("image.nii.gz")).expect("linked");
    fs::write(caps.join("other.nii.gz"), "x").expect("written");
    let (daemon, launch) = unread(dir.path(), &caps.join("image.nii.gz"));
    let alarmed = || daemon.search(&launch).is_some_and(|s| s.alarms.iter().any(|a| a.contains("job-0: an input could not")));
    until("the file is shown while the job is still tried", alarmed);
    wait(&daemon, &launch, "the other job is done, and this one has failed", |counts| counts.done == 1 && counts.failed == 1);
    let job = daemon.jobs(&launch).jobs.remove(0);
    assert_eq!((job.class.as_deref(), job.attempts), (Some("bad_data"), 5));
    let words = ["image.nii.gz", "os error 5", "other files", "5 such attempts"];
    assert!(words.iter().all(|word| job.sentence.as_deref().is_some_and(|said| said.contains(word))), "{:?}", job.sentence);
    assert!(!daemon.log().contains("nothing new is started"), "{}", daemon.log());
}

#[test]
fn unreadable_inputs_hold_the_search_until_one_is_read_and_fail_no_job() {
    let dir = tempdir();
    // So deep that what the test itself keeps is not near.
    let caps = dir.path().join("caps/subjects/sub-1/ses-1");
    fs::create_dir_all(&caps).expect("made");
    ["image.nii.gz", "other.nii.gz"].iter().for_each(|name| symlink("/proc/self/mem", caps.join(name)).expect("linked"));
    let (daemon, launch) = unread(dir.path(), &caps.join("image.nii.gz"));
    let held = |by: &dyn Fn(&str) -> bool| {
        let told = |alarm: &String| alarm.contains("nothing new is started: an input could not") && by(alarm);
        daemon.search(&launch).is_some_and(|search: Search| search.alarms.iter().any(told))
    };
    until("the search is held", || held(&|_| true));
    until("the daemon tries the input itself, in vain", || held(&|alarm| !alarm.contains("says the stand-in")));
    assert_eq!(starts(&job(&launch, 0)).len(), 1, "no trainer is started for that");
    let record = json(&job(&launch, 0).record());
    assert_eq!(record["failures_in_a_row"], json!(0), "{record}");
    fs::remove_file(caps.join("image.nii.gz")).expect("removed");
    fs::write(caps.join("image.nii.gz"), "x").expect("written");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 2);
    assert_eq!(starts(&job(&launch, 0)).len(), 2, "it went on by itself");
}

#[test]
fn a_caps_that_is_not_mounted_holds_the_search_and_fails_no_job() {
    let dir = tempdir();
    let (caps, away, hold) = (dir.path().join("caps"), dir.path().join("away"), dir.path().join("hold"));
    symlink(checkout("tests/fixtures/mni-quarter/caps"), &caps).expect("linked");
    fs::write(&hold, "").expect("written");
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_HOLD", hold.display().to_string()));
    let launch = daemon.launch("mounted");
    drop_space(&launch, &space(3, 1, &json!({ "caps_dir": caps })));
    wait(&daemon, &launch, "the first job runs", |counts| counts.running == 1);
    fs::rename(&caps, &away).expect("unmounted");
    fs::remove_file(&hold).expect("let go");
    let alarmed = || {
        let told = |alarm: &String| alarm.contains("nothing new is started") && alarm.contains("caps/subjects");
        daemon.search(&launch).is_some_and(|search: Search| search.alarms.iter().any(told))
    };
    until("the search is held", alarmed);
    let counts = daemon.counts(&launch);
    assert_eq!((counts.done, counts.failed, counts.undrawn), (1, 0, 2), "nothing is drawn");
    fs::rename(&away, &caps).expect("mounted");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 3);
    until("the alarm is gone", || daemon.search(&launch).is_some_and(|search| search.alarms.is_empty()));
}

#[test]
fn data_that_were_moved_hold_the_search_until_its_space_says_where_they_are() {
    let dir = tempdir();
    let (caps, moved, hold) = (dir.path().join("caps"), dir.path().join("moved"), dir.path().join("hold"));
    symlink(checkout("tests/fixtures/mni-quarter/caps"), &caps).expect("linked");
    fs::write(&hold, "").expect("written");
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_HOLD", hold.display().to_string()));
    let launch = daemon.launch("moved");
    drop_space(&launch, &space(2, 1, &json!({ "caps_dir": caps })));
    wait(&daemon, &launch, "the first job runs", |counts| counts.running == 1);
    fs::rename(&caps, &moved).expect("moved");
    fs::remove_file(&hold).expect("let go");
    let alarms = || daemon.search(&launch).map(|search: Search| search.alarms).unwrap_or_default();
    until("the search is held", || alarms().iter().any(|alarm| alarm.contains("caps/subjects")));
    drop_space(&launch, &space(2, 1, &json!({ "caps_dir": moved })));
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
    until("the alarm is gone", || alarms().is_empty());
}

#[test]
fn a_job_by_hand_without_room_says_so_and_can_be_continued() {
    let dir = tempdir();
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
        said(&output).contains("took no record of its end") && said(&output).contains("neurosearch continue"),
        "{}",
        said(&output)
    );
    assert_eq!(json(&folder.join(".neurosearch/job.json"))["state"], json!("paused"));
    fs::remove_file(&full).expect("room");
    let output = run(&["continue".as_ref(), folder.as_os_str()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
