//! `neurosearch retry`: a job that is over, or a search's failed jobs, are tried again.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::control::request::Retry;
use std::path::PathBuf;

/// Try a failed or cancelled job again, or the failed jobs of a search
///
/// Of a job that is done, what is missing of its results is made anew.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A job's folder, or a launch directory for all of its failed jobs
    target: PathBuf,
    /// All failed jobs of a search, which is what a launch directory means anyway
    #[arg(long)]
    failed: bool,
    /// Only failures of this class, as out_of_memory
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let target = Some(args.ask.place(&args.target)?);
    args.ask.send(Retry { target, class: args.class.clone(), failed: args.failed, ..Retry::default() }, out)
}
