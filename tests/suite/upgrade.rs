//! Searches, jobs, tables and a configuration that the programs of an earlier commit left behind: read, shown and gone on with.

use crate::harness::{Daemon, Setup, tempdir};
use crate::stand_in::{checkout, json, neurosearch, said, until};
use crate::verbs::{granted, path};
use neurosearch::control::reply::{Counts, SearchState};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The searches of the sample, one a network type. In each, job-0 is done, job-1 failed, job-2 is half trained and job-3 is not drawn.
pub const SEARCHES: [&str; 3] = ["autoencoder", "cnn", "multicnn"];
/// What the harness writes at the head of every configuration.
const HEAD: &str = "watch = [\"root\"]\nsocket = \"d.sock\"\n";
/// The host, the boot and the process in the sample's records.
const RECORDED: [&str; 3] = ["node-7", "0f9d6a53-6a0e-4b39-9d3c-3e1d4bd0a001", "4194305"];

/// A file or folder of the sample.
pub fn fixture(below: &str) -> PathBuf {
    checkout("tests/fixtures/upgrade").join(below)
}

/// What the earlier programs left, in a folder of its own, as on the machine where they ran.
pub struct Sample {
    dir: tempfile::TempDir,
}

impl Sample {
    pub fn new() -> Self {
        let sample = Sample { dir: tempdir() };
        copy(&fixture("begun"), sample.path());
        for participant in fs::read_dir(checkout("tests/fixtures/mni-quarter/caps/subjects")).expect("listed") {
            sample.link_image(&participant.expect("an entry").file_name().to_string_lossy());
        }
        let damaged = sample.image("sub-MNI0010");
        fs::remove_file(&damaged).expect("removed");
        fs::write(damaged, "damaged\n").expect("written");
        sample
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn launch(&self, search: &str) -> PathBuf {
        self.path().join("root").join(search)
    }

    pub fn job(&self, search: &str, index: u32) -> PathBuf {
        self.launch(search).join(format!("job-{index}"))
    }

    fn image(&self, participant: &str) -> PathBuf {
        let file = format!("{participant}_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz");
        self.path().join("caps/subjects").join(participant).join("ses-M00/t1_linear").join(file)
    }

    fn link_image(&self, participant: &str) {
        let image = self.image(participant);
        fs::create_dir_all(image.parent().expect("a folder")).expect("made");
        let below = image.strip_prefix(self.path()).expect("below");
        symlink(checkout("tests/fixtures/mni-quarter").join(below), &image).expect("linked");
    }

    /// Puts the right image where the damaged one is that failed each job-1.
    #[cfg(feature = "torch")]
    pub fn mend(&self) {
        fs::remove_file(self.image("sub-MNI0010")).expect("removed");
        self.link_image("sub-MNI0010");
    }

    /// A program that runs `trainer` in this folder, by which the options find the data. A daemon starts trainers in the root.
    fn in_this_folder(&self, trainer: &Path) -> PathBuf {
        let program = self.path().join("in-this-folder");
        let text = format!("#!/bin/sh\ncd '{}' && exec '{}' \"$@\"\n", self.path().display(), trainer.display());
        fs::write(&program, text).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        program
    }

    /// The sample's own configuration, and `trainer`.
    pub fn setup(&self, trainer: &Path) -> Setup {
        let text = fs::read_to_string(fixture("begun/neurosearchd.toml")).expect("a configuration");
        let config = text.strip_prefix(HEAD).expect("the harness's own head").trim_end().to_string();
        let program = self.in_this_folder(trainer);
        Setup { config, environment: Vec::new() }.with("NEUROSEARCH_TRAINER", path(&program))
    }

    /// The stand-in trainer, held after each epoch for as long as the file is there.
    fn held(&self) -> (Setup, PathBuf) {
        let hold = self.path().join("hold");
        fs::write(&hold, "").expect("written");
        let setup = self.setup(&checkout("tests/programs/stand-in-trainer")).with("STAND_IN_HOLD", path(&hold));
        (setup, hold)
    }
}

/// Copies a folder of the sample. Its trainers ran on this machine, since its last start.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else if path.ends_with("trainer.json") || path.ends_with("lock") {
            fs::write(target, recorded_here(&path)).expect("written");
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

/// A record of the sample with this machine in the place of the one that wrote it.
fn recorded_here(path: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).expect("read").trim().to_string();
    let text = fs::read_to_string(path).expect("a record");
    text.replace(RECORDED[0], &read("/proc/sys/kernel/hostname")).replace(RECORDED[1], &read("/proc/sys/kernel/random/boot_id"))
}

