//! The rows of `training.tsv`, one an evaluation, and the curves that TensorBoard shows of them.

use super::results::tensorboard::Scalar;
use serde::{Deserialize, Serialize};

/// The figures of the training set and the validation set at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRow {
    pub epoch: u32,
    /// Index of the last batch before the evaluation, from 0.
    pub iteration: u64,
    /// Seconds of this training so far, over all attempts.
    pub time: f64,
    pub train: Figures,
    pub validation: Figures,
    /// TensorBoard's step, and the moment in seconds since the Unix epoch.
    pub step: u64,
    pub wall_time: f64,
}

/// What an evaluation reports of one set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean over the items.
    pub loss: f64,
    /// None for an autoencoder.
    pub balanced_accuracy: Option<f64>,
}

impl Figures {
    /// The points of this row in the curves of one set.
    pub fn scalars(&self, step: u64, wall_time: f64) -> Vec<Scalar> {
        let scalar = |tag, value| Scalar { tag, value, step, wall_time };
        let accuracy = self.balanced_accuracy.map(|value| scalar("balanced_accuracy", value));
        accuracy.into_iter().chain([scalar("loss", self.loss)]).collect()
    }
}

/// The header of the table; `classifies` is false for an autoencoder.
pub fn header(classifies: bool) -> Vec<&'static str> {
    if classifies {
        vec!["epoch", "iteration", "time", "balanced_accuracy_train", "loss_train", "balanced_accuracy_valid", "loss_valid"]
    } else {
        vec!["epoch", "iteration", "time", "loss_train", "loss_valid"]
    }
}

impl TrainingRow {
    /// The cells under [`header`], numbers as `number` writes them.
    pub fn cells(&self, number: impl Fn(f64) -> String) -> Vec<String> {
        let mut cells = vec![self.epoch.to_string(), self.iteration.to_string(), number(self.time)];
        for figures in [self.train, self.validation] {
            cells.extend(figures.balanced_accuracy.map(&number));
            cells.push(number(figures.loss));
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(balanced_accuracy: Option<f64>) -> TrainingRow {
        let figures = |loss| Figures { loss, balanced_accuracy };
        TrainingRow {
            epoch: 2,
            iteration: 5,
            time: 1.5,
            train: figures(0.25),
            validation: figures(0.75),
            step: 18,
            wall_time: 9.0,
        }
    }

    #[test]
    fn cells_stand_under_their_headers() {
        let cells = |row: TrainingRow| row.cells(|x| x.to_string());
        assert_eq!(cells(row(Some(0.5))), ["2", "5", "1.5", "0.5", "0.25", "0.5", "0.75"]);
        assert_eq!(header(true).len(), 7);
        assert_eq!(cells(row(None)), ["2", "5", "1.5", "0.25", "0.75"]);
        assert_eq!(header(false).len(), 5);
    }

    #[test]
    fn an_autoencoder_has_no_curve_of_balanced_accuracy() {
        let tags = |figures: Figures| figures.scalars(1, 0.0).iter().map(|scalar| scalar.tag).collect::<Vec<_>>();
        assert_eq!(tags(row(Some(0.5)).train), ["balanced_accuracy", "loss"]);
        assert_eq!(tags(row(None).train), ["loss"]);
    }
}
