//! How often each fault happens: a little by default, as often as the environment says under `make torture`, which gets the figures.

use neurosearch::domain::seed;
use rand::{Rng, RngCore};
use std::io::Write;
use std::time::Duration;

/// `NEUROSEARCH_TORTURE_<name>`, else `otherwise`.
pub fn count(name: &str, otherwise: u64) -> u64 {
    let name = format!("NEUROSEARCH_TORTURE_{name}");
    let found = std::env::var(&name).ok();
    found.map_or(otherwise, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text:?}: {e}")))
}

/// Adds a line to the figures, where somebody wants them.
pub fn figure(name: &str, value: impl std::fmt::Display) {
    if let Some(path) = std::env::var_os("NEUROSEARCH_TORTURE_FIGURES") {
        let mut file = std::fs::File::options().create(true).append(true).open(path).expect("the figures' file");
        file.write_all(format!("{name}\t{value}\n").as_bytes()).expect("written");
    }
}

/// Instants and victims: random, and the same again under the same `NEUROSEARCH_TORTURE_SEED`.
pub fn chance(purpose: &str) -> impl Rng {
    let seed = count("SEED", 1);
    figure(&format!("seed of {purpose}"), seed);
    seed::stream(seed, purpose, &[])
}

/// A time from 0 to `most` milliseconds.
pub fn moment(chance: &mut impl RngCore, most: u64) -> Duration {
    Duration::from_micros(chance.random_range(0..=most * 1000))
}
