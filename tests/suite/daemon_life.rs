//! Daemons and trainers that end at any time: nothing is lost and nothing runs twice, with the real daemon.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir, trainers};
use crate::stand_in::{Signal, checkout, json, said, signal, until};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the stand-in trainer did, an epoch a line, over all attempts.
fn epochs(launch: &Path, job: &str) -> Vec<String> {
    let text = fs::read_to_string(launch.join(job).join(".neurosearch/epochs")).unwrap_or_default();
    text.lines().map(str::to_string).collect()
}

#[test]
fn a_daemon_that_is_killed_leaves_its_trainer_and_the_next_one_adopts_it() {
    let dir = tempdir();
    let setup = Setup::default().with("STAND_IN_PAUSE", "0.2");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("adopted");
    drop_space(&launch, &space(2, 10, &json!({})));
    until("the first epochs are done", || epochs(&launch, "job-0").len() >= 2);
    let before = trainers(&daemon.root);
    daemon.kill();
    assert_eq!(trainers(&daemon.root), before, "trainers go on");
    daemon.start_again(&setup);
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    assert!(daemon.log().contains("trainer adopted"), "{}", daemon.log());
    let attempts: Vec<String> =
        epochs(&launch, "job-0").iter().filter_map(|line| line.split(' ').nth(2).map(str::to_string)).collect();
    assert_eq!(attempts, vec!["attempt-1"; 10], "one attempt did it all");
    assert_eq!(json(&launch.join("job-0/.neurosearch/job.json"))["attempts"], json!(1));
}

#[test]
fn a_trainer_that_ends_or_dies_while_no_daemon_runs_is_noticed_by_the_next_one() {
    let dir = tempdir();
    let setup = Setup {
        config: "devices = \"cpu\"\nslots_per_device = 2\nrescan_seconds = 1\nsettle_milliseconds = 100".into(),
        ..Setup::default()
    }
    .with("STAND_IN_PAUSE", "0.2");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("unwatched");
    drop_space(&launch, &space(2, 6, &json!({})));
    daemon.wait_for("both jobs run", &launch, |counts| counts.running == 2);
    until("both have identities", || trainers(&daemon.root).len() == 2);
    daemon.kill();
    let victim = json(&launch.join("job-1/.neurosearch/trainer.json"))["run"]["process"]["pid"].as_u64().expect("a pid");
    signal(u32::try_from(victim).expect("a pid"), Signal::KILL);
    until("the other one has ended", || launch.join("job-0/.neurosearch/end.json").exists() && trainers(&daemon.root).is_empty());
    daemon.start_again(&setup);
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    let record = |job: &str| json(&launch.join(job).join(".neurosearch/job.json"));
    assert_eq!(record("job-0")["attempts"], json!(1));
    assert_eq!((&record("job-1")["attempts"], &record("job-1")["failures_in_a_row"]), (&json!(2), &json!(0)), "lost, not failed");
}

#[test]
fn sigterm_ends_the_daemon_within_two_seconds_and_leaves_its_trainers() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN_PAUSE", "0.5"));
    let launch = daemon.launch("left");
    drop_space(&launch, &space(2, 50, &json!({})));
    until("a trainer runs", || !trainers(&daemon.root).is_empty());
    let before = trainers(&daemon.root);
    let took = daemon.terminate();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(trainers(&daemon.root), before);
    assert!(!dir.path().join("d.sock").exists(), "a stopped daemon leaves no socket");
}

#[test]
fn a_second_daemon_is_told_who_listens_and_a_dead_daemons_socket_is_replaced() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &Setup::default());
    let second = Command::new(env!("CARGO_BIN_EXE_neurosearchd"))
        .arg("--config")
        .arg(dir.path().join("neurosearchd.toml"))
        .output()
        .expect("it runs");
    let text = said(&second);
    assert_eq!(second.status.code(), Some(2), "{text}");
    assert!(text.contains("d.sock") && text.contains(&daemon.pid().to_string()), "{text}");
    daemon.kill();
    assert!(dir.path().join("d.sock").exists(), "a killed daemon leaves its socket");
    daemon.start_again(&Setup::default());
}

