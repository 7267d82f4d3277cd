//! Trainers that wait, loaded, for their job: by hand, and kept by the real daemon while short jobs follow one another.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{Signal, json, signal, until};
use crate::trainer_run::Job;
use neurosearch::domain::device::Device;
use neurosearch::domain::network::precision::Precision;
use neurosearch::executor::Assignment;
use neurosearch::executor::local::child::Child;
use neurosearch::executor::local::warm_trainer::{WarmTrainer, Word};
use neurosearch::store::records::layout::JobDir;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Duration;

const TRAINER: &str = env!("CARGO_BIN_EXE_neurosearch-trainer");

/// Gives the job to a trainer that has waited.
fn assigned(job: &Job) -> Child {
    fs::create_dir(job.folder.join(".neurosearch")).expect("made");
    let mut waiting = WarmTrainer::begin(Path::new(TRAINER)).expect("started");
    assert_eq!(waiting.word(Duration::from_secs(60)), Word::Ready);
    let (job, device, precision) = (JobDir::new(&job.folder), Device::Cpu, Precision::Fp32);
    let assignment = Assignment { job, device, threads: 2, attempt: 1, precision, cache: None, reads_as: None };
    waiting.assign(&assignment).expect("the log can be opened").expect("it waits")
}

fn ended(child: &mut Child) -> Option<i32> {
    let mut code = None;
    until("the trainer has ended", || {
        code = child.try_wait().expect("asked").map(|status| status.code());
        code.is_some()
    });
    code.flatten()
}

/// A process's command line, with spaces between its words.
fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_trainer_that_waited_trains_as_one_that_was_started_for_the_job() {
    let (usual, waited) = (Job::new(json!({})), Job::new(json!({})));
    usual.train();
    let mut child = assigned(&waited);
    assert_eq!(ended(&mut child), Some(0));
    assert_eq!(waited.end()["ended"], "done");
    assert_eq!(waited.losses(), usual.losses());
    let said = fs::read_to_string(waited.folder.join(".neurosearch/attempt-1.log")).expect("a log");
    assert!(said.contains("the first step ended at"), "{said}");
    assert_eq!(json(&waited.folder.join(".neurosearch/trainer.json"))["run"]["process"]["pid"], child.id());
}

#[test]
fn once_it_has_its_job_it_is_named_and_ended_as_any_other_trainer() {
    let job = Job::new(json!({ "epochs": 100_000 }));
    let mut child = assigned(&job);
    until("the command line is the usual one", || command_line(child.id()) == format!("{TRAINER} {}", job.folder.display()));
    until("it trains", || job.folder.join("fold-0/training.tsv").exists());
    let name = fs::read_to_string(format!("/proc/{}/comm", child.id())).expect("it lives");
    assert_eq!(name.trim_end(), "neurosearch-tra", "the kernel keeps fifteen characters");
    signal(child.id(), Signal::TERM);
    assert_eq!(ended(&mut child), Some(4));
    assert_eq!(job.end()["ended"], "interrupted");
}

#[test]
fn the_daemon_keeps_trainers_waiting_for_short_jobs_and_ends_with_them() {
    let dir = tempdir();
    let config = "devices = \"cpu\"\nrescan_seconds = 1\nsettle_milliseconds = 100".to_string();
    let setup = Setup { config, environment: Vec::new() }.with("NEUROSEARCH_TRAINER", TRAINER);
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("short");
    drop_space(&launch, &space(4, 1, &json!({})));
    daemon.wait_for("every job is done", &launch, |counts| {
        assert_eq!(counts.failed, 0, "{}", daemon.log());
        counts.done == 4
    });
    // One is loaded with the search's file, and with the first job those for the others.
    assert_eq!(daemon.log().matches("a trainer that waited takes the job").count(), 4, "{}", daemon.log());
    let own = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(daemon.pid()) && command_line(*pid).contains(" standby")
    };
    let all = || fs::read_dir("/proc").expect("listed").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let waiting: Vec<u32> = all().filter(own).collect();
    assert!(!waiting.is_empty(), "nobody waits\n{}", daemon.log());
    daemon.kill();
    until("those that waited are gone", || waiting.iter().all(|pid| !command_line(*pid).contains(" standby")));
}
