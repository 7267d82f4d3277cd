//! The fault suite: whatever dies, fills up, goes away or is handed in, no job is lost, none runs twice, and every file can be read.
//!
//! `make test` runs it with the counts that stand here; `make torture` with those of `scripts/torture`, which it takes from
//! the environment.

mod arrivals;
mod bad_files;
mod bad_spaces;
mod check;
mod counts;
mod damaged;
mod disk;
mod folders;
mod gone;
mod gpus;
mod inputs;
mod kills;
mod links;
mod many;
#[cfg(feature = "torch")]
mod trainer_job;
#[cfg(feature = "torch")]
mod trainer_kills;
#[cfg(feature = "torch")]
mod trainer_writes;
mod unwritten;
mod watching;
mod writes;

use crate::harness::{Daemon, Setup};
use crate::stand_in::SOON;
use neurosearch::control::reply::Counts;
use std::path::Path;
use std::time::{Duration, Instant};

/// A daemon that looks often and runs `slots` jobs at once.
fn setup(slots: u32) -> Setup {
    let config = format!("devices = \"cpu\"\nslots_per_device = {slots}\nrescan_seconds = 1\nsettle_milliseconds = 100");
    Setup { config, ..Setup::default() }
}

/// Waits for as long as something changes; fails with the log once nothing has for a while.
fn wait(daemon: &Daemon, launch: &Path, what: &str, wanted: impl Fn(&Counts) -> bool) {
    let mut last = Counts::default();
    let mut changed = Instant::now();
    loop {
        let counts = daemon.counts(launch);
        if wanted(&counts) {
            return;
        }
        if counts != last {
            (last, changed) = (counts, Instant::now());
        }
        let seen = || format!("{:#?}\n{}", daemon.search(launch), tail(&daemon.log()));
        assert!(changed.elapsed() < SOON, "waited in vain: {what}\n{}", seen());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The end of a log, which may be long.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(100)..].join("\n")
}
