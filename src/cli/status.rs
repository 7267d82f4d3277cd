//! `neurosearch status`: the daemon's searches, running jobs, devices and alarms.

use super::args::Socket;
use super::exit::{Exit, Failure, Outcome};
use super::out::{Out, Tone};
use super::render::{self, flat, print, say, since, table};
use crate::control::client::Client;
use crate::control::types::{Device, Running, Search, SearchState, Status};
use crate::domain::progress::Progress;

/// Show the daemon's searches, running jobs, devices and alarms
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: Socket,
    /// The daemon's own answer, as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let status: Status = Client::new(&args.socket.socket).get("/v1/status", &[])?;
    if args.json {
        return render::json(&status, out);
    }
    show(&status, out)?;
    Ok(Exit::Done)
}

/// The whole answer, for people.
pub(super) fn show(status: &Status, out: &mut Out) -> Result<(), Failure> {
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

/// A table of devices.
pub(super) fn devices(devices: &[Device], out: &mut Out) -> Result<(), Failure> {
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
