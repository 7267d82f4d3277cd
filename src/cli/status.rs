//! `neurosearch status`: the daemon's searches, running jobs, devices and alarms.

use super::args::Socket;
use super::exit::{Exit, Failure, Outcome};
use super::out::{Out, Tone};
use crate::control::client::{Client, ClientError};
use crate::control::types::{Device, Running, Search, SearchState, Status};
use crate::domain::progress::Progress;
use comfy_table::{ContentArrangement, Table, presets};

/// Show the daemon's searches, running jobs, devices and alarms
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: Socket,
    /// The daemon's own answer, as JSON
    #[arg(long)]
    json: bool,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::NoDaemon { .. } | ClientError::TooSlow { .. } => Exit::NoDaemon,
            ClientError::Refused(_) => Exit::Refused,
            ClientError::Garbled { .. } => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    }
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let status: Status = Client::new(&args.socket.socket).get("/v1/status", &[])?;
    if args.json {
        let text = serde_json::to_string_pretty(&status).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
        out.raw(&text)?;
        out.raw("\n")?;
        return Ok(Exit::Done);
    }
    show(&status, out)?;
    Ok(Exit::Done)
}

fn show(status: &Status, out: &mut Out) -> Result<(), Failure> {
    let daemon = &status.daemon;
    out.line(format!("{} on {}, process {}, up {}", daemon.program, daemon.host, daemon.pid, since(daemon.started_at)))?;
    for alarm in &status.alarms {
        say(out, Tone::Bad, "alarm", alarm)?;
    }
    if status.searches.is_empty() {
        out.line("no search yet: put a random_search.json into a watched directory, or into one directly below it")?;
    } else {
        searches(&status.searches, out)?;
    }
    let running: Vec<(&Search, &Running)> = status.searches.iter().flat_map(|s| s.running.iter().map(move |r| (s, r))).collect();
    if !running.is_empty() {
        jobs(&running, out)?;
    }
    devices(&status.devices, out)
}

fn table(head: &[&str], out: &Out) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    if let Some(width) = out.width() {
        table.set_width(width);
    }
    table
}

/// A table's cells hold nothing that could steer the terminal: [`Out::line`] escapes what is left.
fn print(table: &Table, out: &mut Out) -> Result<(), Failure> {
    out.line("")?;
    for line in table.lines() {
        out.line(line.trim_end())?;
    }
    Ok(())
}

fn searches(searches: &[Search], out: &mut Out) -> Result<(), Failure> {
    let mut rows = table(&["SEARCH", "STATE", "DONE", "RUNNING", "QUEUED", "PAUSED", "FAILED", "TO DRAW"], out);
    for search in searches {
        let counts = &search.counts;
        rows.add_row([
            flat(&search.launch),
            word(search.state).to_string(),
            counts.done.to_string(),
            counts.running.to_string(),
            counts.queued.to_string(),
            counts.paused.to_string(),
            (counts.failed + counts.cancelled).to_string(),
            counts.undrawn.to_string(),
        ]);
    }
    print(&rows, out)?;
    for search in searches {
        for fault in &search.faults {
            say(out, Tone::Bad, "fault", fault)?;
        }
        for alarm in &search.alarms {
            say(out, Tone::Warning, "alarm", &format!("{}: {alarm}", search.launch))?;
        }
    }
    Ok(())
}

fn jobs(running: &[(&Search, &Running)], out: &mut Out) -> Result<(), Failure> {
    let mut rows = table(&["RUNNING", "DEVICE", "FOR", "FOLD", "EPOCH", "LOSS", "ACCURACY", "DONE"], out);
    for (search, job) in running {
        let of = |show: &dyn Fn(&Progress) -> String| job.progress.as_ref().map_or_else(|| "-".to_string(), show);
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_string(), |value| format!("{value:.3}"));
        rows.add_row([
            flat(&format!("{}/{}", search.launch, job.job)),
            flat(&job.device),
            since(job.since),
            of(&|p| format!("{}, {} of {} done", p.fold, p.folds_done, p.folds)),
            of(&|p| format!("{}/{}", p.epoch + 1, p.epochs)),
            of(&|p| number(p.loss_valid)),
            of(&|p| number(p.balanced_accuracy_valid)),
            of(&|p| format!("{:.0} %", 100.0 * p.fraction())),
        ]);
    }
    print(&rows, out)
}

fn devices(devices: &[Device], out: &mut Out) -> Result<(), Failure> {
    let mut rows = table(&["DEVICE", "NAME", "SLOTS", "BUSY", "MEMORY", "USE", "NOTE"], out);
    for device in devices {
        let memory = device.memory_total.zip(device.memory_free).map(|(total, free)| {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            format!("{:.1} of {:.1} GiB free", gib(free), gib(total))
        });
        rows.add_row([
            flat(&device.id),
            flat(&device.name),
            device.slots.to_string(),
            device.busy.to_string(),
            memory.unwrap_or_default(),
            device.utilization.map(|percent| format!("{percent} %")).unwrap_or_default(),
            flat(device.out_of_use.as_deref().unwrap_or_default()),
        ]);
    }
    print(&rows, out)
}

fn say(out: &mut Out, tone: Tone, kind: &str, text: &str) -> Result<(), Failure> {
    let line = format!("{} {}\n", out.paint(tone, &format!("{kind}:")), out.paint(tone, &flat(text)));
    out.raw(&line)
}

/// Text for one cell or line: whatever breaks a line is shown, not obeyed.
fn flat(text: &str) -> String {
    text.replace('\n', "\\n").replace('\t', "\\t")
}

const fn word(state: SearchState) -> &'static str {
    match state {
        SearchState::Settling => "settling",
        SearchState::Refused => "refused",
        SearchState::Active => "active",
        SearchState::Paused => "paused",
        SearchState::Held => "held",
        SearchState::Finished => "finished",
    }
}

/// The time since then, in its two largest units.
fn since(at: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    lasting(now.saturating_sub(at))
}

fn lasting(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_units() {
        let said = [0, 59, 60, 3599, 3600, 90_000].map(lasting);
        assert_eq!(said, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h"]);
    }
}
