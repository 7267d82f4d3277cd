//! What a fold's folder shows of one network's training: its table, its curves and its best models.

use crate::control::now;
use crate::course::Course;
use crate::evaluate::Task;
use crate::events::{EventFile, Scalar};
use crate::state;
use crate::stop::Stop;
use crate::table::{self, Row};
use neurosearch::domain::options::Selection;
use neurosearch::store::atomic;
use neurosearch::store::error::StoreError;
use neurosearch::store::layout::FoldDir;
use neurosearch::store::torch_file;
use neurosearch::store::tsv::{Table, python_repr};

/// The files of one network; what they hold always follows from a checkpoint.
pub struct Published {
    folder: FoldDir,
    position: Option<usize>,
    task: Task,
    train: EventFile,
    validation: EventFile,
}

impl Published {
    /// Makes the files show `course`, whatever an earlier attempt left in them.
    pub fn restore(folder: &FoldDir, position: Option<usize>, task: Task, host: &str, course: &Course) -> Result<Self, Stop> {
        let output = |e| Stop::output(&e);
        let curves = |set: &str, scalars: &dyn Fn(&Row) -> Vec<Scalar>| {
            let scalars: Vec<Scalar> = course.rows.iter().flat_map(scalars).collect();
            let directory = folder.tensorboard(position, set);
            atomic::make_below(folder.path(), &directory)?;
            EventFile::replace(&directory, host, now(), &scalars)
        };
        let train = curves("train", &|row| row.train.scalars(row.step, row.wall_time)).map_err(output)?;
        let validation = curves("validation", &|row| row.validation.scalars(row.step, row.wall_time)).map_err(output)?;
        let published = Published { folder: folder.clone(), position, task, train, validation };
        published.create_folders().map_err(output)?;
        if course.rows.is_empty() {
            atomic::remove(&folder.training_table(position)).map_err(output)?;
        } else {
            published.table(&course.rows)?;
        }
        for selection in [Selection::BestLoss, Selection::BestBalancedAccuracy] {
            if course.best.contains_key(&selection) {
                published.model(selection, course)?;
            } else {
                atomic::remove(&folder.model(position, selection)).map_err(output)?;
            }
        }
        Ok(published)
    }

    fn create_folders(&self) -> Result<(), StoreError> {
        let mut models = self.selections().iter().map(|selection| self.folder.model(self.position, *selection));
        models.try_for_each(|model| atomic::make_below(self.folder.path(), model.parent().unwrap_or(&model)))
    }

    /// Which best models there will be.
    const fn selections(&self) -> &'static [Selection] {
        match self.task {
            Task::Classify => &[Selection::BestLoss, Selection::BestBalancedAccuracy],
            Task::Reconstruct => &[Selection::BestLoss],
        }
    }

    /// Adds a row's points to the curves.
    pub fn append(&mut self, row: &Row) -> Result<(), Stop> {
        let output = |e| Stop::output(&e);
        self.train.append(&row.train.scalars(row.step, row.wall_time)).map_err(output)?;
        self.validation.append(&row.validation.scalars(row.step, row.wall_time)).map_err(output)
    }

    /// Replaces `training.tsv`.
    pub fn table(&self, rows: &[Row]) -> Result<(), Stop> {
        let mut table = Table::new(&table::header(self.task == Task::Classify));
        rows.iter().for_each(|row| table.push(row.cells(python_repr)));
        table.write(&self.folder.training_table(self.position)).map_err(|e| Stop::output(&e))
    }

    /// Replaces the best model of a selection.
    pub fn model(&self, selection: Selection, course: &Course) -> Result<(), Stop> {
        let Some(best) = course.best.get(&selection) else { return Ok(()) };
        let value = state::model_value(&best.state, best.epoch, best.valid_loss, best.valid_acc)?;
        let path = self.folder.model(self.position, selection);
        torch_file::write(&path, "model_best", &value).map_err(|e| Stop::output(&e))
    }
}
