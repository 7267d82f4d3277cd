//! `neurosearch resume`: a paused search or job goes on; without either, a drained daemon does.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::Outcome;
use crate::cli::output::out::Out;
use crate::control::reply::Order;
use std::path::PathBuf;

/// Resume a paused search or job
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A launch directory, or a job's folder; without it, new jobs are started again after `drain`
    target: Option<PathBuf>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let order = args.target.as_deref().map_or_else(|| Ok(Order::default()), |target| args.ask.order_about(target))?;
    args.ask.order("resume", &order, out)
}
