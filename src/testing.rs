//! Builders that unit tests of several layers share.

use crate::daemon::configuration::Configuration;
use crate::daemon::context::Services;
use crate::daemon::devices::Devices;
use crate::daemon::logging::Filter;
use crate::daemon::sampler::Sampler;
use crate::daemon::watcher::Watcher;
use crate::domain::device::{Device, Need};
use crate::domain::progress::{Phase, Progress};
use crate::domain::search_terms::Terms;
use crate::domain::space::SearchSpace;
use crate::executor::{Identity, Processes};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::settings::Settings;
use actix::{AsyncContext, Context};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A directory that goes with the value.
pub fn tempdir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Makes a shell script that can be run. Another process writes it: a descriptor open for writing, inherited by a child of another
/// test, would make the program busy.
pub fn script(path: &Path, body: &str) {
    let mut write = Command::new("sh");
    write.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).arg(body);
    assert!(write.status().expect("sh runs").success());
}

/// Takes the lock that its first argument names, says so, and waits for as long as its input is open.
const HOLD: &str = "exec 9>>\"$1\"; flock -n 9 || exit 1; echo held; read -r _";

/// A process that holds a job's lock. It leads a process group, and ends with the value.
pub struct LockHolder(Child);

impl LockHolder {
    /// A script, whose file has this name.
    pub fn start(name: &str, job: &JobDir) -> Self {
        let dir = tempdir();
        script(&dir.path().join(name), HOLD);
        LockHolder::spawn(&mut Command::new(dir.path().join(name)), job)
    }

    /// A program of its own, whose file has this path: a copy of the shell.
    pub fn start_program(path: &Path, job: &JobDir) -> Self {
        assert!(Command::new("cp").arg("/bin/sh").arg(path).status().expect("cp runs").success());
        LockHolder::spawn(Command::new(path).args(["-c", HOLD, "sh"]), job)
    }

    fn spawn(command: &mut Command, job: &JobDir) -> Self {
        let command = command.arg(&*job.lock()).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = LockHolder(command.spawn().expect("it runs"));
        let mut said = [0; 5];
        // No other process has the lock any more by then, so that it ends with this one.
        holder.0.stdout.take().expect("a pipe").read_exact(&mut said).expect("it holds the lock");
        holder
    }

    pub fn identity(&self) -> Identity {
        Identity::of(self.0.id()).expect("looked").expect("it runs")
    }
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The device of this name: `cpu`, or a GPU's UUID.
pub fn device(name: &str) -> Device {
    Device::try_from(name.to_string()).expect("a device")
}

/// The terms of a search of `n_jobs` jobs on the CPU, without a limit.
pub fn terms(n_jobs: u64) -> Terms {
    Terms {
        seed: 7,
        n_jobs,
        job_prefix: "job".into(),
        space: Arc::default(),
        space_sha256: "a".into(),
        need: Need::Cpu,
        paused: false,
        priority: 0,
        slots: None,
        time_limit: None,
    }
}

/// A first report, of a job of 2 folds, 10 epochs and 4 batches.
pub fn progress() -> Progress {
    Progress {
        version: 1,
        fold: 0,
        folds_done: 0,
        folds: 2,
        network: None,
        networks: None,
        epoch: 0,
        epochs: 10,
        batches_done: 0,
        batches: 4,
        phase: Phase::Loading,
        loss_train: None,
        loss_valid: None,
        balanced_accuracy_train: None,
        balanced_accuracy_valid: None,
        step_seconds: None,
        written_at: 0.0,
        last_step_at: 0.0,
        checkpoints: 0,
    }
}

/// A space over these data, whose relative paths are relative to `folder`.
pub fn space(folder: &Path, caps_dir: &str, tsv_path: &str) -> SearchSpace {
    let text = serde_json::json!({
        "mode": "image",
        "network_type": "cnn",
        "caps_dir": caps_dir,
        "tsv_path": tsv_path,
        "preprocessing": "t1-linear",
        "diagnoses": ["AD", "CN"],
        "n_convblocks": 2,
        "first_conv_width": 4,
        "n_fcblocks": 1,
    });
    SearchSpace::parse(&text.to_string(), "random_search.json", folder).expect("a space").space
}

/// What an actor is given, with the settings as they are by default.
pub fn services() -> Services {
    let configuration = Configuration::first(|| Ok(Settings::default())).expect("read");
    Services::new(configuration, Filter::idle(), Arc::new(Processes::default())).expect("this process is known")
}

/// The actor of a launch directory, not started, whose messages to other actors go nowhere. Only within `#[actix::test]`.
pub fn sampler(launch: &Path) -> Sampler {
    let (devices, watcher) = (Context::<Devices>::new().address(), Context::<Watcher>::new().address());
    Sampler::new(services(), LaunchDir::new(launch), devices, watcher.clone().recipient(), watcher.recipient())
}
