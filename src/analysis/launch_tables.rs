//! The tables of one launch directory, kept in memory so that a changed job costs no more than itself.

use super::collect::{self, Notice};
use super::jobs_table;
use super::option_cells::Options;
use super::parallel::spread;
use super::ranking::Ranking;
use super::row::{self, JobRow};
use super::row_cache::RowCache;
use super::threshold_table::{self, PassedCounts};
use super::tsv_cells::Cells;
use crate::domain::space::SearchSpace;
use crate::domain::text::natural_order::{self, Natural};
use crate::domain::words::Selection;
use crate::executor::local::cpu;
use crate::store::fs::atomic;
use crate::store::fs::error::StoreError;
use crate::store::fs::open_dir::Folder;
use crate::store::fs::owned_path::Below;
use crate::store::fs::rights::Rights;
use crate::store::records::layout::LaunchDir;
use crate::store::records::space_file::{self, SpaceFile};
use crate::store::records::{record, results};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Folders that a thread takes at a time.
const SHARE: usize = 4;
/// Which of [`Tables::changed`] is `jobs.tsv`; the others are the selections'.
const JOBS: usize = 2;

/// Where the tables take the folds of the search space from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SpaceFolds {
    /// From the file, which every scan reads.
    #[default]
    File,
    /// From whoever has read the file already: its folds, ascending, or None if it is missing or cannot be read as a space.
    Known(Option<Vec<u32>>),
}

/// What the tables of a launch directory say. Made by [`Tables::scan`], kept up by [`Tables::refresh`], and put on disk by
/// [`Tables::write`]; whatever was missed in between, the next scan finds.
pub struct Tables {
    launch: LaunchDir,
    /// The directory that was scanned, by device and inode: what has its name later may be another.
    scanned: Option<(u64, u64)>,
    space_folds: SpaceFolds,
    /// The folds of the search space, or None if it is missing or refused, so that each job's own count.
    folds: Option<Vec<u32>>,
    /// The folds that have columns in `jobs.tsv`, ascending.
    columns: Vec<u32>,
    rows: BTreeMap<Natural, JobRow>,
    /// Since the tables were last written, whether there is something new in each.
    changed: [bool; 3],
}

impl Tables {
    /// Empty tables, which are of no use before a scan.
    pub fn new(launch: LaunchDir) -> Self {
        let space_folds = SpaceFolds::default();
        Tables { launch, scanned: None, space_folds, folds: None, columns: Vec::new(), rows: BTreeMap::new(), changed: [true; 3] }
    }

    /// Takes the folds of the search space from there. Answers whether a scan is due, since the last went by others.
    pub fn go_by(&mut self, folds: SpaceFolds) -> bool {
        self.space_folds = folds;
        self.scanned.is_none() || matches!(&self.space_folds, SpaceFolds::Known(folds) if *folds != self.folds)
    }

    /// Reads everything anew, the search space included.
    ///
    /// # Errors
    /// When the launch directory cannot be listed, or is another one than before; the tables stay as they were.
    pub fn scan(&mut self) -> Result<Vec<Notice>, StoreError> {
        self.scan_beside(None)
    }

    /// As [`Tables::scan`], but of a job of whose files something is known, and which are the same since, none is read, or
    /// ranked: these are tables to be written. What holds from now on, [`Tables::write_down`] makes known. Without a search space
    /// every job is read, as the columns depend on all.
    ///
    /// # Errors
    /// As [`Tables::scan`].
    pub fn scan_unless_known(&mut self, known: &RowCache) -> Result<Vec<Notice>, StoreError> {
        self.scan_beside(Some(known))
    }

    fn scan_beside(&mut self, known: Option<&RowCache>) -> Result<Vec<Notice>, StoreError> {
        let folder = self.folder()?;
        self.scanned = Some(folder.identity()?);
        let launch = LaunchDir::open(&folder);
        let mut names = results::folders(&folder)?;
        names.sort_by(|a, b| natural_order::compare(a, b));
        self.folds = match &self.space_folds {
            SpaceFolds::File => folds_of_space(&launch),
            SpaceFolds::Known(folds) => folds.clone(),
        };
        self.columns = self.folds.clone().unwrap_or_else(|| folds_of_jobs(&launch, &names));
        let mut notices = Vec::new();
        let collected = self.collect_all(&launch, &names, known);
        let rows = names.into_iter().zip(collected).filter_map(|(name, (row, found))| {
            notices.extend(found);
            let name = Natural(name);
            let row = row?.after(self.rows.get(&name));
            Some((name, row))
        });
        // In their order already, which makes the map in one go.
        self.rows = rows.collect();
        self.changed = [true; 3];
        Ok(notices)
    }

