//! `neurosearch devices`: what jobs run on, and taking one out of use.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::{Out, Tone};
use crate::cli::output::{listing, render};
use crate::control::reply::Devices;
use crate::control::request::{Drain, Restore};

/// Show the devices, or take one out of use and back into it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    change: Option<Change>,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Change {
    /// Start nothing new on a device
    Drain {
        /// `cpu`, a GPU's number, or the beginning of its UUID or model
        device: String,
    },
    /// Use a device again
    Restore {
        /// `cpu`, a GPU's number, or the beginning of its UUID or model
        device: String,
    },
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    match &args.change {
        Some(Change::Drain { device }) => args.ask.send(Drain { device: Some(device.clone()) }, out),
        Some(Change::Restore { device }) => args.ask.send(Restore { device: Some(device.clone()) }, out),
        None => show(args, out),
    }
}

fn show(args: &Args, out: &mut Out) -> VerbResult {
    let answer: Devices = args.ask.client().get("/v1/devices", &[])?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    for alarm in &answer.alarms {
        render::say(out, Tone::Bad, "alarm", alarm)?;
    }
    let width = out.width();
    listing::devices_within(&answer.devices, width).lines(width, false).into_iter().try_for_each(|line| out.line(line))?;
    Ok(Exit::Done)
}
