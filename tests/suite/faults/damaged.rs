//! Records that cannot be read, and ends that are not what they seem.

use super::check::{assert_whole, job};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir, trainers};
use crate::stand_in::{json, until};
use serde_json::json;
use std::fs;
use std::path::Path;

fn alarmed(daemon: &Daemon, launch: &Path, words: &str) -> bool {
    daemon.search(launch).is_some_and(|search| search.alarms.iter().any(|alarm| alarm.contains(words)))
}

fn change(daemon: &Daemon, verb: &str, target: &Path) {
    let order = json!({ "target": target });
    daemon.client().post::<serde_json::Value>(&format!("/v1/{verb}"), &order).unwrap_or_else(|e| panic!("{verb}: {e}"));
}

#[test]
fn a_job_with_unreadable_records_keeps_its_slot_until_they_can_be_read() {
    std::thread::scope(|scope| {
        for damaged in [&["job.json"][..], &["job.json", "trainer.json"]] {
            scope.spawn(|| left_alone_and_taken_over(damaged));
        }
    });
}

fn left_alone_and_taken_over(damaged: &[&str]) {
    let dir = tempdir();
    let hold = dir.path().join("hold");
    fs::write(&hold, "").expect("held");
    let setup = setup(1).with("STAND_IN_HOLD", hold.display().to_string());
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("unread");
    drop_space(&launch, &space(2, 3, &json!({})));
    until("its trainer runs", || !trainers(&daemon.root).is_empty());
    daemon.kill();
    let private = job(&launch, 0).private();
    let good: Vec<Vec<u8>> = damaged.iter().map(|name| fs::read(private.join(name)).expect("read")).collect();
    damaged.iter().for_each(|name| fs::write(private.join(name), "{").expect("damaged"));
    daemon.start_again(&setup);
    until("the alarm names the record", || alarmed(&daemon, &launch, "job.json"));
    until("the slot is taken", || daemon.status().devices.iter().any(|device| device.busy == 1));
    assert_eq!(daemon.counts(&launch).undrawn, 1, "{damaged:?}: its index is taken, and so is its slot");
    for (name, good) in damaged.iter().zip(good) {
        fs::write(private.join(name), good).expect("mended");
    }
    fs::remove_file(hold).expect("let go");
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
    assert_whole(&launch, 2, 3);
    assert_eq!(json(&job(&launch, 0).record())["attempts"], json!(1), "{damaged:?}: its live trainer was adopted");
}

#[test]
fn a_damaged_record_keeps_its_own_job_from_starting_and_no_other() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_PAUSE", "0.1"));
    let launch = daemon.launch("damaged");
    drop_space(&launch, &space(3, 4, &json!({})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);
    change(&daemon, "pause", job(&launch, 0).path());
    daemon.wait_for("it is paused", &launch, |counts| counts.paused == 1);
    let record = job(&launch, 0).record();
    until("so says its record", || json(&record)["state"] == json!("paused"));
    let good = fs::read(&record).expect("read");
    fs::write(&record, "{").expect("damaged");
    change(&daemon, "resume", job(&launch, 0).path());
    wait(&daemon, &launch, "the other jobs are done", |counts| counts.done == 2);
    assert!(alarmed(&daemon, &launch, "job.json"), "{:#?}", daemon.search(&launch));
    fs::write(&record, good).expect("mended");
    wait(&daemon, &launch, "the last job is done", |counts| counts.done == 3);
    until("the alarm is gone", || daemon.search(&launch).is_some_and(|search| search.alarms.is_empty()));
    assert_whole(&launch, 3, 4);
}

#[test]
fn an_end_without_word_or_results_is_a_crash_and_out_of_memory_final() {
    let cases = [
        ("garbled", "crashed", "without a word", 5),
        ("mutters", "bad_data", "its last words: failed (bad_data): the image of sub-0 is damaged", 1),
        ("empty", "crashed", "no results", 5),
        ("memory", "out_of_memory", "memory", 1),
    ];
    std::thread::scope(|scope| {
        for (stand_in, class, words, attempts) in cases {
            scope.spawn(move || {
                let dir = tempdir();
                let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN", stand_in));
                let launch = daemon.launch("ends");
                drop_space(&launch, &space(1, 1, &json!({})));
                wait(&daemon, &launch, &format!("the {stand_in} job has failed"), |counts| counts.failed == 1);
                let job = daemon.jobs(&launch).jobs.remove(0);
                assert_eq!((job.class.as_deref(), job.attempts), (Some(class), attempts), "{stand_in}");
                assert!(job.sentence.as_deref().is_some_and(|sentence| sentence.contains(words)), "{:?}", job.sentence);
            });
        }
    });
}

#[test]
fn what_was_asked_of_a_daemon_that_died_is_done_by_the_next_one() {
    let dir = tempdir();
    let with_grace = |seconds: u32| {
        let mut setup = setup(1).with("STAND_IN", "deaf").with("STAND_IN_PAUSE", "0.1");
        setup.config += &format!("\nstop_grace_seconds = {seconds}");
        setup
    };
    let mut daemon = Daemon::start(dir.path(), &with_grace(600));
    let launch = daemon.launch("asked");
    drop_space(&launch, &space(1, 100_000, &json!({})));
    until("its trainer runs", || !trainers(&daemon.root).is_empty());
    change(&daemon, "cancel", job(&launch, 0).path());
    until("the wish is recorded", || json(&job(&launch, 0).record())["wish"] == json!("cancel"));
    daemon.kill();
    daemon.start_again(&with_grace(1));
    wait(&daemon, &launch, "the job is cancelled", |counts| counts.cancelled == 1);
    until("its record says so, and the wish is gone", || {
        let record = json(&job(&launch, 0).record());
        record["state"] == json!("cancelled") && record["wish"].is_null()
    });
    assert!(trainers(&daemon.root).is_empty());
}
