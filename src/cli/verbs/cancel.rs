//! `neurosearch cancel`: a job, or every job of a search, is not to be finished.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Cancel;
use std::path::PathBuf;

/// Cancel a job, or every unfinished job of a search
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A job's folder, or a launch directory
    target: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Cancel { target: Some(args.ask.place(&args.target)?), ..Cancel::default() }, out)
}
