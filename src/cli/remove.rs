//! `neurosearch remove`: the daemon leaves a directory alone.

use super::ask::{Ask, about};
use super::exit::Outcome;
use super::out::Out;
use std::path::PathBuf;

/// Watch a directory no longer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory
    dir: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    args.ask.order("remove", &about(&args.dir)?, out)
}
