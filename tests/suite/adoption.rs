//! Which process is believed to be a job's trainer: copies of a running job, and records that name a process of somebody's choice.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir, trainers};
use crate::stand_in::{json, neurosearch, said, until};
use crate::verbs::{granted, path, verb};
use neurosearch::executor::Identity;
use neurosearch::store::fs::lock::{self, Locking};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A daemon, and a search whose first job trains until the test lets it go on.
struct Running {
    _dir: tempfile::TempDir,
    hold: PathBuf,
    setup: Setup,
    daemon: Daemon,
    launch: PathBuf,
    trainer: u32,
}

impl Running {
    fn new() -> Self {
        Running::with_slots(1)
    }

    fn with_slots(slots: u32) -> Self {
        let dir = tempdir();
        let hold = dir.path().join("hold");
        fs::write(&hold, "").expect("written");
        let config = format!("{}\nslots_per_device = {slots}", Setup::default().config);
        let setup = Setup { config, ..Setup::default() }.with("STAND_IN_HOLD", path(&hold));
        let daemon = Daemon::start(dir.path(), &setup);
        let launch = daemon.launch("original");
        drop_space(&launch, &space(1, 2, &json!({})));
        let job = launch.join("job-0");
        until("it trains", || fs::metadata(private(&job, "epochs")).is_ok_and(|file| file.len() > 0));
        let trainer = recorded(&job);
        Running { _dir: dir, hold, setup, daemon, launch, trainer }
    }

    fn job(&self) -> PathBuf {
        self.launch.join("job-0")
    }

    fn state(&self, job: &Path) -> String {
        let launch = job.parent().expect("a launch directory");
        let name = job.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let known = self.daemon.search(launch).is_some();
        let jobs = if known { self.daemon.jobs(launch).jobs } else { Vec::new() };
        jobs.into_iter().find(|job| job.name == name).map(|job| job.state).unwrap_or_default()
    }

    fn is(&self, job: &Path, state: &str) {
        until(&format!("{} is {state}", job.display()), || self.state(job) == state);
    }

    /// The copy waits for the slot that the original has, and its end is not the original's.
    fn waits_and_can_be_cancelled(&self, copy: &Path) {
        self.is(copy, "queued");
        let running: u64 = self.daemon.status().searches.iter().map(|search| search.counts.running).sum();
        assert_eq!(running, 1, "there is one slot");
        granted(&self.daemon.dir, &["cancel", path(copy)]);
        self.is(copy, "cancelled");
        self.still_trains();
    }

    fn still_trains(&self) {
        assert!(Identity::of(self.trainer).expect("looked").is_some(), "{}", self.daemon.log());
        assert_eq!(self.state(&self.job()), "running");
    }

    /// The original ends in its first attempt.
    fn goes_on(&self) {
        fs::remove_file(&self.hold).expect("removed");
        self.is(&self.job(), "done");
        assert_eq!(fs::read_to_string(private(&self.job(), "starts")).expect("attempts"), "1\n");
    }

    /// A job of the daemon's that says that it runs, and whose record names this process.
    fn forged(&self, name: &str, pid: u32) -> PathBuf {
        let job = self.launch.join(name);
        fs::create_dir_all(job.join(".neurosearch")).expect("made");
        forge(&self.job(), &job, pid);
        job
    }
}

/// Makes `job` a job that says that it runs as `like` does, with the process `pid` for its trainer.
fn forge(like: &Path, job: &Path, pid: u32) {
    let mut record = json(&private(like, "job.json"));
    record["index"] = Value::Null;
    fs::write(private(job, "job.json"), record.to_string()).expect("written");
    let mut trainer = json(&private(like, "trainer.json"));
    let Identity { pid, start_time, boot_id } = Identity::of(pid).expect("looked").expect("it runs");
    let process = &mut trainer["run"]["process"];
    (process["pid"], process["start_time"], process["boot_id"]) = (json!(pid), json!(start_time), json!(boot_id));
    fs::write(private(job, "trainer.json"), trainer.to_string()).expect("written");
    // Last, since this makes the folder a job.
    fs::copy(like.join("commandline.json"), job.join("commandline.json")).expect("copied");
}

fn private(job: &Path, name: &str) -> PathBuf {
    job.join(".neurosearch").join(name)
}

fn recorded(job: &Path) -> u32 {
    let pid = json(&private(job, "trainer.json"))["run"]["process"]["pid"].as_u64().expect("a pid");
    u32::try_from(pid).expect("a pid")
}

fn copy(options: &[&str], from: &Path, to: &Path) {
    let copied = Command::new("cp").args(options).arg(from).arg(to).output().expect("cp runs");
    assert!(copied.status.success(), "{}", said(&copied));
}

