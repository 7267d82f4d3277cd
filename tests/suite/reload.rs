//! A daemon that reads its configuration again: by the command line, by SIGHUP, and with a mistake in it.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{Signal, said, signal, until};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn reload(dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
    command.arg("reload").env("NEUROSEARCH_SOCKET", dir.join("d.sock")).output().expect("it runs")
}

/// The daemon's configuration with these directories, and one more line, the sixth.
fn configure(dir: &Path, watch: &str, more: &str) {
    let text = format!("watch = [{watch}]\nsocket = \"d.sock\"\n{}\n{more}", Setup::default().config);
    fs::write(dir.join("neurosearchd.toml"), text).expect("written");
}

#[test]
fn directories_of_the_configuration_are_watched_and_left_by_a_reload_and_by_sighup() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let other = dir.path().join("other");
    fs::create_dir(&other).expect("made");
    drop_space(&other, &space(1, 1, &json!({})));
    configure(dir.path(), "\"root\", \"other\"", "stall_seconds = 99");
    let output = reload(dir.path());
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("other is watched now") && told.contains("restart") && told.contains("stall_seconds"), "{told}");
    daemon.wait_for("its job is done", &other, |counts| counts.done == 1);

    configure(dir.path(), "\"root\"", "");
    signal(daemon.pid(), Signal::HUP);
    until("it is left", || daemon.search(&other).is_none());
    assert_eq!(daemon.status().searches.len(), 0);
}

#[test]
fn a_mistake_in_the_configuration_is_refused_with_its_place_and_nothing_changes() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("a");
    configure(dir.path(), "\"other\"", "stal_seconds = 99");
    let output = reload(dir.path());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("stal_seconds") && told.contains("line 6, column 1"), "{told}");
    assert!(told.contains("neurosearchd.toml"), "{told}");
    // What was watched is served as before.
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("its job is done", &launch, |counts| counts.done == 1);
    assert!(daemon.is_running());
}

#[test]
fn a_configuration_without_directories_is_refused_and_changes_nothing() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("a");
    for text in ["", "socket = \"d.sock\"\n"] {
        fs::write(dir.path().join("neurosearchd.toml"), text).expect("written");
        let output = reload(dir.path());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains("watch: the configuration names no directory"), "{text:?}: {told}");
    }
    signal(daemon.pid(), Signal::HUP);
    until("SIGHUP is refused too", || daemon.log().contains("not reloaded"));
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("its job is done", &launch, |counts| counts.done == 1);
}
