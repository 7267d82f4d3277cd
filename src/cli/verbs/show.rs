//! `neurosearch show`: everything the daemon knows of one job.

use super::best;
use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::output::{progress_view, render};
use crate::control::reply::{Job, OneJob};
use std::path::PathBuf;

/// Show one job
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's folder, or what `neurosearch status` calls it, as first/job-3
    job: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let path = args.ask.place(&args.job)?;
    let answer: OneJob = args.ask.client().get("/v1/job", &[("path", &path)])?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    let job = &answer.job;
    let index = job.index.map_or_else(|| "none, it was not drawn by the search".to_string(), |index| index.to_string());
    let mut lines =
        vec![("job", job.name.clone()), ("search", answer.launch.clone()), ("index", index), ("state", job.state.clone())];
    lines.push(("now", answer.why.clone()));
    lines.extend(answer.waits_for.iter().skip(1).map(|reason| ("besides", reason.clone())));
    lines.extend(answer.needs.iter().map(|needs| ("needs", needs.device.clone())));
    lines.extend(job.device.iter().map(|device| ("device", device.clone())));
    lines.extend(job.since.map(|since| ("since", format!("{} ({})", render::clock(since), render::since(since)))));
    lines.extend(answer.footprint.iter().map(|footprint| ("network", footprint.to_string())));
    lines.extend((answer.redraws > 0).then(|| ("redraws", format!("{}, the draws before did not fit", answer.redraws))));
    lines.push(("attempts", format!("{}, {} failed in a row", job.attempts, job.failures_in_a_row)));
    lines.extend(answer.result.iter().map(|result| ("result", best::sentence(result))));
    lines.extend(last_failure(job));
    lines.extend(job.progress.iter().map(|progress| ("progress", progress_view::sentence(progress))));
    for (name, value) in lines {
        out.sentence(format!("{name:<10}{}", render::flat(&value)), 10)?;
    }
    Ok(Exit::Done)
}

/// How the last attempt that came to nothing did so. A job may have gone on since, and is not called failed then.
fn last_failure(job: &Job) -> Option<(&'static str, String)> {
    let last = job.last_failure.as_ref()?;
    let label = if job.state == "failed" { "failed" } else { "before" };
    Some((label, format!("attempt {} failed ({}): {}", last.attempt, last.class, last.sentence)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{FailureClass, LastFailure};

    #[test]
    fn a_job_that_went_on_after_a_failure_is_not_called_failed() {
        let last = LastFailure { attempt: 2, class: FailureClass::Lost, sentence: "it died while nobody watched".into() };
        for (state, label) in [("done", "before"), ("running", "before"), ("failed", "failed")] {
            let job = Job { state: state.into(), last_failure: Some(last.clone()), ..Job::default() };
            let said = "attempt 2 failed (lost): it died while nobody watched".to_string();
            assert_eq!(last_failure(&job), Some((label, said)), "{state}");
        }
        assert_eq!(last_failure(&Job::default()), None);
    }
}
