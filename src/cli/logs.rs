//! `neurosearch logs`: what a job's trainer wrote.

use super::ask::{Ask, absolute};
use super::exit::{Exit, Outcome};
use super::interrupt::Interrupt;
use super::out::{Out, escape};
use super::render;
use crate::control::types::Log;
use std::path::PathBuf;
use std::time::Duration;

/// Between two questions for more.
const PAUSE: Duration = Duration::from_millis(300);

/// Show what a job's trainer wrote
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's folder
    job: PathBuf,
    /// Go on until the job has ended
    #[arg(short, long, conflicts_with = "json")]
    follow: bool,
    /// Which attempt, from 1; the last unless something else is said
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let path = absolute(&args.job)?;
    let client = args.ask.client();
    let mut interrupt = Interrupt::watch()?;
    let mut attempt = args.attempt.map(|attempt| attempt.to_string());
    let mut from = 0;
    loop {
        let start = from.to_string();
        let mut query = vec![("path", path.as_str()), ("from", start.as_str())];
        query.extend(attempt.as_deref().map(|attempt| ("attempt", attempt)));
        let piece: Log = client.get("/v1/logs", &query)?;
        if args.ask.json {
            return render::json(&piece, out);
        }
        out.raw(&escape(&piece.text))?;
        out.flush()?;
        let more = piece.next > from;
        from = piece.next;
        attempt = Some(piece.attempt.to_string());
        if interrupt.asked() || out.is_closed() || !(more || args.follow && piece.running) {
            return Ok(Exit::Done);
        }
        if !more {
            std::thread::sleep(PAUSE);
        }
    }
}