    /// Reads one job anew; one that is gone leaves the tables.
    ///
    /// # Errors
    /// As [`Tables::scan`], which is needed where the job's folds change what has columns.
    pub fn refresh(&mut self, name: &str) -> Result<Vec<Notice>, StoreError> {
        let launch = LaunchDir::open(&self.folder()?);
        let mut notices = Vec::new();
        let key = Natural(name.to_string());
        let Some(job) = collect::collect(name, &launch.folder(name), self.folds.as_deref(), &mut notices) else {
            if self.rows.remove(&key).is_none() {
                return Ok(notices);
            }
            self.changed = [true; 3];
            // Without a search space the columns were perhaps this job's alone.
            return if self.folds.is_none() { self.scan() } else { Ok(notices) };
        };
        let old = self.rows.get(&key);
        let row = JobRow::of(name, &job, &self.columns).after(old);
        // Without a search space every job's own folds have columns, and a job may bring some or take some away.
        if self.folds.is_none() && old.map_or(&[][..], |old| &old.folds) != &*row.folds {
            return self.scan();
        }
        for (which, changed) in self.changed.iter_mut().enumerate() {
            *changed |= old.is_none_or(|old| match which {
                JOBS => old.cells.line != row.cells.line,
                selection => old.cells.counts[selection] != row.cells.counts[selection],
            });
        }
        self.rows.insert(key, row);
        Ok(notices)
    }

    /// Replaces every table that has something new, or is not there.
    ///
    /// # Errors
    /// When one cannot be replaced; it is tried again at the next call.
    pub fn write(&mut self) -> Result<(), StoreError> {
        let folder = self.folder()?;
        let launch = &self.launch;
        let analyses = Selection::ALL.iter().map(|&selection| (Some(selection), launch.analysis_table(selection)));
        let tables: Vec<(Option<Selection>, Below)> = analyses.chain([(None, launch.jobs_table())]).collect();
        let is_new = |table: Option<Selection>| self.changed[table.map_or(JOBS, |selection| selection as usize)];
        let due: Vec<_> = tables.iter().filter(|(table, path)| is_new(*table) || !path.exists()).collect();
        // At once, since most of the time is the disk's.
        let replaced =
            spread(&due, 1, due.len(), |(table, path)| atomic::replace_in(&folder, path, |file| self.table_into(*table, file)));
        replaced.into_iter().collect::<Result<(), _>>()?;
        if let Some((_, last)) = due.last() {
            atomic::settle_all_in(&folder, last)?;
        }
        self.changed = [false; 3];
        Ok(())
    }

    /// Writes down what holds of the jobs for as long as their files are the same, unless it is known already.
    ///
    /// # Errors
    /// When it cannot be; the tables are none the worse.
    pub fn write_down(&self, known: &RowCache) -> Result<(), StoreError> {
        let Some(folds) = &self.folds else { return Ok(()) };
        known.write(&self.folder()?, &self.launch, folds, &self.rows)
    }

    /// Writes one selection's analysis, or else the table of jobs.
    fn table_into(&self, table: Option<Selection>, file: &mut File) -> std::io::Result<()> {
        match table {
            Some(selection) => file.write_all(self.analysis(selection).as_bytes()),
            None => {
                let mut file = BufWriter::with_capacity(1 << 16, file);
                self.jobs_into(&mut file)?;
                file.flush()
            }
        }
    }

    /// The launch directory, held open: what is written into it cannot land in another that gets its name meanwhile.
    ///
    /// # Errors
    /// It is gone, or is not the one that was scanned.
    fn folder(&self) -> Result<Folder, StoreError> {
        let folder = Folder::open(self.launch.place())?;
        match self.scanned {
            Some(scanned) if scanned != folder.identity()? => Err(StoreError::content(
                self.launch.path(),
                "another directory has its name now, to which these tables do not belong",
            )),
            _ => Ok(folder),
        }
    }

    /// Where [`Tables::write`] puts them.
    pub fn paths(&self) -> [Below; 3] {
        let [accuracy, loss] = [Selection::BestBalancedAccuracy, Selection::BestLoss].map(|s| self.launch.analysis_table(s));
        [accuracy, loss, self.launch.jobs_table()]
    }

