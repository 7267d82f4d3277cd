//! `neurosearch best`: a search's jobs, best first.

use super::ask::{Ask, absolute};
use super::exit::{Exit, Outcome};
use super::out::Out;
use super::render::{self, flat};
use crate::control::types::{Best, BestJob};
use std::path::PathBuf;

/// Show the jobs of a search, best first: balanced accuracy on the validation images
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    launch_dir: PathBuf,
    /// How many
    #[arg(short = 'n', long = "number", default_value_t = 10, value_name = "N")]
    number: usize,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let launch = absolute(&args.launch_dir)?;
    let answer: Best = args.ask.client().get("/v1/best", &[("launch", &launch)])?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    if answer.jobs.is_empty() {
        out.line("no job has a result yet")?;
        return Ok(Exit::Done);
    }
    let mut rows = render::table(&["JOB", "STATE", "BEST_BALANCED_ACCURACY", "BY FOLD", "BEST_LOSS", "BY FOLD"], out.width());
    for job in answer.jobs.iter().take(args.number) {
        rows.add_row([
            flat(&job.job),
            flat(&job.state),
            figure(job.best_balanced_accuracy),
            by_fold(job, |fold| fold.best_balanced_accuracy),
            figure(job.best_loss),
            by_fold(job, |fold| fold.best_loss),
        ]);
    }
    render::print(&rows, out)?;
    Ok(Exit::Done)
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.4}"))
}

fn by_fold(job: &BestJob, of: impl Fn(&crate::control::types::BestFold) -> Option<f64>) -> String {
    let folds: Vec<String> = job.folds.iter().map(|fold| figure(of(fold))).collect();
    folds.join(" ")
}
