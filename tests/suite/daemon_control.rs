//! What the control socket answers and changes, with the real daemon.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{json, said, until};
use neurosearch::control::reply::{Changed, OneJob, SearchState};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn order(daemon: &Daemon, verb: &str, launch: &Path, job: Option<&str>) -> Result<Vec<String>, String> {
    let request = json!({ "launch": launch, "job": job });
    let changed = daemon.client().post::<Changed>(&format!("/v1/{verb}"), &request);
    changed.map(|changed| changed.done).map_err(|e| e.to_string())
}

#[test]
fn a_job_is_paused_resumed_cancelled_and_tried_again() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN_PAUSE", "0.1"));
    let launch = daemon.launch("orders");
    drop_space(&launch, &space(1, 20, &json!({})));
    daemon.wait_for("the job runs", &launch, |counts| counts.running == 1);
    until("it makes progress", || daemon.search(&launch).is_some_and(|s| s.running.iter().any(|r| r.progress.is_some())));
    order(&daemon, "pause", &launch, Some("job-0")).expect("paused");
    daemon.wait_for("it is paused", &launch, |counts| counts.paused == 1);
    let refused = order(&daemon, "retry", &launch, Some("job-0")).expect_err("refused");
    assert!(refused.contains("job-0 is paused"), "{refused}");
    order(&daemon, "resume", &launch, Some("job-0")).expect("resumed");
    daemon.wait_for("it runs again", &launch, |counts| counts.running == 1);
    until("its trainer is there", || json(&launch.join("job-0/.neurosearch/job.json"))["attempts"] == json!(2));
    until("it can be cancelled", || order(&daemon, "cancel", &launch, Some("job-0")).is_ok());
    daemon.wait_for("it is cancelled", &launch, |counts| counts.cancelled == 1);
    let path = launch.join("job-0").display().to_string();
    let shown: OneJob = daemon.client().get("/v1/job", &[("path", &path)]).expect("shown");
    assert_eq!((shown.job.state.as_str(), shown.why.contains("retry")), ("cancelled", true));
    order(&daemon, "retry", &launch, Some("job-0")).expect("queued");
    daemon.wait_for("it is done in the end", &launch, |counts| counts.done == 1);
}

#[test]
fn a_paused_search_starts_nothing_even_after_a_restart() {
    let dir = tempdir();
    let setup = Setup::default().with("STAND_IN_PAUSE", "0.2");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("paused");
    drop_space(&launch, &space(3, 3, &json!({})));
    daemon.wait_for("the first job runs", &launch, |counts| counts.running == 1);
    order(&daemon, "pause", &launch, None).expect("paused");
    daemon.wait_for("the first job is done", &launch, |counts| counts.done == 1);
    until("the pause is recorded", || json(&launch.join(".neurosearch/search.json"))["paused"] == json!(true));
    daemon.terminate();
    daemon.start_again(&setup);
    until("it is still paused", || daemon.search(&launch).is_some_and(|s| s.state == SearchState::Paused));
    // The one slot is lent again, and goes to somebody else.
    let other = daemon.launch("other");
    drop_space(&other, &space(1, 1, &json!({})));
    daemon.wait_for("another search's job is done", &other, |counts| counts.done == 1);
    assert_eq!(daemon.counts(&launch).undrawn, 2);
    assert!(!launch.join("job-1").exists());
    order(&daemon, "resume", &launch, None).expect("resumed");
    daemon.wait_for("the rest is done", &launch, |counts| counts.done == 3);
}

#[test]
fn status_is_json_for_programs_and_text_for_people() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("shown");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    let status = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
        command.arg("status").args(more).env("NEUROSEARCH_SOCKET", dir.path().join("d.sock")).output().expect("it runs")
    };
    let output = status(&["--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let reply: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&reply["version"], &reply["searches"][0]["counts"]["done"]), (&json!(1), &json!(1)));
    let output = status(&[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("finished") && text.contains("shown") && text.contains("cpu"), "{text}");
    let absent =
        Command::new(env!("CARGO_BIN_EXE_neurosearch")).args(["status", "--socket", "/absent.sock"]).output().expect("it runs");
    assert_eq!(absent.status.code(), Some(6), "{}", said(&absent));
}

#[test]
fn the_socket_is_for_its_group_and_unknown_requests_are_refused_with_a_sentence() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let mode = fs::metadata(dir.path().join("d.sock")).expect("looked").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    for (path, word) in [("/v1/nothing", "not known"), ("/v2/status", "not known"), ("/v1/jobs", "launch")] {
        let error = daemon.client().get::<Value>(path, &[]).expect_err("refused").to_string();
        assert!(error.contains(word), "{path}: {error}");
    }
    for (path, query, said) in [
        ("/v1/jobs", &[][..], "name the launch directory in the query, as ?launch=PATH"),
        ("/v1/job", &[], "name the job's folder in the query"),
        ("/v1/best", &[("launch", "/data"), ("most", "all")], "most: \"all\" is not a number of jobs"),
        ("/v1/logs", &[("path", "/data/job-0"), ("attempt", "last")], "attempt: \"last\" is not the number of an attempt"),
    ] {
        let error = daemon.client().get::<Value>(path, query).expect_err("refused").to_string();
        assert!(error.contains(said), "{path}: {error}");
    }
    let error = daemon.client().post::<Changed>("/v1/pause", &json!({ "target": 5 })).expect_err("refused").to_string();
    assert!(error.contains("target: 5 is not text"), "{error}");
    let error = order(&daemon, "pause", Path::new("/nowhere"), None).expect_err("refused");
    assert!(error.contains("/nowhere"), "{error}");
    let huge = json!({ "launch": "x".repeat(2 << 20) });
    assert!(daemon.client().post::<Changed>("/v1/pause", &huge).is_err());
    daemon.client().get::<Value>("/v1/ping", &[]).expect("still served");
}

#[test]
fn ten_thousand_jobs_are_known_and_listed_as_a_person_counts() {
    let dir = tempdir();
    fs::create_dir_all(dir.path().join("root/many")).expect("made");
    let launch = dir.path().join("root/many");
    for i in 0..10_000 {
        let job = launch.join(format!("job-{i}"));
        fs::create_dir(&job).expect("made");
        fs::write(job.join("commandline.json"), "{}").expect("written");
    }
    drop_space(&launch, &space(10_000, 1, &json!({})));
    let daemon = Daemon::start(dir.path(), &Setup::default());
    daemon.wait_for("every folder is known", &launch, |counts| counts.unrecorded == 10_000 && counts.undrawn == 0);
    let names: Vec<String> = daemon.jobs(&launch).jobs.into_iter().map(|job| job.name).collect();
    let wanted: Vec<String> = (0..10_000).map(|i| format!("job-{i}")).collect();
    assert!(names == wanted, "{:?} ...", &names[..20]);
}
