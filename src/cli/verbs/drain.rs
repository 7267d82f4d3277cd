//! `neurosearch drain`: nothing new is started anywhere, what runs goes on.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Drain;

/// Start nothing new on this machine, as before maintenance; `resume` ends it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Drain::default(), out)
}
