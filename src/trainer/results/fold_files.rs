//! What a fold's folder shows of one network's training: its table, its curves and its best models.

use super::tensorboard::{EventFile, Scalar};
use crate::evaluate::EvaluationTask;
use crate::model::state_dict::{self, State};
use crate::reporter::now;
use crate::stop::TrainingStop;
use crate::training_state::{BestModel, TrainingState};
use crate::training_table::{self, TrainingRow};
use neurosearch::domain::words::Selection;
use neurosearch::store::formats::torch_file;
use neurosearch::store::formats::tsv::{Table, python_repr};
use neurosearch::store::fs::atomic;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::records::layout::FoldDir;
use tch::Tensor;

/// The files of one network; what they hold always follows from a checkpoint.
pub struct Published {
    shown: Shown,
    train: EventFile,
    validation: EventFile,
}

/// Those of them that are replaced whole, by whoever has this.
#[derive(Debug, Clone)]
pub struct Shown {
    folder: FoldDir,
    position: Option<usize>,
    task: EvaluationTask,
}

/// A best model as its file holds it; the tensors are handles on those that are kept.
#[derive(Debug)]
pub struct Model {
    state: State,
    epoch: u32,
    valid_loss: f64,
    valid_acc: Option<f64>,
}

impl Model {
    pub fn of(best: &BestModel) -> Self {
        let state = best.state.iter().map(|(name, tensor)| (name.clone(), Tensor::shallow_clone(tensor))).collect();
        Model { state, epoch: best.epoch, valid_loss: best.valid_loss, valid_acc: best.valid_acc }
    }
}

impl Published {
    /// Makes the files show `course`, whatever an earlier attempt left in them.
    pub fn restore(
        folder: &FoldDir,
        position: Option<usize>,
        task: EvaluationTask,
        host: &str,
        course: &TrainingState,
    ) -> Result<Self, TrainingStop> {
        let output = |e| TrainingStop::output(&e);
        let curves = |set: &str, scalars: &dyn Fn(&TrainingRow) -> Vec<Scalar>| {
            let scalars: Vec<Scalar> = course.rows.iter().flat_map(scalars).collect();
            let directory = folder.tensorboard(position, set);
            atomic::make_below(folder.path(), &directory)?;
            EventFile::replace(&directory, host, now(), &scalars)
        };
        let train = curves("train", &|row| row.train.scalars(row.step, row.wall_time)).map_err(output)?;
        let validation = curves("validation", &|row| row.validation.scalars(row.step, row.wall_time)).map_err(output)?;
        let shown = Shown { folder: folder.clone(), position, task };
        shown.create_folders().map_err(output)?;
        if course.rows.is_empty() {
            atomic::remove(&folder.training_table(position)).map_err(output)?;
        } else {
            shown.table(&course.rows)?;
        }
        for selection in [Selection::BestLoss, Selection::BestBalancedAccuracy] {
            match course.best.get(&selection) {
                Some(best) => shown.model(&[selection], &Model::of(best))?,
                None => atomic::remove(&folder.model(position, selection)).map_err(output)?,
            }
        }
        Ok(Published { shown, train, validation })
    }

    /// Adds a row's points to the curves.
    pub fn append(&mut self, row: &TrainingRow) -> Result<(), TrainingStop> {
        let output = |e| TrainingStop::output(&e);
        self.train.append(&row.train.scalars(row.step, row.wall_time)).map_err(output)?;
        self.validation.append(&row.validation.scalars(row.step, row.wall_time)).map_err(output)
    }

    /// The table and the models.
    pub const fn shown(&self) -> &Shown {
        &self.shown
    }
}

impl Shown {
    fn create_folders(&self) -> Result<(), StoreError> {
        let mut models = self.selections().iter().map(|selection| self.folder.model(self.position, *selection));
        models.try_for_each(|model| atomic::make_below(self.folder.path(), model.parent().unwrap_or(&model)))
    }

    /// Which best models there will be.
    const fn selections(&self) -> &'static [Selection] {
        match self.task {
            EvaluationTask::Classify => &[Selection::BestLoss, Selection::BestBalancedAccuracy],
            EvaluationTask::Reconstruct => &[Selection::BestLoss],
        }
    }

    /// Replaces `training.tsv`.
    pub fn table(&self, rows: &[TrainingRow]) -> Result<(), TrainingStop> {
        let mut table = Table::new(&training_table::header(self.task == EvaluationTask::Classify));
        rows.iter().for_each(|row| table.push(row.cells(python_repr)));
        table.write(&self.folder.training_table(self.position)).map_err(|e| TrainingStop::output(&e))
    }

    /// Makes `model` the best one of each of the selections.
    pub fn model(&self, selections: &[Selection], model: &Model) -> Result<(), TrainingStop> {
        let value = state_dict::model_value(&model.state, model.epoch, model.valid_loss, model.valid_acc)?;
        let mut paths = selections.iter().map(|selection| self.folder.model(self.position, *selection));
        paths.try_for_each(|path| torch_file::write(&path, "model_best", &value)).map_err(|e| TrainingStop::output(&e))
    }
}
