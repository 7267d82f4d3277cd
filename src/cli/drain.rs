//! `neurosearch drain`: nothing new is started anywhere, what runs goes on.

use super::ask::Ask;
use super::exit::Outcome;
use super::out::Out;
use crate::control::types::Order;

/// Start nothing new on this machine, as before maintenance; `resume` ends it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    args.ask.order("drain", &Order::default(), out)
}
