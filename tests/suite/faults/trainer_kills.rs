//! The real trainer killed at random instants, again and again, until its job ends: as if it had never been.

use super::counts::{chance, count, figure, moment};
use super::trainer_job::{assert_ended_as, assert_sound, autoencoder, cnn, command, multicnn, train};
use crate::trainer_run::Job;
use serde_json::Value;
use std::process::Stdio;
use std::time::Instant;

/// Kills trainings of one kind until there were so many kills, and lets each job end at last; gives how many jobs it took.
fn killed(kind: &str, changes: &Value, kills: u64) -> u64 {
    let purpose = format!("kills of the real trainer, {kind}");
    let mut chance = chance(&purpose);
    let whole = Job::new(changes.clone());
    let began = Instant::now();
    train(&whole);
    // From the first instant of a start to just after what would be its end.
    let most = began.elapsed().as_millis() as u64 * 11 / 10;
    let (mut killed, mut jobs) = (0, 0);
    while killed < kills {
        let job = Job::new(changes.clone());
        jobs += 1;
        while killed < kills {
            let mut child = command(&job).stderr(Stdio::null()).spawn().expect("the trainer starts");
            std::thread::sleep(moment(&mut chance, most));
            child.kill().expect("killed");
            if child.wait().expect("reaped").success() {
                break;
            }
            killed += 1;
            assert_sound(&job, &whole, kind);
        }
        train(&job);
        assert_ended_as(&job, &whole, kind);
    }
    jobs
}

#[test]
fn a_trainer_killed_at_random_instants_ends_bit_for_bit_as_one_that_was_not() {
    let kinds = [("cnn", cnn()), ("autoencoder", autoencoder()), ("multicnn", multicnn())];
    let each = count("REAL_TRAINER_KILLS", 9).div_ceil(kinds.len() as u64);
    let jobs: u64 = kinds.iter().map(|(kind, changes)| killed(kind, changes, each)).sum();
    figure("trainer kills, real", each * kinds.len() as u64);
    figure("jobs over those kills, each bit for bit as one that never stopped", jobs);
}
