//! `neurosearch pause`: a search starts nothing new, or a job keeps its last epoch and stops.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Pause;
use std::path::PathBuf;

/// Pause a search, or one job
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A launch directory, or a job's folder
    target: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Pause { target: Some(args.ask.place(&args.target)?), ..Pause::default() }, out)
}
