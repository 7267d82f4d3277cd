//! `neurosearch explain`: why a job is where it is, and what it waits for.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::output::render;
use crate::control::reply::OneJob;
use std::path::PathBuf;

/// Say why a job waits, runs or has ended, and what it needs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's folder, or what `neurosearch status` calls it, as first/job-3
    job: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let path = args.ask.place(&args.job)?;
    let answer: OneJob = args.ask.client().get("/v1/job", &[("path", &path)])?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    out.sentence(format!("{} ({}): {}", answer.job.name, answer.job.state, render::flat(&answer.why)), 2)?;
    for reason in answer.waits_for.iter().skip(1) {
        out.sentence(format!("besides, {}", render::flat(reason)), 2)?;
    }
    Ok(Exit::Done)
}
