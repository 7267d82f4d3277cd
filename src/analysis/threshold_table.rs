//! One job's row of an analysis table, and the table: thresholds, sums, and the text that pandas reads with `index_col=0`.

use super::collect::TabulatedJob;
use super::tsv_cells::Cells;
use crate::domain::words::Selection;
use serde::{Deserialize, Serialize};

/// Percentages that a mean balanced accuracy may pass.
const THRESHOLDS: [u32; 10] = [50, 55, 60, 65, 70, 75, 80, 85, 90, 95];
/// `run`, the thresholds, `folds`.
const COLUMNS: usize = THRESHOLDS.len() + 2;
/// A mean that is no farther above a threshold than this is the threshold itself, seen through rounding.
const EQUAL: f64 = 1e-9;

/// The numbers of a row, which a sum adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PassedCounts([u32; COLUMNS]);

impl PassedCounts {
    /// What a job counts for: `run`, the thresholds that its mean passes, the folds found.
    pub fn of(job: &TabulatedJob, selection: Selection) -> PassedCounts {
        let found = job.found(selection);
        let mut counts = [0; COLUMNS];
        counts[0] = u32::from(found > 0);
        if let Some(mean) = job.mean_balanced_accuracy(selection) {
            for (count, &percent) in counts[1..].iter_mut().zip(&THRESHOLDS) {
                *count = u32::from(passes(mean, percent));
            }
        }
        counts[COLUMNS - 1] = found;
        PassedCounts(counts)
    }

    pub fn add(&mut self, other: &PassedCounts) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }
}

fn passes(mean: f64, percent: u32) -> bool {
    mean - f64::from(percent) / 100.0 > EQUAL
}

/// Adds the header: an empty cell above the names, then the columns.
pub fn push_header(table: &mut Cells) {
    table.push("");
    table.push("run");
    for percent in THRESHOLDS {
        let digits = format!("{percent:02}");
        table.push(&format!(">0.{}", digits.strip_suffix('0').unwrap_or(&digits)));
    }
    table.push("folds");
    table.end_row();
}

/// Adds a row.
pub fn push_row(table: &mut Cells, name: &str, counts: &PassedCounts) {
    table.push(name);
    for count in counts.0 {
        table.push(&count.to_string());
    }
    table.end_row();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_references() {
        let mut table = Cells::new();
        push_header(&mut table);
        assert_eq!(table.into_text(), "\trun\t>0.5\t>0.55\t>0.6\t>0.65\t>0.7\t>0.75\t>0.8\t>0.85\t>0.9\t>0.95\tfolds\n");
    }

    #[test]
    fn a_mean_at_a_threshold_is_not_greater_however_it_was_rounded() {
        assert!(!passes(0.6, 60));
        assert!(!passes((0.5 + 0.7) / 2.0, 60));
        assert!(!passes((0.55 + 0.65 + 0.6) / 3.0, 60));
        assert!(!passes(0.6 + 1e-10, 60));
        assert!(passes(0.6 + 1e-8, 60));
        assert!(passes(0.6 + 1.0 / 1e6, 60));
        assert!(!passes(0.0, 50));
    }
}
