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
    match record::read(&job.progress()) {
        Ok(progress) => Ok(Some(progress)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

pub fn write(job: &JobDir, progress: &Progress) -> Result<(), StoreError> {
    record::write(&job.progress(), progress)
}
