//! Jobs of the daemon's that `neurosearch continue` runs in its stead, and jobs that another machine had: however that ends, there is a way on.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir, trainers};
use crate::stand_in::{Signal, json, neurosearch, said, signal, until};
use crate::verbs::{granted, path};
use neurosearch::control::reply::Search;
use neurosearch::store::fs::lock::{self, Locking};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A daemon's search of one job, whose daemon and trainer were killed after its first epoch.
struct Left {
    _dir: tempfile::TempDir,
    setup: Setup,
    daemon: Daemon,
    job: PathBuf,
}

impl Left {
    fn new() -> Self {
        let dir = tempdir();
        let setup = Setup::default().with("STAND_IN_PAUSE", "0.2");
        let daemon = Daemon::start(dir.path(), &setup);
        let launch = daemon.launch("lent");
        drop_space(&launch, &space(1, 12, &json!({})));
        let mut left = Left { setup, job: launch.join("job-0"), daemon, _dir: dir };
        until("the first epoch is done", || !left.epochs().is_empty());
        left.daemon.kill();
        left.kill_trainers();
        left
    }

    fn launch(&self) -> &Path {
        self.job.parent().expect("a launch directory")
    }

    fn private(&self, name: &str) -> PathBuf {
        self.job.join(".neurosearch").join(name)
    }

    fn record(&self) -> Value {
        json(&self.private("job.json"))
    }

    /// What the stand-in trainer did, an epoch a line, over all attempts.
    fn epochs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.private("epochs")).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }

    fn kill_trainers(&self) {
        trainers(&self.daemon.root).into_iter().for_each(|trainer| signal(trainer, Signal::KILL));
        // A program that the stand-in ran holds its lock a moment longer.
        let gone = || trainers(&self.daemon.root).is_empty() && matches!(lock::is_held(&self.private("lock")), Ok(false));
        until("the trainers are gone", gone);
    }

    fn command(&self) -> Command {
        let mut command = neurosearch(&self.daemon.dir);
        command.arg("continue").arg(&self.job).env("STAND_IN_PAUSE", "0.2");
        command
    }

    /// A `continue` that trains, and a daemon that has seen so.
    fn lent(&mut self) -> Child {
        let child = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let trains = || self.record()["borrower"]["pid"] == json!(child.id()) && !trainers(&self.daemon.root).is_empty();
        until("it is lent and trains", trains);
        self.daemon.start_again(&self.setup);
        let looked = || self.daemon.search(self.launch()).is_some() && self.daemon.jobs(self.launch()).jobs.len() == 1;
        until("the daemon has looked at it", looked);
        assert_eq!(self.record()["borrower"]["pid"], json!(child.id()), "and leaves it alone");
        let explained = granted(&self.daemon.dir, &["explain", path(&self.job)]);
        assert!(explained.contains(&format!("process {}", child.id())), "{explained}");
        child
    }

    /// Makes a record say that it is of another machine.
    fn moved_away(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut record = json(&self.private(name));
        change(&mut record);
        fs::write(self.private(name), record.to_string()).expect("written");
    }
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[test]
fn a_job_is_the_daemons_again_once_its_continue_is_killed() {
    let mut left = Left::new();
    let child = left.lent();
    kill(child);
    left.kill_trainers();
    left.daemon.wait_for("the job is done", left.launch(), |counts| counts.done == 1);
    let record = left.record();
    assert_eq!((&record["starter"], &record["borrower"]), (&json!("daemon"), &json!(null)));
    assert_eq!((&record["attempts"], &record["failures_in_a_row"]), (&json!(3), &json!(0)), "lost, and not counted");
}

#[test]
fn the_live_trainer_of_a_continue_that_was_killed_is_adopted() {
    let mut left = Left::new();
    let child = left.lent();
    let live = trainers(&left.daemon.root);
    kill(child);
    until("the daemon says that it runs", || left.daemon.search(left.launch()).is_some_and(|search| search.running.len() == 1));
    assert_eq!(trainers(&left.daemon.root), live, "by the same process");
    left.daemon.wait_for("the job is done", left.launch(), |counts| counts.done == 1);
    until("so says its record", || left.record()["state"] == json!("done"));
    let record = left.record();
    assert_eq!((&record["attempts"], &record["borrower"]), (&json!(2), &json!(null)), "no further attempt");
    let epochs: Vec<String> = left.epochs().iter().filter_map(|line| line.rsplit_once(' ').map(|(e, _)| e.to_string())).collect();
    let wanted: Vec<String> = (0..12).map(|epoch| format!("fold-0 epoch-{epoch}")).collect();
    assert_eq!(epochs, wanted, "each epoch once");
}

