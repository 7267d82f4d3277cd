//! `scripts/libtorch` on small wheels from a folder: nothing is fetched twice, and no part is taken for the whole.

use crate::harness::tempdir;
use crate::needs::needs;
use crate::stand_in::{checkout, said};
use std::process::Command;

fn holds(step: &str) {
    let Some(python) = needs("python3") else { return };
    let dir = tempdir();
    let mut command = Command::new(python);
    let output = command.arg(checkout("tests/programs/try-libtorch")).arg(dir.path()).arg(step).output().expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn what_is_there_and_whole_is_fetched_no_second_time() {
    holds("once");
}

#[test]
fn a_library_that_was_damaged_is_made_anew() {
    holds("damaged");
}

#[test]
fn a_wheel_that_is_not_the_pinned_one_is_refused() {
    holds("another-file");
}

#[test]
fn a_download_that_was_cut_short_goes_on_and_is_never_taken_for_whole() {
    holds("cut-short");
}
