//! `jobs.tsv`: one row a job, every option against every result.

use super::cells::joined;
use super::collect::{Fold, Job, mean};
use super::options::{ARCHITECTURE_COLUMNS, COLUMNS};
use crate::domain::metrics::Metrics;
use crate::domain::options::Selection;
use crate::store::tsv::python_repr;

/// What comes before the options.
const STANDING: [&str; 6] = ["job", "index", "state", "failure", "reason", "attempts"];

/// The header for jobs of these folds: for each selection the means over the folds, then each fold's own figures. No line feed.
pub fn header(folds: &[u32]) -> String {
    let mut names: Vec<String> =
        [&STANDING[..], &COLUMNS, &ARCHITECTURE_COLUMNS].concat().into_iter().map(String::from).collect();
    for selection in Selection::ALL {
        names.push(format!("{selection}_folds"));
        names.extend(Metrics::COLUMNS.iter().map(|figure| format!("{selection}_mean_{figure}")));
        names.push(format!("{selection}_mean_loss"));
        for fold in folds {
            names.extend(Metrics::COLUMNS.iter().map(|figure| format!("{selection}_fold-{fold}_{figure}")));
            names.push(format!("{selection}_fold-{fold}_loss"));
            names.push(format!("{selection}_fold-{fold}_epoch"));
        }
    }
    joined(names.iter().map(String::as_str))
}

/// The job's row under [`header`] of the same folds, which are ascending.
pub fn row(name: &str, job: &Job, folds: &[u32]) -> String {
    let standing = &job.standing;
    let (class, reason) = standing.failure.as_ref().map_or(("", ""), |(class, reason)| (class.as_str(), reason));
    let index = standing.index.map(|index| index.to_string()).unwrap_or_default();
    let attempts = standing.state.map(|_| standing.attempts.to_string()).unwrap_or_default();
    let state = standing.state.unwrap_or_default();
    // A reason is one harmless line here, whatever a library put into its message.
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = joined([name, &index, state, class, &reason, &attempts].into_iter());
    line.push('\t');
    line.push_str(&job.options.cells);
    let mut cells = Vec::with_capacity(Selection::ALL.len() * (folds.len() + 1) * (Metrics::COLUMNS.len() + 2));
    for &selection in Selection::ALL {
        push_means(&mut cells, job, selection);
        let mut at_hand = job.folds.iter().peekable();
        for &index in folds {
            push_fold(&mut cells, at_hand.next_if(|fold| fold.index == index), selection);
        }
    }
    // Figures need no quotes.
    for cell in cells {
        line.push('\t');
        line.push_str(&cell);
    }
    line
}

fn push_means(cells: &mut Vec<String>, job: &Job, selection: Selection) {
    cells.push(job.found(selection).to_string());
    let metrics: Vec<[f64; 6]> =
        job.folds.iter().filter_map(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.values()).collect();
    for figure in 0..Metrics::COLUMNS.len() {
        cells.push(number(mean(metrics.iter().map(|values| values[figure]))));
    }
    cells.push(number(mean(job.folds.iter().filter_map(|fold| loss(fold, selection)))));
}

fn push_fold(cells: &mut Vec<String>, fold: Option<&Fold>, selection: Selection) {
    let metrics = fold.and_then(|fold| fold.metrics[selection as usize]);
    match metrics {
        Some(metrics) => cells.extend(metrics.values().map(python_repr)),
        None => cells.extend(Metrics::COLUMNS.map(|_| String::new())),
    }
    cells.push(number(fold.and_then(|fold| loss(fold, selection))));
    let epochs = fold.map(|fold| fold.best[selection as usize].iter().map(|best| best.epoch.to_string()).collect::<Vec<_>>());
    cells.push(epochs.unwrap_or_default().join(" "));
}

/// The validation loss of the fold's best model; several networks have several, which no single figure stands for.
pub(super) fn loss(fold: &Fold, selection: Selection) -> Option<f64> {
    match fold.best[selection as usize].as_slice() {
        [one] => Some(one.loss),
        _ => None,
    }
}

fn number(value: Option<f64>) -> String {
    value.map(python_repr).unwrap_or_default()
}
