//! The daemon under a stand-in for systemd: what it is told, when, and how the log's level changes while it runs.

use crate::harness::{Daemon, Setup, tempdir};
use crate::stand_in::{SOON, Signal, signal, until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The socket on which systemd would listen.
struct Manager(UnixDatagram);

impl Manager {
    fn new(dir: &Path) -> (Self, Setup) {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        let setup = Setup::default().with("NOTIFY_SOCKET", path.to_str().expect("UTF-8"));
        (Manager(socket), setup)
    }

    /// The next message that begins so; those in between are passed over.
    fn hears(&self, start: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut others = Vec::new();
        while Instant::now() < deadline {
            let mut bytes = [0; 4096];
            let Ok(length) = self.0.recv(&mut bytes) else { continue };
            let message = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if message.starts_with(start) {
                return message;
            }
            others.push(message);
        }
        panic!("waited in vain: {start}; heard {others:?}");
    }
}

#[test]
fn systemd_hears_that_the_daemon_is_up_answers_its_watchdog_reloads_and_stops() {
    let dir = tempdir();
    let (manager, setup) = Manager::new(dir.path());
    let mut daemon = Daemon::start(dir.path(), &setup.with("WATCHDOG_USEC", "300000"));
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");

    signal(daemon.pid(), Signal::HUP);
    assert!(manager.hears("RELOADING=1").contains("\nMONOTONIC_USEC="));
    manager.hears("READY=1");
    // A reload that is refused is over as well.
    fs::write(dir.path().join("neurosearchd.toml"), "watch = 3").expect("written");
    signal(daemon.pid(), Signal::HUP);
    manager.hears("RELOADING=1");
    manager.hears("READY=1");

    daemon.terminate();
    manager.hears("STOPPING=1");
}

#[test]
fn a_watchdog_that_is_meant_for_another_process_is_not_answered() {
    let dir = tempdir();
    let (manager, setup) = Manager::new(dir.path());
    let mut daemon = Daemon::start(dir.path(), &setup.with("WATCHDOG_USEC", "1000").with("WATCHDOG_PID", "1"));
    manager.hears("READY=1");
    daemon.terminate();
    // The socket keeps every message, in order.
    let mut bytes = [0; 4096];
    let length = manager.0.recv(&mut bytes).expect("a message");
    assert_eq!(String::from_utf8_lossy(&bytes[..length]).trim_end(), "STOPPING=1");
}

#[test]
fn the_level_of_the_log_follows_the_configuration_of_a_running_daemon() {
    let dir = tempdir();
    let config = |level: &str| format!("{}\nlog = \"{level}\"", Setup::default().config);
    let (manager, setup) = Manager::new(dir.path());
    // An empty variable is none, so that the file decides.
    let daemon = Daemon::start(dir.path(), &Setup { config: config("warn"), ..setup }.with("NEUROSEARCHD_LOG", ""));
    manager.hears("READY=1");
    // By a signal, which nobody answers but the stand-in for systemd.
    let hang_up = || {
        signal(daemon.pid(), Signal::HUP);
        manager.hears("RELOADING=1");
        manager.hears("READY=1");
    };
    let reload = |level: &str| {
        let text = format!("watch = [\"root\"]\nsocket = \"d.sock\"\n{}", config(level));
        fs::write(dir.path().join("neurosearchd.toml"), text).expect("written");
        Command::new(env!("CARGO_BIN_EXE_neurosearch"))
            .arg("reload")
            .env("NEUROSEARCH_SOCKET", dir.path().join("d.sock"))
            .output()
            .expect("it runs")
    };
    hang_up();
    let log = daemon.log();
    // Said wherever the tests run as root.
    let warnings: Vec<&str> = log.lines().filter(|line| !line.contains("the daemon runs as root")).collect();
    assert!(warnings.is_empty(), "nothing is as bad as a warning: {warnings:?}");
    assert!(reload("info").status.success());
    manager.hears("READY=1");
    hang_up();
    until("a reload is logged", || daemon.log().contains("INFO") && daemon.log().contains("reloaded"));

    let refused = reload("neurosearch=loud");
    let sentence = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && sentence.contains("line 6, column 7: log: "), "{sentence}");
    assert!(sentence.contains("neurosearch=loud"), "{sentence}");
    manager.hears("READY=1");

    assert!(reload("error").status.success());
    manager.hears("READY=1");
    let before = daemon.log();
    hang_up();
    assert_eq!(daemon.log(), before, "a reload is no error");
}
