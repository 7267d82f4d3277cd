//! What the end of an epoch leaves on the disk: its checkpoint, and then the table and the best models that follow from it.

use super::checkpoint::{self, Draft};
use super::fold_files::{Model, Shown};
use crate::stop::TrainingStop;
use neurosearch::domain::words::Selection;
use neurosearch::store::records::layout::FoldDir;

/// All of it, as handles and values of its own, so that any thread can write it. Where its tensors are the live ones, it is to be
/// written before the next step.
#[derive(Debug)]
pub struct Commit {
    pub folder: FoldDir,
    pub draft: Draft,
    /// The checkpoint's number, if each network of the fold has this number of epochs.
    pub number: u32,
    pub epochs: u32,
    pub shown: Shown,
    /// The model, and the selections for which it is the best so far, or None if the epoch was no better than those before it.
    pub improved: Option<(Vec<Selection>, Model)>,
}

impl Commit {
    /// Writes it; gives how many checkpoints of the job there are now. From the first of the files on, the commit point, a later
    /// attempt goes on after this epoch.
    pub fn write(self) -> Result<u64, TrainingStop> {
        self.draft.write(&self.folder.checkpoint(self.number)).map_err(|e| TrainingStop::output(&e))?;
        checkpoint::prune(&self.folder, self.number, self.epochs).map_err(|e| TrainingStop::output(&e))?;
        self.shown.table(self.draft.rows())?;
        if let Some((selections, model)) = &self.improved {
            self.shown.model(selections, model)?;
        }
        Ok(self.draft.count())
    }
}