#[test]
fn a_second_daemon_on_the_same_launch_directory_says_who_serves_it() {
    let (one, two) = (tempdir(), tempdir());
    let mut first = Daemon::start(one.path(), &Setup::default());
    let launch = first.launch("shared");
    drop_space(&launch, &space(1, 1, &json!({})));
    first.wait_for("the job is done", &launch, |counts| counts.done == 1);
    fs::create_dir_all(two.path().join("root")).expect("made");
    let setup = Setup { config: format!("{}\n# {:?}", Setup::default().config, first.root), ..Setup::default() };
    let second = Daemon::start(two.path(), &setup);
    drop(fs::remove_dir(&second.root));
    std::os::unix::fs::symlink(&first.root, &second.root).expect("linked");
    let pid = first.pid().to_string();
    let through = second.root.join("shared");
    until("the second names the first", || {
        second.search(&through).is_some_and(|search| search.alarms.iter().any(|alarm| alarm.contains(&pid)))
    });
    first.kill();
    second.wait_for("the second takes over", &through, |counts| counts.done == 1);
}

#[test]
fn a_trainer_that_crashes_is_tried_again_five_times_and_its_logs_are_kept() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN", "silent"));
    let launch = daemon.launch("crashing");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job has failed", &launch, |counts| counts.failed == 1);
    let job = daemon.jobs(&launch).jobs.remove(0);
    assert_eq!((job.class.as_deref(), job.attempts), (Some("crashed"), 5));
    for attempt in 1..=5 {
        assert!(launch.join(format!("job-0/.neurosearch/attempt-{attempt}.log")).exists(), "{attempt}");
    }
}

#[test]
fn bad_data_is_not_tried_again_and_the_trainers_own_sentence_is_shown() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN", "fail"));
    let launch = daemon.launch("failing");
    drop_space(&launch, &space(2, 1, &json!({})));
    daemon.wait_for("both jobs have failed", &launch, |counts| counts.failed == 2);
    let job = daemon.jobs(&launch).jobs.remove(0);
    assert_eq!((job.class.as_deref(), job.attempts), (Some("bad_data"), 1));
    assert_eq!(job.sentence.as_deref(), Some("the image of sub-0 is missing"));
}

#[test]
fn a_job_without_progress_is_stopped_as_stalled() {
    let dir = tempdir();
    let config = "devices = \"cpu\"\nrescan_seconds = 1\nsettle_milliseconds = 100\nstall_seconds = 1\nstop_grace_seconds = 1";
    let setup = Setup { config: config.into(), ..Setup::default() }.with("STAND_IN_PAUSE", "600");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("stalling");
    drop_space(&launch, &space(1, 1, &json!({})));
    until("the stall is counted", || {
        let record = launch.join("job-0/.neurosearch/job.json");
        record.exists() && json(&record)["failures_in_a_row"].as_u64() >= Some(1)
    });
    assert!(daemon.log().contains("makes no progress"), "{}", daemon.log());
}

#[test]
fn a_missing_trainer_program_holds_the_search_and_fails_no_job() {
    let dir = tempdir();
    let setup = Setup::default().with("NEUROSEARCH_TRAINER", dir.path().join("absent").display().to_string());
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("held");
    drop_space(&launch, &space(2, 1, &json!({})));
    until("the alarm names the program", || {
        daemon.search(&launch).is_some_and(|search| search.alarms.iter().any(|alarm| alarm.contains("absent")))
    });
    assert_eq!(daemon.counts(&launch).failed, 0);
    std::os::unix::fs::symlink(checkout("tests/programs/stand-in-trainer"), dir.path().join("absent")).expect("linked");
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
}
