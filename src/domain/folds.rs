//! How the label files are split into folds, and which of them are trained.

use super::text::fault::Fault;

/// How the label files are split, and which folds are trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folds {
    /// `train/` and `validation/`: one fold, `fold-0`.
    Single,
    /// `train_splits-n/split-i/`, for the `i` in `chosen`.
    Splits { n: u32, chosen: Vec<u32> },
}

impl Folds {
    /// How the labels are split: no `n_splits`, null or 0 is one single split.
    ///
    /// # Errors
    /// The fault is of `split`.
    pub fn of(n_splits: Option<u32>, split: Option<Vec<u32>>) -> Result<Folds, Fault> {
        let n = n_splits.unwrap_or(0);
        let chosen = match (n, split) {
            (0, None) => return Ok(Folds::Single),
            (0, Some(split)) if split == [0] => return Ok(Folds::Single),
            (0, Some(split)) => return Err(Fault::new("split", format!("found {split:?} without n_splits, allowed: [0]"))),
            (n, None) => (0..n).collect(),
            (_, Some(split)) => split,
        };
        match chosen.iter().find(|&&fold| fold >= n) {
            Some(fold) => Err(Fault::new("split", format!("found {fold}, allowed: below n_splits, which is {n}"))),
            None => Ok(Folds::Splits { n, chosen }),
        }
    }

    /// The folds to train, in order: the `i` of `fold-i`.
    pub fn indices(&self) -> Vec<u32> {
        match self {
            Folds::Single => vec![0],
            Folds::Splits { chosen, .. } => chosen.clone(),
        }
    }

    /// The same in ascending order, each once.
    pub fn ascending(&self) -> Vec<u32> {
        let mut folds = self.indices();
        folds.sort_unstable();
        folds.dedup();
        folds
    }
}
