//! `neurosearch jobs`: the jobs of one search.

use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::output::render::{self, flat};
use crate::control::reply::{Job, Jobs};
use std::path::PathBuf;

/// Show the jobs of a search
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    launch_dir: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let launch = args.ask.place(&args.launch_dir)?;
    let answer: Jobs = args.ask.client().get("/v1/jobs", &[("launch", &launch)])?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    if answer.jobs.is_empty() {
        out.line("no job yet")?;
        return Ok(Exit::Done);
    }
    let mut rows = render::table(&["JOB", "STATE", "DEVICE", "ATTEMPTS", "DONE", "NOTE"], out.width());
    for job in &answer.jobs {
        rows.add_row([
            flat(&job.name),
            flat(&job.state),
            flat(job.device.as_deref().unwrap_or_default()),
            job.attempts.to_string(),
            job.progress.as_ref().map(|progress| format!("{:.0} %", 100.0 * progress.fraction())).unwrap_or_default(),
            flat(&note(job)),
        ]);
    }
    render::print(&rows, out)?;
    Ok(Exit::Done)
}

/// Why it failed, if it did.
fn note(job: &Job) -> String {
    match (&job.class, &job.sentence) {
        (Some(class), Some(sentence)) => format!("{class}: {sentence}"),
        _ => String::new(),
    }
}
