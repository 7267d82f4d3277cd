//! `neurosearch remove`: the daemon leaves a directory alone.

use crate::cli::daemon_request::{Ask, directory};
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Remove;
use std::path::PathBuf;

/// Watch a directory no longer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory
    dir: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Remove { target: Some(directory(&args.dir)?), ..Remove::default() }, out)
}
