//! `jobs.tsv`: one row a job, every option against every result.

use super::collect::{Fold, TabulatedJob, mean};
use super::option_cells::{ARCHITECTURE_COLUMNS, COLUMNS};
use super::tsv_cells::Cells;
use crate::domain::data::metrics::Metrics;
use crate::domain::words::Selection;

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
    line(|line| names.iter().for_each(|name| line.push(name)))
}

/// The job's row under [`header`] of the same folds, which are ascending.
pub fn row(name: &str, job: &TabulatedJob, folds: &[u32]) -> String {
    let standing = &job.standing;
    let (class, reason) = standing.failure.as_ref().map_or(("", ""), |(class, reason)| (class.as_str(), reason));
    let index = standing.index.map(|index| index.to_string()).unwrap_or_default();
    let attempts = standing.state.map(|_| standing.attempts.to_string()).unwrap_or_default();
    let state = standing.state.unwrap_or_default();
    // A reason is one harmless line here, whatever a library put into its message.
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line(|line| {
        [name, &index, state, class, &reason, &attempts].into_iter().chain(&job.options.cells).for_each(|cell| line.push(cell));
        for &selection in Selection::ALL {
            push_means(line, job, selection);
            let mut at_hand = job.folds.iter().peekable();
            for &index in folds {
                push_fold(line, at_hand.next_if(|fold| fold.index == index), selection);
            }
        }
    })
}

/// The row of the cells that `fill` pushes; no line feed.
fn line(fill: impl FnOnce(&mut Cells)) -> String {
    let mut row = Cells::new();
    fill(&mut row);
    row.end_row();
    let mut line = row.into_text();
    line.pop();
    line
}

fn push_means(line: &mut Cells, job: &TabulatedJob, selection: Selection) {
    line.push(&job.found(selection).to_string());
    let metrics: Vec<[f64; 6]> =
        job.folds.iter().filter_map(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.values()).collect();
    for figure in 0..Metrics::COLUMNS.len() {
        line.push_number(mean(metrics.iter().map(|values| values[figure])));
    }
    line.push_number(mean(job.folds.iter().filter_map(|fold| loss(fold, selection))));
}

fn push_fold(line: &mut Cells, fold: Option<&Fold>, selection: Selection) {
    let metrics = fold.and_then(|fold| fold.metrics[selection as usize]).map(|metrics| metrics.values());
    for figure in 0..Metrics::COLUMNS.len() {
        line.push_number(metrics.map(|values| values[figure]));
    }
    line.push_number(fold.and_then(|fold| loss(fold, selection)));
    let epochs = fold.map_or(&[][..], |fold| &fold.best[selection as usize]).iter().map(|best| best.epoch.to_string());
    line.push(&epochs.collect::<Vec<_>>().join(" "));
}

/// The validation loss of the fold's best model; several networks have several, which no single figure stands for.
pub(super) fn loss(fold: &Fold, selection: Selection) -> Option<f64> {
    match fold.best[selection as usize].as_slice() {
        [one] => Some(one.loss),
        _ => None,
    }
}
