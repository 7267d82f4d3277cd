//! `neurosearch watch`: searches, jobs and devices, kept up to date on one screen.

use super::status;
use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::out::{Out, note};
use crate::cli::output::screen;
use crate::cli::output::terminal::{Deed, Screen};
use crate::control::client::{Client, ClientError};
use crate::control::reply::Status;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

/// Between two questions; trainers report once a second.
const PERIOD: Duration = Duration::from_secs(1);

/// Between two looks for keys, signals and answers.
const PAUSE: Duration = Duration::from_millis(50);

/// Show searches, jobs and devices on one screen that keeps itself up to date; q or Ctrl-C ends it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ask: Ask,
}

type Answer = Result<Status, ClientError>;

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let client = args.ask.client();
    let interrupt = Interrupt::watch()?;
    // Where no daemon answers at first, that is a mistake to tell; later it may be one that starts again.
    let first: Status = client.get("/v1/status", &[])?;
    let answers = ask_again_and_again(client);
    if out.is_terminal() && !args.ask.json {
        on_screen(first, &answers, interrupt, out)
    } else {
        in_lines(&first, &answers, interrupt, args.ask.json, out)
    }
}

/// Asks in a thread of its own, so that a daemon that is slow to answer does not keep anybody from leaving.
fn ask_again_and_again(client: Client) -> Receiver<Answer> {
    let (sender, answers) = sync_channel(1);
    // It ends with the program, or when nobody takes its answers any more.
    std::thread::spawn(move || {
        loop {
            let next = Instant::now() + PERIOD;
            if sender.send(client.get("/v1/status", &[])).is_err() {
                return;
            }
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    answers
}

fn on_screen(first: Status, answers: &Receiver<Answer>, mut interrupt: Interrupt, out: &mut Out) -> VerbResult {
    let mut screen = Screen::take()?;
    let (mut status, mut message) = (first, None);
    let mut due = true;
    loop {
        if due {
            let (width, height) = screen.size();
            screen.draw(&screen::lines(&status, message.as_deref(), width, height), out)?;
        }
        due = match answers.try_recv() {
            Ok(Ok(new)) => {
                (status, message) = (new, None);
                true
            }
            Ok(Err(why)) => {
                message = Some(format!("{why}; asking again, what follows is from before"));
                true
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
        };
        match screen.wait(PAUSE)? {
            Deed::End => return Ok(Exit::Done),
            Deed::Redraw => due = true,
            Deed::Nothing => {}
        }
        if interrupt.asked() || out.is_closed() {
            return Ok(Exit::Done);
        }
    }
}

/// For files, pipes and programs: the whole status at each answer, as text or as a line of JSON.
fn in_lines(first: &Status, answers: &Receiver<Answer>, mut interrupt: Interrupt, json: bool, out: &mut Out) -> VerbResult {
    let mut show = |status: &Status| {
        if json {
            let line = serde_json::to_string(status).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
            out.raw(&format!("{line}\n"))?;
        } else {
            status::show(status, out)?;
            out.line("")?;
        }
        out.flush()?;
        Ok::<bool, Failure>(out.is_closed())
    };
    let mut closed = show(first)?;
    let mut away = false;
    while !closed && !interrupt.asked() {
        match answers.recv_timeout(PAUSE) {
            Ok(Ok(status)) => {
                away = false;
                closed = show(&status)?;
            }
            Ok(Err(why)) if !std::mem::replace(&mut away, true) => note(format!("{why}; asking again")),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Ok(Exit::Done)
}
