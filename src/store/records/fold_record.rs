//! What a finished fold's results were when they were finished, by which another's in their place are told.

use super::finished_folds;
use super::layout::FoldDir;
use super::record::{self, Record};
use crate::domain::options::JobOptions;
use crate::store::fs::error::StoreError;
use crate::store::fs::open;
use crate::store::fs::owned_path::Below;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// `fold-i.json`; written by the trainer once the fold has its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FoldRecord {
    version: u32,
    fold: u32,
    /// By the file's path below the fold's folder.
    files: BTreeMap<PathBuf, FileSum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FileSum {
    bytes: u64,
    crc32c: u32,
}

impl Record for FoldRecord {
    const NEWEST: u32 = 1;

    fn version(&self) -> u32 {
        self.version
    }
}

/// Records the tables and models that the finished fold has now.
///
/// # Errors
/// Names the file that cannot be read, or the record.
pub fn write(fold: &FoldDir, options: &JobOptions) -> Result<(), StoreError> {
    let mut files = BTreeMap::new();
    for file in finished_folds::results(fold, options) {
        files.insert(below(fold, &file), sum(&file)?);
    }
    record::write(&fold.record(), &FoldRecord { version: FoldRecord::NEWEST, fold: fold.index(), files })
}

/// Whether there is a record.
///
/// # Errors
/// Names the record that cannot be read.
pub fn is_there(fold: &FoldDir) -> Result<bool, StoreError> {
    record::read_optional::<FoldRecord>(&fold.record()).map(|record| record.is_some())
}

/// The first file of the finished fold that is not as it was recorded; none too where there is no record, as in a fold that an
/// earlier version finished.
///
/// # Errors
/// Names the file or the record that cannot be read.
pub fn changed(fold: &FoldDir, options: &JobOptions) -> Result<Option<PathBuf>, StoreError> {
    let Some(record) = record::read_optional::<FoldRecord>(&fold.record())? else { return Ok(None) };
    let results = finished_folds::results(fold, options);
    if record.fold != fold.index() || record.files.len() != results.len() {
        return Ok(Some(fold.record().into()));
    }
    for file in results {
        if record.files.get(&below(fold, &file)) != Some(&sum(&file)?) {
            return Ok(Some(file.into()));
        }
    }
    Ok(None)
}

fn below(fold: &FoldDir, file: &Below) -> PathBuf {
    file.strip_prefix(fold.path()).unwrap_or(file).to_path_buf()
}

/// Length and CRC-32C, read piece by piece: a model may be large.
fn sum(place: &Below) -> Result<FileSum, StoreError> {
    let mut file = open::read(place)?;
    let mut piece = vec![0; 1 << 20];
    let mut sum = FileSum { bytes: 0, crc32c: 0 };
    loop {
        let read = file.read(&mut piece).map_err(|e| StoreError::io("read", place, e))?;
        if read == 0 {
            return Ok(sum);
        }
        sum = FileSum { bytes: sum.bytes + read as u64, crc32c: crc32c::crc32c_append(sum.crc32c, &piece[..read]) };
    }
}
