//! Every durable write of the daemon: failing with ENOSPC and EIO, at its first pass and its last, and cut off by SIGKILL between any two of its steps.

use super::check::{assert_tables_are_true, assert_whole};
use super::counts::{count, figure};
use super::{setup, tail, wait};
use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{SOON, until};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The steps between which a write can fail.
const STEPS: [&str; 5] = ["create", "write", "sync", "rename", "directory"];

/// Files that a search makes the daemon write, below the launch directory and as failpoints name them.
const WRITTEN: [&str; 8] = [
    ".neurosearch%search.json",
    ".neurosearch%new-job-#%commandline.json",
    ".neurosearch%new-job-#%.neurosearch%job.json",
    "job-#%.neurosearch%job.json",
    "random_search.error",
    "analysis_loss.tsv",
    "analysis_balanced_accuracy.tsv",
    "jobs.tsv",
];

fn armed(dir: &Path) -> (PathBuf, Setup) {
    let failpoints = dir.join("failpoints");
    fs::create_dir_all(&failpoints).expect("made");
    let setup = setup(8).with("NEUROSEARCH_FAILPOINTS", failpoints.display().to_string());
    (failpoints, setup)
}

/// Drops a space that is at fault, and mends it once the fault is told.
fn drop_faulty_then_mended(daemon: &Daemon, launch: &Path, jobs: u64) {
    drop_space(launch, &space(jobs, 0, &json!({})));
    until("the fault is told", || {
        daemon.search(launch).is_some_and(|search| !search.faults.is_empty()) && launch.join("random_search.error").exists()
    });
    drop_space(launch, &space(jobs, 1, &json!({})));
}

/// Every step of every write, `point:path below the launch directory`, as a search made them, and how often.
fn trace() -> BTreeMap<String, u32> {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path());
    let trace = failpoints.join("trace");
    fs::write(&trace, "").expect("written");
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("traced");
    drop_faulty_then_mended(&daemon, &launch, 2);
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
    assert_tables_are_true(&launch);
    let text = fs::read_to_string(trace).expect("read");
    let below = |line: &str| {
        let (point, path) = line.split_once(':').expect("a point and a path");
        path.split_once("%root%traced%").map(|(_, path)| format!("{point}:{path}"))
    };
    let mut passes = BTreeMap::new();
    for step in text.lines().filter_map(below) {
        *passes.entry(step).or_default() += 1;
    }
    passes
}

/// A launch directory's name that holds no digit, which failpoints would not tell apart.
fn letters(mut index: usize) -> String {
    let mut name = String::from("w");
    for _ in 0..3 {
        name.push(char::from(b'a' + (index % 26) as u8));
        index /= 26;
    }
    name
}

/// Every step at which an error can be returned, over everything that the daemon was seen to write.
fn steps(trace: &BTreeMap<String, u32>) -> Vec<(String, u32)> {
    let written: BTreeSet<&str> = trace.keys().filter_map(|step| step.split_once(':')).map(|(_, path)| path).collect();
    for file in WRITTEN {
        assert!(written.contains(file), "{file} was not seen to be written: {written:#?}");
    }
    let fails = |step: &str| STEPS.iter().any(|point| step.starts_with(&format!("{point}:")));
    trace.iter().filter(|(step, _)| fails(step)).map(|(step, passes)| (step.clone(), *passes)).collect()
}

