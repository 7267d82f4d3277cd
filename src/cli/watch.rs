//! `neurosearch watch`: `status`, kept up to date on one screen.

use super::ask::Ask;
use super::exit::{Exit, Failure, Outcome};
use super::interrupt::Interrupt;
use super::out::Out;
use super::status;
use crate::control::types::Status;
use crossterm::{cursor, terminal};
use std::time::{Duration, Instant};

/// Between two screens; trainers report once a second.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two looks for Ctrl-C.
const PAUSE: Duration = Duration::from_millis(50);

/// Show searches, jobs and devices on one screen that keeps itself up to date; Ctrl-C ends it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let client = args.ask.client();
    let mut interrupt = Interrupt::watch()?;
    loop {
        let status: Status = client.get("/v1/status", &[])?;
        if args.ask.json {
            // A line a second, for programs that follow.
            let line = serde_json::to_string(&status).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
            out.raw(&format!("{line}\n"))?;
        } else {
            if out.is_terminal() {
                out.raw(&format!("{}{}", terminal::Clear(terminal::ClearType::All), cursor::MoveTo(0, 0)))?;
            }
            status::show(&status, out)?;
        }
        out.flush()?;
        let next = Instant::now() + PERIOD;
        while Instant::now() < next {
            if interrupt.asked() || out.is_closed() {
                return Ok(Exit::Done);
            }
            std::thread::sleep(PAUSE);
        }
    }
}
