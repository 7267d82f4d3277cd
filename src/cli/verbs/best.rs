//! `neurosearch best`: a search's jobs, best first.

use crate::cli::args::whole;
use crate::cli::daemon_request::Ask;
use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::output::render::{self, flat};
use crate::control::reply::{Best, BestFold, BestJob};
use std::path::PathBuf;

/// Show the jobs of a search, best first: by balanced accuracy on the validation images, autoencoders by their loss
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    launch_dir: PathBuf,
    /// How many of each kind are shown
    #[arg(short = 'n', long = "number", default_value_t = 10, value_name = "N", value_parser = whole::<usize>)]
    number: usize,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let launch = args.ask.place(&args.launch_dir)?;
    // The whole answer for programs, and for people what is shown.
    let most = args.number.to_string();
    let query: &[(&str, &str)] = &[("launch", &launch), ("most", &most)];
    let answer: Best = args.ask.client().get("/v1/best", if args.ask.json { &query[..1] } else { query })?;
    if args.ask.json {
        return render::json(&answer, out);
    }
    if answer.ranked == 0 {
        out.line("no job has a result yet")?;
        return Ok(Exit::Done);
    }
    if !answer.jobs.is_empty() {
        out.sentence(
            "balanced accuracy on the validation images, mean over the folds and each fold's own: of the models with the best \
             accuracy, and of those with the best loss",
            0,
        )?;
        let mut rows = render::table(&["JOB", "STATE", "BEST ACCURACY", "BY FOLD", "BEST LOSS", "BY FOLD"], out.width());
        for job in &answer.jobs {
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
    }
    if !answer.autoencoders.is_empty() {
        out.sentence("autoencoders, by the loss on the validation images, mean over the folds and each fold's own", 0)?;
        let mut rows = render::table(&["JOB", "STATE", "LOSS", "BY FOLD"], out.width());
        for job in &answer.autoencoders {
            rows.add_row([flat(&job.job), flat(&job.state), figure(job.loss), by_fold(job, |fold| fold.loss)]);
        }
        render::print(&rows, out)?;
    }
    let shown = (answer.jobs.len() + answer.autoencoders.len()) as u64;
    if answer.ranked > shown {
        out.line(format!("and {} more with a result; `-n {}` shows all", answer.ranked - shown, answer.ranked))?;
    }
    Ok(Exit::Done)
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| render::figure(value, 4))
}

/// One job's means, in words.
pub(crate) fn sentence(job: &BestJob) -> String {
    let folds = match job.folds.len() {
        1 => String::new(),
        several => format!(", mean of {several} folds"),
    };
    match (job.best_balanced_accuracy, job.best_loss) {
        (None, None) => format!("loss {} on the validation images{folds}", figure(job.loss)),
        (accuracy, loss) => format!(
            "balanced accuracy {} on the validation images{folds} (best_balanced_accuracy; best_loss: {})",
            figure(accuracy),
            figure(loss)
        ),
    }
}

/// As `0:0.7500 1:0.6250`: short, so that few lines break, and none between a fold and its figure.
fn by_fold(job: &BestJob, of: impl Fn(&BestFold) -> Option<f64>) -> String {
    let folds: Vec<String> = job.folds.iter().map(|fold| format!("{}:{}", fold.fold, figure(of(fold)))).collect();
    folds.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_never_breaks_between_a_fold_and_its_figure() {
        let fold = |fold| BestFold { fold, best_loss: None, best_balanced_accuracy: Some(1.0), loss: None };
        let job = BestJob {
            job: "job-0".into(),
            state: "done".into(),
            best_loss: None,
            best_balanced_accuracy: Some(1.0),
            loss: None,
            folds: (0..5).map(fold).collect(),
        };
        for width in [24, 30, 40] {
            let mut rows = render::table(&["JOB", "BY FOLD"], Some(width));
            rows.add_row([flat(&job.job), by_fold(&job, |fold| fold.best_balanced_accuracy)]);
            let text: String = rows.lines().skip(1).collect::<Vec<_>>().join(" ");
            let seen: Vec<&str> = text.split_whitespace().filter(|word| *word != "job-0").collect();
            assert_eq!(seen, ["0:1.0000", "1:1.0000", "2:1.0000", "3:1.0000", "4:1.0000"], "{width}: {text}");
        }
    }
}