#[test]
fn every_write_of_the_daemon_may_fail_once_and_the_search_goes_on_by_itself() {
    let steps = steps(&trace());
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path());
    let daemon = Daemon::start(dir.path(), &setup);
    let every = count("EVERY_DAEMON_WRITE", 0) == 1;
    let mut cases = Vec::new();
    for (index, (step, passes)) in steps.iter().enumerate() {
        // One error each, in turn, where not both are asked for.
        let errors = ["ENOSPC", "EIO"].into_iter().enumerate().filter(|(error, _)| every || index % 2 == *error);
        // The first pass, and the last one of a search: nothing comes after it that would put it right by the way.
        let later = (*passes > 1).then(|| format!("EIO@{passes}"));
        for action in errors.map(|(_, error)| error.to_string()).chain(later) {
            let launch = daemon.launch(&letters(cases.len()));
            let name = launch.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (point, path) = step.split_once(':').expect("a point and a path");
            let failure = format!("{point}:%{name}%{path}={action}");
            fs::write(failpoints.join(&failure), "").expect("armed");
            cases.push((launch, failure));
        }
    }
    for (launch, _) in &cases {
        drop_space(launch, &space(2, 0, &json!({})));
    }
    for (launch, _) in &cases {
        until("the fault is told", || {
            daemon.search(launch).is_some_and(|search| !search.faults.is_empty()) && launch.join("random_search.error").exists()
        });
        drop_space(launch, &space(2, 1, &json!({})));
    }
    for (launch, failure) in &cases {
        wait(&daemon, launch, &format!("both jobs are done although {failure}"), |counts| counts.done == 2);
        // How often the tables are written depends on the pace: a later pass may not come.
        if !failure.contains('@') {
            until(&format!("{failure} has happened"), || !failpoints.join(failure).exists());
        }
        assert_whole(launch, 2, 1);
        until("nothing is held any more", || daemon.search(launch).is_some_and(|search| search.alarms.is_empty()));
    }
    let later = steps.iter().filter(|(_, passes)| *passes > 1).count();
    figure("steps of the daemon's writes, each failed at its first pass", steps.len());
    figure("failures at them, ENOSPC and EIO", cases.len() - later);
    figure("steps of the daemon's writes, failed at their last pass too", later);
}

#[test]
fn a_table_whose_every_write_fails_until_the_search_is_over_is_true_soon_after() {
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path());
    let daemon = Daemon::start(dir.path(), &setup);
    let tables = WRITTEN.iter().filter(|file| file.ends_with(".tsv"));
    let cases: Vec<(PathBuf, PathBuf)> = tables
        .enumerate()
        .map(|(index, table)| {
            let launch = daemon.launch(&letters(index));
            drop_space(&launch, &space(1, 1, &json!({})));
            wait(&daemon, &launch, "the first job is done", |counts| counts.done == 1);
            assert_tables_are_true(&launch);
            let name = launch.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let failure = failpoints.join(format!("write:%{name}%{table}=EIO+"));
            fs::write(&failure, "").expect("armed");
            (launch, failure)
        })
        .collect();
    for (launch, _) in &cases {
        drop_space(launch, &space(2, 1, &json!({})));
        wait(&daemon, launch, "the second job is done", |counts| counts.done == 2);
    }
    for (launch, failure) in &cases {
        fs::remove_file(failure).expect("disarmed");
        assert_whole(launch, 2, 1);
    }
}

#[test]
fn a_daemon_killed_between_any_two_steps_of_a_write_leaves_nothing_half_done() {
    let every = count("EVERY_STEP_KILLED", 0) == 1;
    let mut points: Vec<String> = trace().into_keys().collect();
    if !every {
        // The records; the tables are written by the same few lines.
        points.retain(|step| step.ends_with(".json"));
    }
    let dir = tempdir();
    let (failpoints, setup) = armed(dir.path());
    let mut daemon = Daemon::start(dir.path(), &setup);
    for (index, step) in points.iter().enumerate() {
        let launch = daemon.launch(&letters(index));
        let name = launch.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (point, path) = step.split_once(':').expect("a point and a path");
        fs::write(failpoints.join(format!("{point}:%{name}%{path}=kill")), "").expect("armed");
        // The error goes when its fault is mended; it is written while the fault is all there is.
        let faulty = path == "random_search.error" && point != "remove";
        match path {
            _ if faulty => drop_space(&launch, &space(2, 0, &json!({}))),
            "random_search.error" => drop_faulty_then_mended(&daemon, &launch, 2),
            _ => drop_space(&launch, &space(2, 1, &json!({}))),
        }
        wait_for_death(&mut daemon, step);
        daemon.start_again(&setup);
        if faulty {
            drop_space(&launch, &space(2, 1, &json!({})));
        }
        wait(&daemon, &launch, &format!("both jobs are done after a kill at {step}"), |counts| counts.done == 2);
        assert_whole(&launch, 2, 1);
    }
    figure("steps of the daemon's writes, each cut off once by SIGKILL", points.len());
}

fn wait_for_death(daemon: &mut Daemon, step: &str) {
    let begun = Instant::now();
    while daemon.is_running() {
        assert!(begun.elapsed() < SOON, "{step} does not come to pass\n{}", tail(&daemon.log()));
        std::thread::sleep(Duration::from_millis(5));
    }
}
