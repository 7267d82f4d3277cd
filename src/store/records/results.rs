//! What a finished fold left behind: its image-level metrics, its best epochs, its best model.

use super::finished_folds::autoencoder_is_finished;
use super::layout::{FoldDir, JobDir};
use crate::domain::data::metrics::Metrics;
use crate::domain::stopping::BestModels;
use crate::domain::words::Selection;
use crate::store::formats::fold_table::{self, Rows};
use crate::store::fs::error::StoreError;
use crate::store::fs::file_stamp::{Fingerprint, Looked};
use crate::store::fs::open;
use crate::store::fs::open_dir::Folder;
use crate::store::fs::owned_path::Place;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::time::SystemTime;

/// The epoch, from 0, after which a fold's best model was kept, and the validation loss it had then (mean over the items).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestEpoch {
    pub epoch: u32,
    pub loss: f64,
}

/// Real folders directly in the launch directory that may be jobs, by name; links are not followed and hidden ones are not
/// jobs. Whether one is a job, its `commandline.json` tells.
///
/// # Errors
/// When the launch directory cannot be listed.
pub fn folders(launch: &Folder) -> Result<Vec<String>, StoreError> {
    let folders = launch.entries()?.into_iter().filter(|entry| entry.kind == FileType::Directory);
    // A name that is not UTF-8 cannot stand in a table.
    Ok(folders.filter_map(|entry| entry.name.into_string().ok()).filter(|name| !name.starts_with('.')).collect())
}

/// Metrics of the fold's best model on the validation images.
///
/// # Errors
/// The file is missing, or not a table with a balanced accuracy in its first row.
pub fn validation_metrics(fold: &FoldDir, selection: Selection) -> Result<Metrics, StoreError> {
    fold_table::read(&fold.validation_metrics(selection), metrics)
}

fn metrics(rows: &mut Rows) -> Result<Metrics, String> {
    if !rows.advance() {
        return Err("it has no row of metrics".to_string());
    }
    let figure = |name: &str| rows.column(name).and_then(|column| rows.number(column)).unwrap_or(f64::NAN);
    let [accuracy, balanced_accuracy, sensitivity, specificity, ppv, npv] = Metrics::COLUMNS.map(figure);
    if !(0.0..=1.0).contains(&balanced_accuracy) {
        return Err("it has no balanced_accuracy between 0 and 1".to_string());
    }
    Ok(Metrics { accuracy, balanced_accuracy, sensitivity, specificity, ppv, npv })
}

/// The epoch of each best model in a `training.tsv`, loss first, by the rule by which the trainer keeps them.
///
/// # Errors
/// The file is missing or not a training table.
pub fn best_epochs(table: &(impl Place + ?Sized)) -> Result<[Option<BestEpoch>; 2], StoreError> {
    fold_table::read(table, epochs)
}

fn epochs(rows: &mut Rows) -> Result<[Option<BestEpoch>; 2], String> {
    let needed = |name: &str| rows.column(name).ok_or_else(|| format!("it has no column {name}"));
    let (epoch_column, loss_column) = (needed("epoch")?, needed("loss_valid")?);
    let accuracy_column = rows.column("balanced_accuracy_valid");
    let mut judge = Judge::default();
    while rows.advance() {
        let epoch = rows.number(epoch_column).ok_or("a row has no epoch")?;
        let loss = rows.number(loss_column).unwrap_or(f64::NAN);
        judge.row(epoch as u32, loss, accuracy_column.and_then(|column| rows.number(column)));
    }
    Ok(judge.end())
}

/// The files from which a job's options, its record, and the figures of these folds are read, told without opening one; none
/// where the system does not tell, or where one was changed just now.
pub fn files(job: &JobDir, folds: &[u32]) -> Option<Fingerprint> {
    // The clock first: what is changed after it has not settled.
    let now = SystemTime::now();
    let mut looked = Looked::default();
    look(&mut looked, job, folds).ok()?;
    looked.settled(now)
}

fn look(looked: &mut Looked, job: &JobDir, folds: &[u32]) -> Result<(), Errno> {
    looked.at(&job.commandline())?;
    looked.at(&job.record())?;
    for &index in folds {
        let fold = job.fold(index);
        for selection in [Selection::BestLoss, Selection::BestBalancedAccuracy] {
            looked.at(&fold.validation_metrics(selection))?;
        }
        looked.at(&fold.training_table(None))?;
        // A multicnn has one a network, and may have the other too.
        let mut positions = 0..;
        while positions.next().map_or(Ok(false), |position| looked.at(&fold.training_table(Some(position))))? {}
    }
    Ok(())
}

