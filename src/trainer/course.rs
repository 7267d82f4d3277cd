//! How far the training of one network has come, and the best models it has seen.

use crate::evaluate::Evaluation;
use crate::state::State;
use crate::table::Row;
use neurosearch::domain::options::{JobOptions, Selection};
use neurosearch::domain::policy::{BestModels, EarlyStopping};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Everything of a training but its running weights; what a checkpoint keeps and the fold's files show.
#[derive(Debug, Clone)]
pub struct Course {
    pub epochs_done: u32,
    /// No epoch follows: all are done, or early stopping ended it.
    pub finished: bool,
    /// Seconds of training, over all attempts.
    pub elapsed: f64,
    pub rows: Vec<Row>,
    pub stopping: EarlyStopping,
    pub figures: BestModels,
    pub best: BTreeMap<Selection, Rc<Best>>,
}

/// A network at the end of the epoch after which it was the best.
#[derive(Debug)]
pub struct Best {
    pub epoch: u32,
    pub valid_loss: f64,
    /// Balanced accuracy; none for an autoencoder.
    pub valid_acc: Option<f64>,
    pub state: Rc<State>,
    /// What it said then about the training and the validation set.
    pub train: Evaluation,
    pub validation: Evaluation,
}

impl Course {
    pub fn new(options: &JobOptions) -> Self {
        Course {
            epochs_done: 0,
            finished: false,
            elapsed: 0.0,
            rows: Vec::new(),
            stopping: EarlyStopping::new(options.patience, options.tolerance),
            figures: BestModels::default(),
            best: BTreeMap::new(),
        }
    }

    /// Whether its best models have said something about just so many items, of the training and of the validation set.
    pub fn is_about(&self, items: [usize; 2]) -> bool {
        self.best.values().all(|best| [&best.train, &best.validation].into_iter().zip(items).all(|(e, items)| e.is_about(items)))
    }
}
