//! `progress.json`: replaced by the trainer at most once a second, read by whoever shows it.

use super::layout::JobDir;
use super::record::{self, Record};
use crate::domain::progress::Progress;
use crate::store::fs::error::StoreError;

impl Record for Progress {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

/// The last report of the job's trainer; none before its first.
pub fn read(job: &JobDir) -> Result<Option<Progress>, StoreError> {
    record::read_optional(&job.progress())
}

/// How many checkpoints the job has made over all attempts, by that report; 0 without one that can be read.
pub fn checkpoints(job: &JobDir) -> u64 {
    read(job).ok().flatten().map_or(0, |progress| progress.checkpoints)
}

pub fn write(job: &JobDir, progress: &Progress) -> Result<(), StoreError> {
    record::write(&job.progress(), progress)
}
