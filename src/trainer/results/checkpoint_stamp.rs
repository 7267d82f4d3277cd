//! What tells whether a checkpoint belongs to this job as it is now: its options, its rows, and how it computes.

use neurosearch::domain::network::precision::Precision;
use neurosearch::domain::options::JobOptions;
use neurosearch::store::data::labels::{FoldLabels, LabelRow};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a checkpoint was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointStamp {
    /// SHA-256 of the options that decide the training, in hexadecimal.
    pub options: String,
    /// SHA-256 of the fold's rows, likewise: the best models' predictions are kept by their places among them. Empty in
    /// version 1 of the checkpoints.
    #[serde(default)]
    pub rows: String,
    /// Threads on the CPU, on which the last bits of every sum depend.
    pub threads: usize,
    /// Older checkpoints say nothing, and mean the default.
    #[serde(default)]
    pub precision: Precision,
}

impl CheckpointStamp {
    /// Why a checkpoint with this stamp is not one of a job with the stamp `own`; none where it is. Threads and precision can be taken over.
    pub fn strange_to(&self, own: &CheckpointStamp) -> Option<&'static str> {
        if self.options != own.options {
            Some("it is of other options")
        } else if self.rows != own.rows {
            Some("the label files name other images or classes now, or in another order")
        } else {
            None
        }
    }
}

/// SHA-256 of the options that decide the results: how many workers load and where it runs do not.
pub fn of_options(options: &JobOptions) -> String {
    let mut value = options.to_json();
    if let Some(entries) = value.as_object_mut() {
        for key in ["nproc", "use_cpu"] {
            entries.shift_remove(key);
        }
    }
    hexadecimal(&Sha256::digest(value.to_string()))
}

/// SHA-256 of both sides of a fold: participant, session and class of every row, in order.
pub fn of_rows(labels: &FoldLabels) -> String {
    let mut sum = Sha256::new();
    for (side, rows) in [("train", &labels.train), ("validation", &labels.validation)] {
        // Names hold neither tab nor line feed, so no two lists give the same text.
        sum.update(format!("{side}\n"));
        for LabelRow { participant, session, class, .. } in rows {
            sum.update(format!("{participant}\t{session}\t{class}\n"));
        }
    }
    hexadecimal(&sum.finalize())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use neurosearch::domain::words::Diagnosis;
    use neurosearch::store::data::labels::Source;
    use std::path::PathBuf;
    use std::sync::Arc;

    fn row(participant: &str, session: &str, diagnosis: Diagnosis) -> LabelRow {
        let source = Source { file: Arc::new(PathBuf::from("AD.tsv")), line: 2 };
        let (participant, session) = (participant.to_string(), session.to_string());
        LabelRow { participant, session, diagnosis, class: diagnosis.class(), source }
    }

    #[test]
    fn other_rows_another_order_another_class_and_the_other_side_make_another_sum() {
        let (a, b) = (row("sub-1", "ses-M00", Diagnosis::Ad), row("sub-2", "ses-M00", Diagnosis::Cn));
        let labels = |train: &[&LabelRow], validation: &[&LabelRow]| {
            let side = |rows: &[&LabelRow]| rows.iter().map(|row| (*row).clone()).collect();
            of_rows(&FoldLabels { train: side(train), validation: side(validation) })
        };
        let c = row("sub-2", "ses-M00", Diagnosis::Ad);
        let sums = [
            labels(&[&a, &b], &[]),
            labels(&[&b, &a], &[]),
            labels(&[&a], &[&b]),
            labels(&[&a], &[]),
            labels(&[&a, &c], &[]),
            labels(&[&a, &row("sub-2", "ses-M06", Diagnosis::Cn)], &[]),
        ];
        for (i, sum) in sums.iter().enumerate() {
            assert_eq!(sum.len(), 64);
            assert!(!sums[..i].contains(sum), "{i}");
        }
        let elsewhere = LabelRow { source: Source { file: Arc::new(PathBuf::from("all.tsv")), line: 9 }, ..a.clone() };
        assert_eq!(labels(&[&elsewhere, &b], &[]), sums[0], "where a row stands is no part of it");
    }

    #[test]
    fn a_stamp_is_strange_for_its_options_or_its_rows_and_never_for_its_threads() {
        let own =
            CheckpointStamp { options: "o".to_string(), rows: "r".to_string(), threads: 2, precision: Precision::default() };
        let other = |change: fn(&mut CheckpointStamp)| {
            let mut stamp = own.clone();
            change(&mut stamp);
            stamp.strange_to(&own)
        };
        assert_eq!(other(|stamp| stamp.threads = 7), None);
        assert!(other(|stamp| stamp.options.clear()).is_some_and(|why| why.contains("options")));
        assert!(other(|stamp| stamp.rows.clear()).is_some_and(|why| why.contains("label files")));
    }
}