#[test]
fn a_job_lent_to_another_machine_is_shown_with_the_way_back() {
    let mut left = Left::new();
    left.moved_away("job.json", |record| {
        record["borrower"] = json!({"pid": 12, "start_time": 1, "boot_id": "another", "host": "node-7"});
    });
    left.moved_away("trainer.json", |record| {
        let process = &mut record["run"]["process"];
        (process["host"], process["boot_id"]) = (json!("node-7"), json!("another"));
    });
    left.daemon.start_again(&left.setup);
    let told = |search: Search| search.alarms.iter().any(|alarm| alarm.contains("node-7") && alarm.contains("neurosearch retry"));
    until("the alarm says how to go on", || left.daemon.search(left.launch()).is_some_and(told));
    let explained = granted(&left.daemon.dir, &["explain", path(&left.job)]);
    assert!(explained.contains("node-7") && explained.contains("neurosearch retry"), "{explained}");

    let Ok(Locking::Held(held)) = lock::take(&left.private("lock"), "{}") else { panic!("nobody else holds it") };
    let said = granted(&left.daemon.dir, &["retry", path(&left.job)]);
    assert!(said.contains("as soon as nobody holds it"), "{said}");
    // Whatever else the daemon does at a look is done by then.
    let other = left.launch().join("other");
    fs::create_dir(&other).expect("made");
    fs::write(other.join("commandline.json"), "{}").expect("written");
    until("it has looked again", || left.daemon.jobs(left.launch()).jobs.len() == 2);
    assert_eq!(left.record()["borrower"]["host"], json!("node-7"), "somebody holds it");
    drop(held);
    left.daemon.wait_for("the job is done", left.launch(), |counts| counts.done == 1);
    until("the record is the daemon's", || left.record()["borrower"].is_null());
}

#[test]
fn continue_takes_another_machines_job_only_when_told_nothing_runs_there() {
    let left = Left::new();
    left.moved_away("trainer.json", |record| {
        let process = &mut record["run"]["process"];
        (process["host"], process["boot_id"]) = (json!("node-7"), json!("another"));
    });
    let refused = left.command().output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("node-7") && said(&refused).contains("--take-over"), "{}", said(&refused));
    let Ok(Locking::Held(held)) = lock::take(&left.private("lock"), "{}") else { panic!("nobody else holds it") };
    let refused = left.command().arg("--take-over").output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(!said(&refused).contains("--take-over"), "somebody holds it: {}", said(&refused));
    drop(held);
    let done = left.command().arg("--take-over").output().expect("it runs");
    assert!(done.status.success(), "{}", said(&done));
}

#[test]
fn a_job_whose_generate_was_killed_is_shown_and_can_be_continued() {
    let mut left = Left::new();
    left.daemon.start_again(&left.setup);
    let generate = |name: &str| {
        let mut command = neurosearch(&left.daemon.dir);
        command.arg("generate").arg(left.launch()).arg(name).env("STAND_IN_PAUSE", "0.2");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let shown = |name: &str, state: &str| {
        let jobs = left.daemon.jobs(left.launch()).jobs;
        jobs.iter().any(|job| job.name == name && job.state == state)
    };
    let trainer = |name: &str| {
        let record = left.launch().join(name).join(".neurosearch/trainer.json");
        until("its trainer runs", || record.exists());
        u32::try_from(json(&record)["run"]["process"]["pid"].as_u64().expect("a pid")).expect("a pid")
    };
    let (first, second) = (generate("first"), generate("second"));
    let (_, victim) = (trainer("first"), trainer("second"));
    until("both are shown", || shown("first", "running") && shown("second", "running"));
    kill(first);
    kill(second);
    signal(victim, Signal::KILL);
    until("one is lost", || shown("second", "failed"));
    let tabulated = || {
        let table = fs::read_to_string(left.launch().join("jobs.tsv")).unwrap_or_default();
        table.lines().any(|line| line.starts_with("second\t") && line.contains("\tfailed\tlost\t"))
    };
    until("so says the table", tabulated);
    until("the other has gone on to its end", || shown("first", "done"));
    let second = left.launch().join("second");
    let explained = granted(&left.daemon.dir, &["explain", path(&second)]);
    assert!(explained.contains("neurosearch continue"), "{explained}");
    let output = neurosearch(&left.daemon.dir).arg("continue").arg(&second).output().expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    until("it is done too", || shown("second", "done"));
}
