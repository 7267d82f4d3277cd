//! `neurosearch status`: the daemon's searches, running jobs, devices and alarms.

use crate::cli::args::SocketArgument;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::listing::{self, Listing};
use crate::cli::output::out::{Out, Tone};
use crate::cli::output::render::{self, clock, lasting, say, since};
use crate::control::client::Client;
use crate::control::reply::{Search, Status};
use crate::store::system::now;

/// Show the daemon's searches, running jobs, devices and alarms
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: SocketArgument,
    /// The daemon's own answer, as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let status: Status = Client::new(args.socket.path()).get("/v1/status", &[])?;
    if args.json {
        return render::json(&status, out);
    }
    show(&status, out)?;
    Ok(Exit::Done)
}

/// The whole answer, for people.
pub(crate) fn show(status: &Status, out: &mut Out) -> Result<(), Failure> {
    out.line(headline(status))?;
    for alarm in &status.alarms {
        say(out, Tone::Bad, "alarm", alarm)?;
    }
    if status.searches.is_empty() {
        out.sentence("no search yet: put a random_search.json into a watched directory, or into one directly below it", 2)?;
    } else {
        let names = listing::names(&status.searches);
        section(listing::searches_by_path(&status.searches, &names, out.width()), out)?;
        for search in &status.searches {
            remarks(search, out)?;
        }
        let mut running = listing::running(status, &names);
        if let Some(width) = out.width() {
            running = running.narrowed(usize::from(width), &listing::DISPENSABLE);
        }
        if !running.rows.is_empty() {
            section(running, out)?;
        }
    }
    section(listing::devices_within(&status.devices, out.width()), out)
}

/// Who answers, and since when.
pub(crate) fn headline(status: &Status) -> String {
    let daemon = &status.daemon;
    format!("{} on {}, process {}, up {}", daemon.program, daemon.host, daemon.pid, since(daemon.started_at))
}

fn section(listing: Listing, out: &mut Out) -> Result<(), Failure> {
    out.line("")?;
    let width = out.width();
    listing.lines(width, false).into_iter().try_for_each(|line| out.line(line))
}

fn remarks(search: &Search, out: &mut Out) -> Result<(), Failure> {
    if let Some(fault) = search.faults.first() {
        say(out, Tone::Bad, "fault", fault)?;
    }
    match search.faults.len() {
        0 | 1 => {}
        many => {
            let more = many - 1;
            let faults = if more == 1 { "fault" } else { "faults" };
            say(
                out,
                Tone::Bad,
                "fault",
                &format!("{}: {more} more {faults}, listed in random_search.error there", search.launch),
            )?;
        }
    }
    for notice in &search.notices {
        say(out, Tone::Quiet, "notice", notice)?;
    }
    for alarm in &search.alarms {
        say(out, Tone::Warning, "alarm", &format!("{}: {alarm}", search.launch))?;
    }
    if let Some(terms) = terms(search) {
        say(out, Tone::Quiet, "terms", &format!("{}: {terms}", search.launch))?;
    }
    Ok(())
}

/// What somebody set, or None if all is as it is by itself.
fn terms(search: &Search) -> Option<String> {
    let mut said = Vec::new();
    if search.priority != 0 {
        said.push(format!("priority {}", search.priority));
    }
    said.extend(search.slots.map(|slots| format!("at most {slots} {}", if slots == 1 { "slot" } else { "slots" })));
    said.extend(search.time_limit.map(|limit| {
        let left = limit.ends.saturating_sub(now());
        let left = if left == 0 { "over".to_string() } else { format!("{} left", lasting(left)) };
        format!("time limit of {} hours for starting jobs, until {} ({left})", limit.hours, clock(limit.ends))
    }));
    (!said.is_empty()).then(|| said.join(", "))
}
