//! What tells whether a checkpoint belongs to this job as it is now: its options, its rows, its place, and how it computes.

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
    /// Which of the job's checkpoints it is. Older ones do not say, and are believed by their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<CheckpointPlace>,
    /// Threads on the CPU, on which the last bits of every sum depend.
    pub threads: usize,
    /// Older checkpoints say nothing, and mean the default.
    #[serde(default)]
    pub precision: Precision,
}

/// Which checkpoint of a job it is, as its folder and its number say too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointPlace {
    pub fold: u32,
    /// 0 where a fold has only one network.
    pub network: usize,
    /// The last one that it has trained.
    pub epoch: u32,
}

impl CheckpointStamp {
    /// Why a checkpoint with this stamp is not the one of a job that `own` describes, or None if it is. Threads and precision can
    /// be taken over.
    pub fn strange_to(&self, own: &CheckpointStamp) -> Option<String> {
        if self.options != own.options {
            return Some("it is of other options".to_string());
        }
        if self.rows != own.rows {
            return Some("the label files name other images or classes now, or in another order".to_string());
        }
        let strange = self.place.filter(|place| own.place.is_some_and(|own| own != *place));
        strange.map(|CheckpointPlace { fold, network, epoch }| {
            format!("it was made after epoch {epoch} of network {network} in fold {fold}")
        })
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
    fn a_stamp_is_strange_for_its_options_its_rows_or_its_place_and_never_for_its_threads() {
        let place = CheckpointPlace { fold: 1, network: 2, epoch: 3 };
        let (options, rows) = ("o".to_string(), "r".to_string());
        let own = CheckpointStamp { options, rows, place: Some(place), threads: 2, precision: Precision::default() };
        let other = |change: fn(&mut CheckpointStamp)| {
            let mut stamp = own.clone();
            change(&mut stamp);
            stamp.strange_to(&own)
        };
        assert_eq!(other(|stamp| stamp.threads = 7), None);
        assert!(other(|stamp| stamp.options.clear()).is_some_and(|why| why.contains("options")));
        assert!(other(|stamp| stamp.rows.clear()).is_some_and(|why| why.contains("label files")));
        assert_eq!(other(|stamp| stamp.place = None), None, "an older checkpoint has no place");
        let elsewhere: [fn(&mut CheckpointPlace); 3] =
            [|place| place.fold = 0, |place| place.network = 0, |place| place.epoch = 0];
        for change in elsewhere {
            let mut stamp = own.clone();
            stamp.place.iter_mut().for_each(change);
            assert!(stamp.strange_to(&own).is_some_and(|why| why.contains("it was made after epoch")), "{stamp:?}");
        }
    }
}
