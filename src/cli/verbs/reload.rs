//! `neurosearch reload`: the daemon reads its configuration again, and looks at every directory.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Reload;

/// Read the configuration again, and look at every watched directory
///
/// Directories to watch and the log's level hold at once; what needs a restart is named.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    args.ask.send(Reload {}, out)
}