/// Inner evaluations are rows of their epoch too; only an epoch's last row decides.
#[derive(Default)]
struct Judge {
    models: BestModels,
    last: Option<(u32, f64, Option<f64>)>,
    best: [Option<BestEpoch>; 2],
}

impl Judge {
    fn row(&mut self, epoch: u32, loss: f64, accuracy: Option<f64>) {
        if self.last.is_some_and(|(last, ..)| last != epoch) {
            self.judge();
        }
        self.last = Some((epoch, loss, accuracy));
    }

    fn judge(&mut self) {
        let Some((epoch, loss, accuracy)) = self.last.take() else { return };
        for &selection in self.models.improved_by(loss, accuracy) {
            self.best[selection as usize] = Some(BestEpoch { epoch, loss });
        }
    }

    fn end(mut self) -> [Option<BestEpoch>; 2] {
        self.judge();
        self.best
    }
}

/// Whether the fold of an autoencoder is finished. A job without records of ours, as the reference leaves it, has no
/// reconstructions to go by: there the best model tells.
pub fn autoencoder_finished(job: &JobDir, fold: &FoldDir) -> bool {
    let has_model = || open::read(&fold.model(None, Selection::BestLoss)).is_ok();
    let foreign = || open::directory(&job.private()).is_err() && has_model();
    autoencoder_is_finished(fold) || foreign()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::owned_path::Below;
    use crate::testing::tempdir;
    use std::fs;

    fn written<T>(text: &str, read: fn(&mut Rows) -> Result<T, String>) -> Result<T, StoreError> {
        let dir = tempdir();
        let path = dir.path().join("table.tsv");
        fs::write(&path, text).expect("written");
        fold_table::read(&path, read)
    }

    #[test]
    fn the_best_epoch_is_the_last_row_of_the_first_strictly_better_epoch() {
        let text = "epoch\titeration\ttime\tbalanced_accuracy_train\tloss_train\tbalanced_accuracy_valid\tloss_valid\n\
            0\t1\t1.0\t0.5\t0.9\t0.5\t0.1\n0\t3\t1.0\t0.5\t0.9\t0.5\t0.7\n1\t3\t1.0\t0.5\t0.8\t0.75\t0.7\n\
            2\t3\t1.0\t0.5\t0.8\t0.75\t0.6\n3\t3\t1.0\t0.5\t0.8\t0.75\t0.6\n";
        let best = written(text, epochs).expect("a training table");
        assert_eq!(best, [Some(BestEpoch { epoch: 2, loss: 0.6 }), Some(BestEpoch { epoch: 1, loss: 0.7 })]);
    }

    #[test]
    fn an_autoencoder_has_a_best_loss_only() {
        let text = "epoch\titeration\ttime\tloss_train\tloss_valid\n0\t3\t1.0\t0.9\t0.7\n1\t3\t1.0\t0.9\t0.8\n";
        assert_eq!(written(text, epochs).expect("a training table"), [Some(BestEpoch { epoch: 0, loss: 0.7 }), None]);
    }

    #[test]
    fn a_table_without_its_balanced_accuracy_is_no_result() {
        for text in ["", "accuracy\tbalanced_accuracy\n", "accuracy\tbalanced_accuracy\n0.5\t\n", "accuracy\n0.5\n", "\u{0}\n1\n"]
        {
            assert!(written(text, metrics).is_err(), "{text:?}");
        }
        let good = written("accuracy\tbalanced_accuracy\tsensitivity\n0.5\t0.75\t\n", metrics).expect("metrics");
        assert_eq!(good.balanced_accuracy, 0.75);
        assert!(good.sensitivity.is_nan() && good.npv.is_nan());
    }

    #[test]
    fn links_hidden_folders_and_files_are_not_listed() {
        let dir = tempdir();
        for name in ["job-0", ".new-job", "other"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        fs::write(dir.path().join("file"), "").expect("written");
        std::os::unix::fs::symlink(dir.path().join("job-0"), dir.path().join("job-1")).expect("linked");
        let mut names = folders(&Folder::open(&Below::given(dir.path())).expect("opened")).expect("listed");
        names.sort();
        assert_eq!(names, ["job-0", "other"]);
    }
}
