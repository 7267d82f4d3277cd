//! `jobs.tsv`: one row a job, every option against every result.

use super::collect::{Fold, Job, mean};
use super::option_cells::{ARCHITECTURE_COLUMNS, COLUMNS};
use super::tsv_cells::joined;
use crate::domain::data::metrics::Metrics;
use crate::domain::words::Selection;
use crate::store::formats::tsv::push_repr;
use std::fmt::Write;

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
    for &selection in Selection::ALL {
        push_means(&mut line, job, selection);
        let mut at_hand = job.folds.iter().peekable();
        for &index in folds {
            push_fold(&mut line, at_hand.next_if(|fold| fold.index == index), selection);
        }
    }
    line
}

fn push_means(line: &mut String, job: &Job, selection: Selection) {
    // Writing to a string cannot fail.
    let _ = write!(line, "\t{}", job.found(selection));
    let metrics: Vec<[f64; 6]> =
        job.folds.iter().filter_map(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.values()).collect();
    for figure in 0..Metrics::COLUMNS.len() {
        push_number(line, mean(metrics.iter().map(|values| values[figure])));
    }
    push_number(line, mean(job.folds.iter().filter_map(|fold| loss(fold, selection))));
}

fn push_fold(line: &mut String, fold: Option<&Fold>, selection: Selection) {
    let metrics = fold.and_then(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.values());
    for figure in 0..Metrics::COLUMNS.len() {
        push_number(line, metrics.map(|values| values[figure]));
    }
    push_number(line, fold.and_then(|fold| loss(fold, selection)));
    let epochs = fold.map_or(&[][..], |fold| &fold.best[selection as usize]).iter().map(|best| best.epoch);
    line.push('\t');
    for (position, epoch) in epochs.enumerate() {
        let space = if position == 0 { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(line, "{space}{epoch}");
    }
}

/// The validation loss of the fold's best model; several networks have several, which no single figure stands for.
pub(super) fn loss(fold: &Fold, selection: Selection) -> Option<f64> {
    match fold.best[selection as usize].as_slice() {
        [one] => Some(one.loss),
        _ => None,
    }
}

/// A cell of its own, which needs no quotes; empty without a value.
fn push_number(line: &mut String, value: Option<f64>) {
    line.push('\t');
    if let Some(value) = value {
        push_repr(line, value);
    }
}
