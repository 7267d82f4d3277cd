//! `neurosearch reload`: the daemon looks at every directory again.

use super::ask::Ask;
use super::exit::Outcome;
use super::out::Out;
use crate::control::types::Order;

/// Look at every watched directory again
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    args.ask.order("reload", &Order::default(), out)
}
