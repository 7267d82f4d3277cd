//! The jobs of a search that have a result, best first.

use super::collect::{Fold, TabulatedJob, mean};
use super::jobs_table::loss;
use crate::domain::words::Selection;
use serde_json::value::RawValue;
use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

/// One job's figures on the validation images; by selection, `best_loss` first. None if there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    pub job: String,
    /// Empty where nobody recorded it.
    pub state: &'static str,
    /// Balanced accuracy, over the folds found.
    pub accuracy: [Option<f64>; 2],
    /// Of the models kept for their loss, over the folds found.
    pub loss: Option<f64>,
    /// Those found, ascending.
    pub folds: Vec<RankedFold>,
    pub text: Text,
}

/// What an answer says of the figures beside it, written once, by whoever needs it first: numbers take longer to write than
/// anything else in a long ranking. Equal to any other, as it says nothing of its own.
#[derive(Debug, Clone, Default)]
pub struct Text(pub OnceLock<Box<RawValue>>);

impl PartialEq for Text {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The same of one fold.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedFold {
    pub index: u32,
    pub accuracy: [Option<f64>; 2],
    pub loss: Option<f64>,
}

/// Both kinds of jobs, each best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ranking {
    /// Networks that classify: by the balanced accuracy of the models kept for it, then of those kept for their loss.
    pub by_accuracy: Vec<Arc<Ranked>>,
    /// Autoencoders: the lowest loss first.
    pub by_loss: Vec<Arc<Ranked>>,
}

impl Ranked {
    /// None if no fold has a result.
    pub(super) fn of(name: &str, job: &TabulatedJob) -> Option<Self> {
        let found = |fold: &&Fold| fold.reconstructed || fold.metrics.iter().any(Option::is_some);
        let fold = |fold: &Fold| RankedFold {
            index: fold.index,
            accuracy: fold.metrics.map(|metrics| metrics.map(|metrics| metrics.balanced_accuracy)),
            loss: loss(fold, Selection::BestLoss).filter(|loss| loss.is_finite()),
        };
        let folds: Vec<RankedFold> = job.folds.iter().filter(found).map(fold).collect();
        if folds.is_empty() {
            return None;
        }
        Some(Ranked {
            job: name.to_string(),
            state: job.standing.state.unwrap_or_default(),
            accuracy: [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|s| job.mean_balanced_accuracy(s)),
            loss: mean(folds.iter().filter_map(|fold| fold.loss)),
            folds,
            text: Text::default(),
        })
    }
}

impl Ranking {
    /// Of `jobs` in natural order, in which those that are equal stay.
    pub(super) fn new(jobs: Vec<Arc<Ranked>>) -> Self {
        let (mut by_accuracy, mut by_loss): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.accuracy.iter().any(Option::is_some));
        by_accuracy.sort_by(|a, b| better(a, b));
        by_loss.sort_by(|a, b| lower(a, b));
        Ranking { by_accuracy, by_loss }
    }
}

/// The greater mean first.
fn better(a: &Ranked, b: &Ranked) -> Ordering {
    let figure = |job: &Ranked, selection: Selection| job.accuracy[selection as usize].unwrap_or(-1.0);
    let by = |selection| figure(b, selection).total_cmp(&figure(a, selection));
    by(Selection::BestBalancedAccuracy).then_with(|| by(Selection::BestLoss))
}

/// The lower loss first, those without one last.
fn lower(a: &Ranked, b: &Ranked) -> Ordering {
    let figure = |job: &Ranked| job.loss.unwrap_or(f64::INFINITY);
    figure(a).total_cmp(&figure(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::collect::JobOutcome;
    use crate::analysis::option_cells::Options;
    use crate::domain::data::metrics::Metrics;
    use crate::store::records::results::BestEpoch;

    /// A job of one fold with these figures.
    fn ranked(name: &str, accuracy: [Option<f64>; 2], loss: Option<f64>, reconstructed: bool) -> Option<Arc<Ranked>> {
        let metrics = accuracy.map(|accuracy| {
            accuracy.map(|balanced_accuracy| Metrics {
                balanced_accuracy,
                accuracy: 0.0,
                sensitivity: 0.0,
                specificity: 0.0,
                ppv: 0.0,
                npv: 0.0,
            })
        });
        let best = [loss.map(|loss| BestEpoch { epoch: 3, loss }).into_iter().collect(), Vec::new()];
        let folds = vec![Fold { index: 2, best, metrics, reconstructed }, Fold { index: 3, ..Fold::default() }];
        Ranked::of(name, &TabulatedJob { standing: JobOutcome::default(), options: Options::default(), folds }).map(Arc::new)
    }

    #[test]
    fn jobs_are_ranked_by_the_mean_and_those_without_a_result_are_left_out() {
        let jobs = [
            ranked("job-2", [Some(0.5), Some(0.75)], None, false),
            ranked("job-10", [Some(0.5), Some(0.75)], None, false),
            ranked("job-1", [None, None], Some(0.1), false),
            ranked("job-4", [Some(0.9), None], None, false),
            ranked("job-3", [Some(0.25), Some(1.0)], Some(0.5), false),
        ];
        let ranking = Ranking::new(jobs.into_iter().flatten().collect());
        let names: Vec<&str> = ranking.by_accuracy.iter().map(|job| job.job.as_str()).collect();
        assert_eq!(names, ["job-3", "job-2", "job-10", "job-4"]);
        let fold = RankedFold { index: 2, accuracy: [Some(0.25), Some(1.0)], loss: Some(0.5) };
        assert_eq!(ranking.by_accuracy[0].folds, [fold], "only the folds that are found");
        assert!(ranking.by_loss.is_empty());
    }

    #[test]
    fn autoencoders_are_ranked_apart_by_their_loss() {
        let jobs = [
            ranked("job-0", [None, None], Some(0.2), true),
            ranked("job-1", [None, None], Some(0.1), true),
            ranked("job-2", [None, None], None, true),
            ranked("job-3", [Some(0.5), Some(0.5)], Some(0.3), false),
        ];
        let ranking = Ranking::new(jobs.into_iter().flatten().collect());
        let names: Vec<&str> = ranking.by_loss.iter().map(|job| job.job.as_str()).collect();
        assert_eq!((names, ranking.by_accuracy.len()), (vec!["job-1", "job-0", "job-2"], 1));
    }
}