/// A process of the same user, which no daemon may end.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Bystander(Command::new("sleep").arg("600").spawn().expect("sleep runs"))
    }

    fn lives(&mut self) {
        assert!(self.0.try_wait().expect("asked").is_none(), "it was ended");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_copy_of_a_running_job_has_no_trainer_and_takes_no_slot() {
    let running = Running::new();
    for (options, name) in [(["-r"], "job-30"), (["-al"], "job-31")] {
        let job = running.launch.join(name);
        copy(&options, &running.job(), &job);
        running.waits_and_can_be_cancelled(&job);
    }
    running.goes_on();
}

#[test]
fn a_copy_made_of_hard_links_trains_beside_the_original() {
    let running = Running::with_slots(2);
    let (made, linked) = (running.daemon.dir.join("job-31"), running.launch.join("job-31"));
    copy(&["-al"], &running.job(), &made);
    // The stand-in writes these in place, which no trainer does.
    for name in ["begun", "starts", "epochs"] {
        fs::remove_file(private(&made, name)).expect("removed");
    }
    fs::rename(&made, &linked).expect("moved");
    until("it trains by itself", || recorded(&linked) != running.trainer && private(&linked, "epochs").exists());
    running.still_trains();
    running.goes_on();
    running.is(&linked, "done");
    assert_eq!(fs::read_to_string(private(&linked, "begun")).expect("attempts"), "2\n", "the one after the original's");
}

#[test]
fn a_copy_of_a_whole_running_search_leaves_the_original_alone() {
    let mut running = Running::new();
    let copied = running.daemon.root.join("copied");
    copy(&["-r"], &running.launch, &copied);
    running.waits_and_can_be_cancelled(&copied.join("job-0"));
    running.daemon.kill();
    running.daemon.start_again(&running.setup);
    running.is(&running.job(), "running");
    running.still_trains();
    running.goes_on();
}

#[test]
fn a_record_that_names_another_process_of_the_user_ends_nothing() {
    let mut running = Running::new();
    let mut bystander = Bystander::new();
    let free = running.forged("job-7", bystander.0.id());
    running.waits_and_can_be_cancelled(&free);
    bystander.lives();

    // As if the process had the lock too.
    let held = running.launch.join("job-8");
    fs::create_dir_all(held.join(".neurosearch")).expect("made");
    let Ok(Locking::Held(lock)) = lock::take(&private(&held, "lock"), "{}") else { panic!("nobody else holds it") };
    forge(&running.job(), &held, bystander.0.id());
    let explained = || String::from_utf8_lossy(&verb(&running.daemon.dir, &["explain", path(&held)]).stdout).into_owned();
    until("the reason is shown", || explained().contains("does not hold the lock"));
    granted(&running.daemon.dir, &["cancel", path(&held)]);
    bystander.lives();
    drop(lock);
    running.is(&held, "cancelled");
    bystander.lives();
    granted(&running.daemon.dir, &["shutdown", "--stop-trainers"]);
    until("the daemon has ended", || running.daemon.has_ended());
    bystander.lives();
    assert_eq!(trainers(&running.daemon.root), Vec::<u32>::new(), "its own trainer is asked to stop");
}

#[test]
fn a_record_that_names_another_jobs_trainer_does_not_end_it() {
    let running = Running::new();
    let other = running.forged("job-7", running.trainer);
    running.waits_and_can_be_cancelled(&other);
    running.goes_on();
}

#[test]
fn a_record_that_names_the_daemon_does_not_end_it() {
    let mut running = Running::new();
    let (daemon, root) = (running.daemon.pid(), running.daemon.root.clone());
    drop_space(&root, &space(1, 1, &json!({})));
    until("the search above is served", || root.join(".neurosearch/search.json").exists());
    // A link gives a job the lock that the daemon holds.
    let linked = root.join("job-9");
    fs::create_dir_all(linked.join(".neurosearch")).expect("made");
    fs::hard_link(root.join(".neurosearch/lock"), private(&linked, "lock")).expect("linked");
    forge(&running.job(), &linked, daemon);
    running.is(&linked, "queued");
    granted(&running.daemon.dir, &["cancel", path(&linked)]);
    running.is(&linked, "cancelled");
    // A launch directory has such a lock itself, and becomes a job of the search above.
    forge(&running.job(), &running.launch, daemon);
    let alarms = || running.daemon.search(&root).map(|search| search.alarms.join("\n")).unwrap_or_default();
    until("it is left alone", || alarms().contains("is the one that asks"));
    granted(&running.daemon.dir, &["cancel", path(&root)]);
    let wish = || json(&private(&running.launch, "job.json"))["wish"] == json!("cancel");
    until("that is to be cancelled too", wish);
    until("it was looked at again", || alarms().contains("is the one that asks"));
    assert!(running.daemon.is_running(), "{}", running.daemon.log());
}

#[test]
fn a_trainer_whose_program_was_replaced_is_adopted() {
    let dir = tempdir();
    let hold = dir.path().join("hold");
    fs::write(&hold, "").expect("written");
    let program = dir.path().join("trainer");
    let install = || {
        let new = dir.path().join("trainer.new");
        copy(&[], &crate::stand_in::checkout("tests/programs/stand-in-trainer"), &new);
        fs::rename(new, &program).expect("installed");
    };
    install();
    let setup = Setup::default().with("STAND_IN_HOLD", path(&hold)).with("NEUROSEARCH_TRAINER", path(&program));
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("upgraded");
    drop_space(&launch, &space(1, 2, &json!({})));
    let job = launch.join("job-0");
    until("it trains", || fs::metadata(private(&job, "epochs")).is_ok_and(|file| file.len() > 0));
    daemon.kill();
    install();
    daemon.start_again(&setup);
    daemon.wait_for("it runs", &launch, |counts| counts.running == 1);
    fs::remove_file(hold).expect("removed");
    daemon.wait_for("it is done", &launch, |counts| counts.done == 1);
    assert_eq!(fs::read_to_string(private(&job, "starts")).expect("attempts"), "1\n", "no further attempt");
}

#[test]
fn continue_goes_on_with_a_copy_of_a_job_that_is_being_trained() {
    let running = Running::new();
    let copied = running.daemon.dir.join("job-0");
    copy(&["-r"], &running.job(), &copied);
    let output = neurosearch(&running.daemon.dir).arg("continue").arg(&copied).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    running.still_trains();
    running.goes_on();
}
