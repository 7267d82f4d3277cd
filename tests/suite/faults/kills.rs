//! Daemons and trainers killed at random instants.

use super::check::{assert_whole, begun, job, starts};
use super::counts::{chance, count, figure, moment};
use super::{setup, tail, wait};
use crate::harness::{Daemon, drop_space, space, tempdir, trainers};
use crate::stand_in::{Signal, signal, until};
use rand::Rng;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

/// Trainers that took their job's lock, over all jobs.
fn all_starts(launch: &Path, jobs: u64) -> usize {
    (0..jobs).map(|index| starts(&job(launch, index)).len()).sum()
}

/// Trainers that were started, over all jobs.
fn all_begun(launch: &Path, jobs: u64) -> usize {
    (0..jobs).map(|index| begun(&job(launch, index)).len()).sum()
}

#[test]
fn a_daemon_killed_at_random_instants_loses_no_job_and_starts_none_twice() {
    let (kills, epochs) = (count("DAEMON_KILLS", 30), 2);
    let jobs = kills;
    let mut chance = chance("daemon kills");
    let dir = tempdir();
    let setup = setup(2).with("STAND_IN_PAUSE", "0.1");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("killed");
    drop_space(&launch, &space(jobs, epochs, &json!({})));
    for _ in 0..kills {
        // From the first instant of a start to well into the work.
        std::thread::sleep(moment(&mut chance, 500));
        daemon.kill();
        daemon.start_unseen(&setup);
    }
    daemon.wait_until_it_answers();
    wait(&daemon, &launch, "every job is done", |counts| counts.done == jobs);
    assert_whole(&launch, jobs, epochs);
    assert_eq!(all_starts(&launch, jobs) as u64, jobs, "a trainer that lives is adopted, never started again");
    assert_eq!(all_begun(&launch, jobs) as u64, jobs, "not even one that ends at once");
    figure("daemon kills", kills);
    figure("jobs over those kills, none lost or started twice", jobs);
}

#[test]
fn a_daemon_killed_before_its_trainer_has_taken_the_lock_starts_no_second_one() {
    let kills = count("EARLY_KILLS", 5);
    let mut chance = chance("early kills");
    let dir = tempdir();
    let setup = setup(1).with("STAND_IN_LATE", "0.3");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("early");
    drop_space(&launch, &space(kills, 1, &json!({})));
    let mut early = 0;
    for index in 0..kills {
        let job = job(&launch, index);
        until("its trainer is started", || !begun(&job).is_empty());
        std::thread::sleep(moment(&mut chance, 200));
        daemon.kill();
        early += u64::from(starts(&job).is_empty());
        daemon.start_again(&setup);
    }
    wait(&daemon, &launch, "every job is done", |counts| counts.done == kills);
    assert_whole(&launch, kills, 1);
    for index in 0..kills {
        let job = job(&launch, index);
        assert_eq!((begun(&job), starts(&job)), (vec![1], vec![1]), "{}\n{}", job.path().display(), tail(&daemon.log()));
    }
    assert!(early * 2 >= kills, "only {early} of {kills} came before the lock was the trainer's");
    figure("daemon kills between a trainer's start and its record, none started twice", early);
}

#[test]
fn trainers_killed_at_random_instants_go_on_where_they_were() {
    let (kills, epochs) = (count("TRAINER_KILLS", 15), 5);
    let jobs = kills.div_ceil(2);
    let mut chance = chance("trainer kills");
    let dir = tempdir();
    let setup = setup(2).with("STAND_IN_PAUSE", "0.1");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("killed");
    drop_space(&launch, &space(jobs, epochs, &json!({})));
    let mut killed = 0;
    let mut last = Instant::now();
    while killed < kills && daemon.counts(&launch).done < jobs {
        std::thread::sleep(moment(&mut chance, 300));
        let live = trainers(&daemon.root);
        if let Some(victim) = live.get(chance.random_range(0..live.len().max(1))) {
            signal(*victim, Signal::KILL);
            killed += 1;
            last = Instant::now();
        }
        assert!(last.elapsed() < Duration::from_secs(120), "no trainer to kill\n{}", daemon.log());
        // Now and then nobody watches while a trainer dies.
        if chance.random_ratio(1, 5) {
            daemon.kill();
            daemon.start_again(&setup);
        }
    }
    wait(&daemon, &launch, "every job is done", |counts| counts.done == jobs);
    assert_whole(&launch, jobs, epochs);
    let starts = all_starts(&launch, jobs) as u64;
    assert!(starts <= jobs + killed, "{starts} starts of {jobs} jobs for {killed} kills");
    figure("trainer kills, stand-in", killed);
    figure("jobs over those kills, none lost, no epoch trained twice", jobs);
}
