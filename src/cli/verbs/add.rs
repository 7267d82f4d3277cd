//! `neurosearch add`: the daemon watches one more directory.

use crate::cli::daemon_request::{Ask, directory};
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Add;
use std::path::PathBuf;

/// Watch a directory, until the daemon ends
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory
    dir: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Add { target: Some(directory(&args.dir)?), ..Add::default() }, out)
}
