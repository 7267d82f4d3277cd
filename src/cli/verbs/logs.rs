//! `neurosearch logs`: what a job's trainer wrote.

use crate::cli::args::whole;
use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::out::{Out, note};
use crate::cli::output::render;
use crate::control::reply::Log;
use crate::domain::text::escape::escape;
use std::path::PathBuf;
use std::time::Duration;

/// Between two questions for more.
const PAUSE: Duration = Duration::from_millis(300);

/// Show what a job's trainer wrote
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's folder, or what `neurosearch status` calls it, as first/job-3
    job: PathBuf,
    /// Go on until the job has ended
    #[arg(short, long, conflicts_with = "json")]
    follow: bool,
    /// Which attempt, from 1; the last unless something else is said
    #[arg(long, value_name = "N", value_parser = whole::<u32>)]
    attempt: Option<u32>,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let path = args.ask.place(&args.job)?;
    let client = args.ask.client();
    let mut interrupt = Interrupt::watch()?;
    let mut attempt = args.attempt;
    let mut from = 0;
    loop {
        let (start, number) = (from.to_string(), attempt.map(|attempt| attempt.to_string()));
        let mut query = vec![("path", path.as_str()), ("from", start.as_str())];
        query.extend(number.as_deref().map(|number| ("attempt", number)));
        let piece: Log = client.get("/v1/logs", &query)?;
        if args.ask.json {
            return render::json(&piece, out);
        }
        out.raw(&escape(&piece.text))?;
        out.flush()?;
        if interrupt.asked() || out.is_closed() {
            return Ok(Exit::Done);
        }
        match after(&piece, from, args.follow, args.attempt.is_some()) {
            Next::Piece => (attempt, from) = (Some(piece.attempt), piece.next),
            Next::Attempt => {
                note(format!("attempt {} has ended, attempt {} begins", piece.attempt, piece.attempt + 1));
                (attempt, from) = (Some(piece.attempt + 1), 0);
            }
            Next::Wait => std::thread::sleep(PAUSE),
            Next::End => return Ok(Exit::Done),
        }
    }
}

/// What to ask for after a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Piece,
    Attempt,
    Wait,
    End,
}

/// `from` is where the piece began; `pinned`: one attempt was asked for, and no other is shown.
fn after(piece: &Log, from: u64, follow: bool, pinned: bool) -> Next {
    if piece.next > from {
        return Next::Piece;
    }
    let again = piece.attempts > piece.attempt;
    match (follow, pinned) {
        (true, false) if again => Next::Attempt,
        // A job that failed waits for its next attempt.
        (true, false) if matches!(piece.state.as_str(), "running" | "queued") => Next::Wait,
        (true, true) if piece.running => Next::Wait,
        _ => Next::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_goes_on_with_the_next_attempt_until_the_job_has_ended() {
        let piece = |attempts, state: &str| Log {
            version: 1,
            attempt: 1,
            text: String::new(),
            next: 9,
            running: attempts == 1 && state == "running",
            attempts,
            state: state.to_string(),
        };
        let cases = [
            // Attempts, state, where it began, followed, one attempt alone, and then.
            (1, "running", 0, false, false, Next::Piece),
            (1, "running", 9, false, false, Next::End),
            (1, "running", 9, true, false, Next::Wait),
            (1, "queued", 9, true, false, Next::Wait),
            (2, "running", 9, true, false, Next::Attempt),
            (2, "running", 9, true, true, Next::End),
            (1, "running", 9, true, true, Next::Wait),
            (1, "done", 9, true, false, Next::End),
            (1, "paused", 9, true, false, Next::End),
        ];
        for (attempts, state, from, follow, pinned, next) in cases {
            assert_eq!(after(&piece(attempts, state), from, follow, pinned), next, "{attempts} {state} {from} {follow} {pinned}");
        }
    }
}
