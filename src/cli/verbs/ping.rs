//! `neurosearch ping`: whether a daemon answers, and which.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::output::render::{self, clock, since};
use crate::control::reply::Pong;

/// Ask whether the daemon answers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let pong: Pong = args.ask.client().get("/v1/ping", &[])?;
    if args.ask.json {
        return render::json(&pong, out);
    }
    let daemon = &pong.daemon;
    out.line(format!(
        "{} on {}, process {}, up {} since {}",
        daemon.program,
        daemon.host,
        daemon.pid,
        since(daemon.started_at),
        clock(daemon.started_at)
    ))?;
    Ok(Exit::Done)
}
