//! `neurosearch resume`: a paused search or job goes on; without either, a drained daemon does.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Resume;
use std::path::PathBuf;

/// Resume a paused search or job
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A launch directory, or a job's folder; without it, new jobs are started again after `drain`
    target: Option<PathBuf>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let target = args.target.as_deref().map(|target| args.ask.place(target)).transpose()?;
    args.ask.send(Resume { target, ..Resume::default() }, out)
}