/// Every file below `folder` with its content.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).expect("read"));
        }
    }
    found
}

/// Nothing came, went or changed below a folder since `before`.
pub fn assert_untouched(folder: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let now = contents(folder);
    assert_eq!(now.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (path, content) in before {
        assert!(now[path] == *content, "{} changed", path.display());
    }
}

/// Every cell of an old table stands in the new one, whose rows may have more columns at their end. Those named in `but` may differ.
pub fn assert_table_holds(new: &Path, old: &Path, but: &[&str]) {
    let lines = |path: &Path| -> Vec<Vec<String>> {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.lines().map(|line| line.split('\t').map(str::to_string).collect()).collect()
    };
    let (now, before) = (lines(new), lines(old));
    assert_eq!(now.len(), before.len(), "{}", new.display());
    for (now, row) in now.iter().zip(&before) {
        for (column, cell) in before[0]
            .iter()
            .zip(row)
            .enumerate()
            .filter(|(_, (name, _))| !but.contains(&name.as_str()))
            .map(|(i, (_, cell))| (i, cell))
        {
            assert_eq!(now.get(column), Some(cell), "{}: {} of {}", new.display(), before[0][column], row[0]);
        }
    }
}

/// Every key of an old record has its value in the new one.
pub fn assert_record_holds(new: &Value, old: &Value) {
    for (key, value) in old.as_object().expect("an object") {
        assert_eq!(new.get(key), Some(value), "{key}");
    }
}

#[test]
fn the_old_configuration_is_read_without_a_complaint() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearchd"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEUROSEARCH")) {
        command.env_remove(name);
    }
    let output = command.arg("--config").arg(fixture("begun/neurosearchd.toml")).arg("--check-config").output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
}

#[test]
fn an_analysis_of_old_jobs_gives_the_old_tables() {
    let sample = Sample::new();
    for search in SEARCHES {
        let (launch, old) = (sample.launch(search), fixture("begun/root").join(search));
        assert!(launch.join(".analysis").exists(), "the old programs noted their rows");
        let tables = ["analysis_balanced_accuracy.tsv", "analysis_loss.tsv", "jobs.tsv"];
        tables.iter().for_each(|table| fs::remove_file(launch.join(table)).expect("removed"));
        let output = neurosearch(sample.path()).arg("analysis").arg(&launch).output().expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        for table in &tables[..2] {
            let read = |folder: &Path| fs::read_to_string(folder.join(table)).expect("a table");
            assert_eq!(read(&launch), read(&old), "{table}");
        }
        assert_table_holds(&launch.join(tables[2]), &old.join(tables[2]), &[]);
    }
}

#[test]
fn the_jobs_of_an_old_search_are_drawn_as_the_old_programs_drew_them() {
    let sample = Sample::new();
    for search in SEARCHES {
        let mut command = neurosearch(sample.path());
        command.current_dir(sample.path()).arg("sample").arg(sample.launch(search)).args(["--json", "-n", "4"]);
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{}", said(&output));
        let drawn: Vec<Value> =
            String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(drawn.len(), 4);
        let old = ["begun/root", "finished", "begun/root", "finished"].map(fixture);
        for (index, (drawn, old)) in drawn.iter().zip(old).enumerate() {
            assert_record_holds(drawn, &json(&old.join(search).join(format!("job-{index}/commandline.json"))));
        }
    }
}

