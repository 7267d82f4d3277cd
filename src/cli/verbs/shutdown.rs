//! `neurosearch shutdown`: the daemon ends, with or without its trainers.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Shutdown;

/// Stop the daemon; its trainers go on, and the next start takes them over
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stop the trainers too; each keeps its last epoch, and the next start goes on with it
    #[arg(long)]
    stop_trainers: bool,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Shutdown { stop_trainers: args.stop_trainers }, out)
}
