//! A search of very many jobs.

use super::check::assert_whole;
use super::counts::{count, figure};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use serde_json::json;
use std::time::Instant;

#[test]
fn a_search_of_many_jobs_ends_with_every_one_of_them_done() {
    let jobs = count("JOBS", 40);
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(8));
    let launch = daemon.launch("many");
    let begun = Instant::now();
    drop_space(&launch, &space(jobs, 1, &json!({})));
    wait(&daemon, &launch, "every job is done", |counts| counts.done == jobs);
    figure("seconds for the search of many jobs", begun.elapsed().as_secs());
    assert_whole(&launch, jobs, 1);
    figure("jobs of one search, stand-in, all done", jobs);
}