    /// The jobs with a result, best first.
    pub fn ranking(&self) -> Ranking {
        Ranking::new(self.rows.values().filter_map(|row| row.ranked.clone()).collect())
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> usize {
        self.rows.len()
    }

    /// The analysis under one selection, as text.
    pub fn analysis(&self, selection: Selection) -> String {
        let mut table = Cells::new();
        threshold_table::push_header(&mut table);
        let mut total = PassedCounts::default();
        for (name, row) in &self.rows {
            let counts = &row.cells.counts[selection as usize];
            total.add(counts);
            threshold_table::push_row(&mut table, &name.0, counts);
        }
        threshold_table::push_row(&mut table, "total", &total);
        table.into_text()
    }

    /// Writes the table of jobs line by line, since a search of many jobs has one of many megabytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn jobs_into(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}", jobs_table::header(&self.columns))?;
        for row in self.rows.values() {
            out.write_all(row.cells.line.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The row and the notices of each folder, in the order of the names, on all cores: the time goes into opening many small
    /// files, or, where something is known, into looking at them.
    fn collect_all(&self, launch: &LaunchDir, names: &[String], known: Option<&RowCache>) -> Vec<(Option<JobRow>, Vec<Notice>)> {
        let threads = cpu::cores();
        let known = known.zip(self.folds.as_deref());
        spread(names, SHARE, threads, |name| {
            let dir = launch.folder(name);
            let made_of = known.and_then(|(_, folds)| results::files(&dir, folds));
            let same = known.zip(made_of).and_then(|((known, folds), made_of)| {
                known.cells(name, folds, made_of).map(|cells| JobRow::known(cells, folds, made_of))
            });
            if same.is_some() {
                return (same, Vec::new());
            }
            let mut notices = Vec::new();
            let job = collect::collect(name, &dir, self.folds.as_deref(), &mut notices);
            let row = job.map(|job| {
                // A job with a notice gives it each time.
                let made_of = made_of.filter(|_| notices.is_empty() && row::depends_on_its_files_alone(&job));
                JobRow { made_of, ..JobRow::of(name, &job, &self.columns) }
            });
            (row, notices)
        })
    }
}

/// Every fold of any job, for want of a search space.
fn folds_of_jobs(launch: &LaunchDir, names: &[String]) -> Vec<u32> {
    let own = |name: &String| {
        let path = launch.folder(name).commandline();
        match record::read_text(&path) {
            Err(error) if error.is_missing() => None,
            text => Some(text.and_then(|text| Options::read(&text, &path)).unwrap_or_default().folds),
        }
    };
    ascending(names.iter().filter_map(own).flatten().collect())
}

fn ascending(mut folds: Vec<u32>) -> Vec<u32> {
    folds.sort_unstable();
    folds.dedup();
    folds
}

/// The folds that the search space names, ascending, or None if it is missing or refused.
fn folds_of_space(launch: &LaunchDir) -> Option<Vec<u32>> {
    let SpaceFile::Text { text, .. } = space_file::read(launch, None, &Rights::default()) else { return None };
    let base = std::path::absolute(launch.path()).ok()?;
    let parsed = SearchSpace::parse(&text, "random_search.json", &base).ok()?;
    Some(parsed.space.folds.ascending())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    fn finish(launch: &Path, job: &str, fold: u32, accuracy: &str) {
        for selection in ["best_loss", "best_balanced_accuracy"] {
            let folder = launch.join(job).join(format!("fold-{fold}/cnn_classification/{selection}"));
            fs::create_dir_all(&folder).expect("made");
            let text = format!("balanced_accuracy\n{accuracy}\n");
            fs::write(folder.join("validation_image_level_metrics.tsv"), text).expect("written");
        }
    }

    fn job(launch: &Path, job: &str, options: &str) {
        fs::create_dir_all(launch.join(job)).expect("made");
        fs::write(launch.join(job).join("commandline.json"), options).expect("written");
    }

    fn texts(launch: &Path) -> Vec<String> {
        let paths = Tables::new(LaunchDir::new(launch)).paths();
        paths.iter().map(|path| fs::read_to_string(path).expect("a table")).collect()
    }

    fn fresh(launch: &Path) -> Vec<String> {
        let mut tables = Tables::new(LaunchDir::new(launch));
        tables.scan().expect("scanned");
        tables.write().expect("written");
        texts(launch)
    }

    #[test]
    fn a_job_whose_options_went_has_no_folds_and_one_whose_options_cannot_be_read_has_the_first() {
        let dir = tempdir();
        fs::create_dir_all(dir.path().join("unreadable/commandline.json")).expect("made");
        for (name, folds) in [("gone", vec![]), ("unreadable", vec![0])] {
            assert_eq!(folds_of_jobs(&LaunchDir::new(dir.path()), &[name.to_string()]), folds, "{name}");
        }
    }

    #[test]
    fn a_scan_is_due_when_other_folds_were_read_than_at_the_last() {
        let dir = tempdir();
        job(dir.path(), "job-0", r#"{"n_splits": 3}"#);
        let known = |folds: &[u32]| SpaceFolds::Known(Some(folds.to_vec()));
        let mut tables = Tables::new(LaunchDir::new(dir.path()));
        assert!(tables.go_by(known(&[0, 1])), "there was none");
        tables.scan().expect("scanned");
        assert_eq!(tables.columns, [0, 1], "no file was read for them");
        assert!(!tables.go_by(known(&[0, 1])) && !tables.go_by(SpaceFolds::File));
        assert!(tables.go_by(known(&[0])) && tables.go_by(SpaceFolds::Known(None)));
        tables.scan().expect("scanned");
        assert_eq!(tables.columns, [0, 1, 2], "every job's own");
        assert!(!tables.go_by(SpaceFolds::Known(None)));
    }

    #[test]
    fn whatever_happens_to_a_job_refreshing_it_gives_the_tables_of_a_fresh_scan() {
        let dir = tempdir();
        let launch = dir.path();
        for name in ["job-1", "job-10", "job-2"] {
            job(launch, name, r#"{"n_splits": 2}"#);
        }
        let mut tables = Tables::new(LaunchDir::new(launch));
        tables.scan().expect("scanned");
        let changes: [&dyn Fn(); 8] = [
            &|| finish(launch, "job-2", 0, "0.75"),
            &|| finish(launch, "job-2", 1, "0.95"),
            &|| job(launch, "job-3", "{}"),
            &|| job(launch, "job-10", r#"{"n_splits": 4}"#),
            &|| job(launch, "job-10", r#"{"n_splits": 3}"#),
            &|| job(launch, "job-10", "not JSON"),
            &|| job(launch, "job-10", r#"{"n_splits": 3}"#),
            &|| fs::remove_dir_all(launch.join("job-10")).expect("removed"),
        ];
        let names = ["job-2", "job-2", "job-3", "job-10", "job-10", "job-10", "job-10", "job-10"];
        for (change, name) in changes.iter().zip(names) {
            change();
            tables.refresh(name).expect("refreshed");
            tables.write().expect("written");
            let ours = texts(launch);
            assert_eq!(ours, fresh(launch), "after a change of {name}");
        }
    }

    #[test]
    fn a_job_whose_figures_stay_as_they_were_keeps_what_was_written_of_them() {
        let dir = tempdir();
        let launch = dir.path();
        job(launch, "job-0", "{}");
        finish(launch, "job-0", 0, "0.75");
        let mut tables = Tables::new(LaunchDir::new(launch));
        tables.scan().expect("scanned");
        let ranked = |tables: &Tables| tables.ranking().by_accuracy[0].clone();
        let first = ranked(&tables);
        tables.refresh("job-0").expect("refreshed");
        assert!(Arc::ptr_eq(&first, &ranked(&tables)), "after a look at the job");
        tables.scan().expect("scanned");
        assert!(Arc::ptr_eq(&first, &ranked(&tables)), "after a look at everything");
        finish(launch, "job-0", 0, "0.8");
        tables.refresh("job-0").expect("refreshed");
        assert_eq!((first.accuracy[0], ranked(&tables).accuracy[0]), (Some(0.75), Some(0.8)));
    }

    #[test]
    fn a_table_is_replaced_only_for_something_new_and_comes_back_when_it_was_deleted() {
        let dir = tempdir();
        let launch = dir.path();
        job(launch, "job-0", "{}");
        let mut tables = Tables::new(LaunchDir::new(launch));
        tables.scan().expect("scanned");
        tables.write().expect("written");
        let loss = LaunchDir::new(launch).analysis_table(Selection::BestLoss);
        fs::write(&loss, "left alone").expect("written");
        tables.refresh("job-0").expect("refreshed");
        tables.write().expect("nothing to write");
        assert_eq!(fs::read_to_string(&loss).expect("a table"), "left alone");
        fs::remove_file(&loss).expect("removed");
        tables.write().expect("written");
        assert_eq!(fs::read_to_string(&loss).expect("a table"), tables.analysis(Selection::BestLoss));
    }

    #[test]
    fn tables_never_land_in_another_directory_that_has_got_the_name() {
        let dir = tempdir();
        let (launch, moved) = (dir.path().join("launch"), dir.path().join("moved"));
        job(&launch, "job-0", "{}");
        let mut tables = Tables::new(LaunchDir::new(&launch));
        tables.scan().expect("scanned");
        fs::rename(&launch, &moved).expect("moved");
        fs::create_dir(&launch).expect("made");
        for error in [tables.write().expect_err("another directory"), tables.scan().map(drop).expect_err("another directory")] {
            assert!(error.to_string().contains("another directory has its name"), "{error}");
        }
        assert_eq!(fs::read_dir(&launch).expect("listed").count(), 0);
        fs::remove_dir(&launch).expect("removed");
        fs::rename(&moved, &launch).expect("back");
        tables.write().expect("written");
        assert_eq!(texts(&launch), fresh(&launch));
    }
}
