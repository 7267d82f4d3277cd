//! What an analysis wrote down for the next one: rows that hold for as long as the files that they were made from are the same.

use super::row::{JobCells, JobRow};
use crate::domain::text::natural_order::Natural;
use crate::store::fs::error::StoreError;
use crate::store::fs::file_stamp::{self, Fingerprint};
use crate::store::fs::open_dir::Folder;
use crate::store::fs::{atomic, open};
use crate::store::records::layout::LaunchDir;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};

/// A job has about a kilobyte.
const LARGEST: u64 = 1 << 28;

/// Cells by the job's name, under columns for these folds.
#[derive(Debug, Default)]
pub struct RowCache {
    folds: Vec<u32>,
    rows: HashMap<String, Noted<Box<RawValue>>>,
}

/// Cells, and the files that they were made from. They are taken apart only where they are used, by whichever thread does that.
type Noted<C> = (Fingerprint, C);

/// The file. It has no version: what another program wrote is of no use, which may have made other cells of the same files.
#[derive(Serialize, Deserialize)]
struct Written<'a, R> {
    program: Fingerprint,
    folds: Cow<'a, [u32]>,
    rows: R,
}

impl RowCache {
    /// What is written down in the launch directory; nothing if that is of no use, for whatever reason.
    pub fn read(launch: &LaunchDir) -> Self {
        let Some(program) = file_stamp::of_this_program() else { return RowCache::default() };
        let bytes = open::bytes(&launch.known(), LARGEST, "larger than what is known of a launch directory").unwrap_or_default();
        match serde_json::from_slice::<Written<HashMap<_, _>>>(&bytes) {
            Ok(written) if written.program == program => RowCache { folds: written.folds.into_owned(), rows: written.rows },
            _ => RowCache::default(),
        }
    }

    /// The cells of a job, where they were made from these very files under columns for `folds`.
    pub fn cells(&self, name: &str, folds: &[u32], made_of: Fingerprint) -> Option<JobCells> {
        let (_, cells) = self.rows.get(name).filter(|(noted, _)| self.folds == folds && *noted == made_of)?;
        serde_json::from_str(cells.get()).ok()
    }

    /// Whether nothing else is known than `rows`, those of them that hold.
    fn is(&self, folds: &[u32], rows: &BTreeMap<Natural, JobRow>) -> bool {
        let same =
            |(name, (made_of, _)): (&str, Noted<&JobCells>)| self.rows.get(name).is_some_and(|(noted, _)| *noted == made_of);
        self.folds == folds && holding(rows).count() == self.rows.len() && holding(rows).all(same)
    }

    /// Writes `rows` down, those of them that hold, unless that is what is known already.
    ///
    /// # Errors
    /// The file cannot be replaced.
    pub fn write(
        &self,
        folder: &Folder,
        launch: &LaunchDir,
        folds: &[u32],
        rows: &BTreeMap<Natural, JobRow>,
    ) -> Result<(), StoreError> {
        let Some(program) = file_stamp::of_this_program().filter(|_| !self.is(folds, rows)) else { return Ok(()) };
        let written = Written { program, folds: Cow::Borrowed(folds), rows: Holding(rows) };
        let fill = |file: &mut File| {
            let mut file = BufWriter::with_capacity(1 << 16, file);
            serde_json::to_writer(&mut file, &written)?;
            file.flush()
        };
        atomic::replace_in(folder, &launch.known(), fill)
    }
}

/// Of the rows that hold for as long as their files are the same, by the job's name.
fn holding(rows: &BTreeMap<Natural, JobRow>) -> impl Iterator<Item = (&str, Noted<&JobCells>)> {
    rows.iter().filter_map(|(name, row)| Some((name.0.as_str(), (row.made_of?, &row.cells))))
}

/// See [`holding`].
struct Holding<'a>(&'a BTreeMap<Natural, JobRow>);

impl Serialize for Holding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(holding(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::collect::{JobOutcome, TabulatedJob};
    use crate::analysis::option_cells::Options;
    use crate::store::fs::file_stamp::Looked;
    use crate::testing::tempdir;
    use std::os::unix::fs::MetadataExt;

    fn made_of(first: bool) -> Fingerprint {
        if first { Looked::default().fingerprint() } else { file_stamp::of_this_program().expect("it lies somewhere") }
    }

    fn rows(jobs: &[(&str, bool)]) -> BTreeMap<Natural, JobRow> {
        let row = |name: &str, first| {
            let job = TabulatedJob { standing: JobOutcome::default(), options: Options::default(), folds: Vec::new() };
            JobRow { made_of: Some(made_of(first)), ..JobRow::of(name, &job, &[0]) }
        };
        jobs.iter().map(|(name, first)| (Natural(name.to_string()), row(name, *first))).collect()
    }

    #[test]
    fn what_is_known_already_is_not_written_again_and_anything_else_is() {
        let known = [("a", true), ("b", true)];
        for (folds, jobs, written) in [
            (&[0_u32][..], &known[..], false),
            (&[0, 1], &known, true),
            (&[0], &known[..1], true),
            (&[0], &[("a", true), ("b", true), ("c", true)], true),
            (&[0], &[("a", true), ("b", false)], true),
            (&[0], &[("a", true), ("c", true)], true),
            (&[0], &[], true),
        ] {
            let dir = tempdir();
            let launch = LaunchDir::new(dir.path());
            let folder = Folder::open(launch.place()).expect("opened");
            let inode = || dir.path().join(".analysis").metadata().expect("there").ino();
            RowCache::default().write(&folder, &launch, &[0], &rows(&known)).expect("written");
            let first = inode();
            // Its number is not free for the next file while it has another name.
            std::fs::hard_link(dir.path().join(".analysis"), dir.path().join("kept")).expect("linked");
            RowCache::read(&launch).write(&folder, &launch, folds, &rows(jobs)).expect("written");
            assert_eq!(inode() != first, written, "{folds:?} {jobs:?}");
            let names: Vec<&str> = jobs.iter().map(|(name, _)| *name).collect();
            let read = RowCache::read(&launch);
            assert_eq!(read.folds, folds);
            assert!(read.rows.len() == names.len() && names.iter().all(|name| read.rows.contains_key(*name)), "{jobs:?}");
        }
    }
}
