//! A job's share of each table.

use super::collect::TabulatedJob;
use super::jobs_table;
use super::ranking::Ranked;
use super::threshold_table::PassedCounts;
use crate::domain::words::{NetworkType, Selection};
use crate::store::fs::file_stamp::Fingerprint;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What stands in the tables of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCells {
    /// By selection.
    pub counts: [PassedCounts; 2],
    /// Its line of `jobs.tsv`.
    pub line: Box<str>,
}

/// A job's share of each table.
pub struct JobRow {
    pub cells: JobCells,
    /// The folds that were looked at.
    pub folds: Box<[u32]>,
    /// None without a result, and of a job that was not read.
    pub ranked: Option<Arc<Ranked>>,
    /// Of the files that it was made from, as they were before they were read, or None if it may change without them.
    pub made_of: Option<Fingerprint>,
}

impl JobRow {
    /// The row of a job under columns for these folds, ascending.
    pub fn of(name: &str, job: &TabulatedJob, columns: &[u32]) -> Self {
        let cells = JobCells {
            counts: [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|selection| PassedCounts::of(job, selection)),
            line: jobs_table::row(name, job, columns).into_boxed_str(),
        };
        let folds = job.folds.iter().map(|fold| fold.index).collect();
        JobRow { cells, folds, ranked: Ranked::of(name, job).map(Arc::new), made_of: None }
    }

    /// The row of a job that was not read, since these are its cells for as long as its files are the same.
    pub fn known(cells: JobCells, folds: &[u32], made_of: Fingerprint) -> Self {
        JobRow { cells, folds: folds.into(), ranked: None, made_of: Some(made_of) }
    }

    /// Figures that stayed as they were keep what was written of them.
    pub fn after(self, old: Option<&JobRow>) -> Self {
        let kept = old.filter(|old| old.ranked == self.ranked).and_then(|old| old.ranked.clone());
        JobRow { ranked: kept.or(self.ranked), ..self }
    }
}

/// Whether the job's row depends on nothing but the files that a fingerprint is made of: not on a process that may have died, nor
/// on the many files that tell whether an autoencoder's fold is finished.
pub fn depends_on_its_files_alone(job: &TabulatedJob) -> bool {
    job.standing.lasting && job.options.network_type != NetworkType::Autoencoder
}