#[test]
fn an_old_search_is_shown_as_it_stood_and_only_its_half_trained_job_goes_on() {
    let sample = Sample::new();
    let ended = |search: &str| [0, 1].map(|index| sample.job(search, index));
    let before = SEARCHES.map(|search| ended(search).map(|job| contents(&job)));
    let (setup, _) = sample.held();
    let daemon = Daemon::start(sample.path(), &setup);
    let written = fs::read_to_string(sample.path().join("neurosearchd.toml")).expect("a configuration");
    assert_eq!(written, fs::read_to_string(fixture("begun/neurosearchd.toml")).expect("the sample's"), "it runs by the old one");
    for (search, before) in SEARCHES.iter().zip(&before) {
        let launch = sample.launch(search);
        // What the daemon does at its start is done by then.
        until("the half-trained job trains", || {
            launch.join("job-2/.neurosearch/epochs").metadata().is_ok_and(|file| file.len() > 0)
        });
        let counts = Counts { done: 1, failed: 1, running: 1, undrawn: 1, ..Counts::default() };
        daemon.wait_for("one goes on", &launch, |now| *now == counts);
        until("its space is read again", || daemon.search(&launch).map(|search| search.state) == Some(SearchState::Active));
        let shown = daemon.search(&launch).expect("a search");
        let record = json(&fixture("begun/root").join(search).join(".neurosearch/search.json"));
        let terms = (shown.seed.map(Value::from), shown.n_jobs.map(Value::from), shown.slots.map(Value::from));
        assert_eq!(terms, (Some(record["seed"].clone()), Some(json!(4)), Some(json!(1))));
        assert_eq!((shown.faults, shown.alarms), (vec![], vec![]));
        let jobs = daemon.jobs(&launch).jobs;
        let states: Vec<_> =
            jobs.iter().map(|job| (job.name.as_str(), job.state.as_str(), job.attempts, job.failures_in_a_row)).collect();
        assert_eq!(states[..3], [("job-0", "done", 1, 0), ("job-1", "failed", 1, 1), ("job-2", "running", 2, 0)]);
        let failed = json(&ended(search)[1].join(".neurosearch/job.json"));
        assert_eq!((json!(jobs[1].class), json!(jobs[1].sentence)), (failed["class"].clone(), failed["sentence"].clone()));
        for (job, before) in ended(search).iter().zip(before) {
            assert_untouched(job, before);
        }
    }
    let said = granted(sample.path(), &["retry", path(&sample.job("cnn", 1))]);
    assert!(said.contains("job-1"), "{said}");
    daemon.wait_for("it waits for the one slot", &sample.launch("cnn"), |counts| (counts.failed, counts.queued) == (0, 1));
}

/// When a process started, in the kernel's ticks: field 22 of its `stat`, the 20th after its name.
fn start_time(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields = stat.rsplit(')').next().expect("fields");
    fields.split_whitespace().nth(19).expect("a start time").to_string()
}

/// A trainer of the earlier programs that still runs: the stand-in with the record that they wrote.
fn live_trainer(sample: &Sample, job: &Path, setup: &Setup) -> Child {
    let mut command = Command::new(sample.path().join("in-this-folder"));
    command.arg(job).envs(setup.environment.iter().map(|(name, value)| (name, value)));
    command.env("NEUROSEARCH_ATTEMPT", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let private = job.join(".neurosearch");
    let old = recorded_here(&private.join("trainer.json"));
    let child = command.spawn().expect("it starts");
    until("it trains", || private.join("epochs").metadata().is_ok_and(|file| file.len() > 0));
    let was: Value = serde_json::from_str(&old).expect("JSON");
    let start = |ticks: &str| format!("\"start_time\": {ticks}");
    let record = old.replace(RECORDED[2], &child.id().to_string());
    let record = record.replace(&start(&was["start_time"].to_string()), &start(&start_time(child.id())));
    fs::write(private.join("trainer.json"), record).expect("written");
    child
}

#[test]
fn a_live_trainer_with_an_old_record_is_adopted_and_ends_in_the_same_attempt() {
    let sample = Sample::new();
    let (setup, hold) = sample.held();
    let (launch, job) = (sample.launch("cnn"), sample.job("cnn", 2));
    let mut trainer = live_trainer(&sample, &job, &setup);
    assert_eq!(json(&job.join(".neurosearch/trainer.json"))["version"], json!(1));
    let daemon = Daemon::start(sample.path(), &setup);
    daemon.wait_for("it is shown", &launch, |counts| (counts.done, counts.running) == (1, 1));
    let shown = daemon.search(&launch).expect("a search");
    assert_eq!((shown.running[0].job.as_str(), shown.running[0].attempt), ("job-2", 1));
    fs::remove_file(hold).expect("removed");
    daemon.wait_for("it is done, and the last one too", &launch, |counts| counts.done == 3);
    assert!(trainer.wait().expect("reaped").success());
    let starts = fs::read_to_string(job.join(".neurosearch/starts")).expect("attempts");
    assert_eq!(starts, "1\n", "no further attempt");
    assert_eq!(json(&job.join(".neurosearch/job.json"))["attempts"], json!(1));
}
