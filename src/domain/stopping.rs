//! Early stopping and best models as values that answer what to do after an epoch.

use super::words::Selection;
use serde::{Deserialize, Serialize};

/// Stops a training whose validation loss no longer falls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    patience: u32,
    tolerance: f64,
    best: Option<f64>,
    epochs_without_better: u32,
}

impl EarlyStopping {
    /// `patience` 0 never stops; `tolerance` is the fraction of the best loss by which a loss must fall to be better.
    pub const fn new(patience: u32, tolerance: f64) -> Self {
        EarlyStopping { patience, tolerance, best: None, epochs_without_better: 0 }
    }

    /// Takes an epoch's validation loss; true when the training should stop now.
    pub fn stops_after(&mut self, loss: f64) -> bool {
        if self.best.is_none_or(|best| loss < best - best * self.tolerance) {
            self.best = Some(loss);
            self.epochs_without_better = 0;
        } else {
            self.epochs_without_better += 1;
        }
        self.patience > 0 && self.epochs_without_better >= self.patience
    }
}

/// The best figures so far, from which follows which models to keep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BestModels {
    loss: Option<f64>,
    balanced_accuracy: Option<f64>,
}

impl BestModels {
    /// Takes an epoch's validation figures and names the selections for which it is the best so far; the first epoch always is.
    /// `balanced_accuracy` is none for an autoencoder.
    pub fn improved_by(&mut self, loss: f64, balanced_accuracy: Option<f64>) -> &'static [Selection] {
        let in_loss = self.loss.is_none_or(|best| loss < best);
        let accuracy = balanced_accuracy.filter(|now| self.balanced_accuracy.is_none_or(|best| *now > best));
        if in_loss {
            self.loss = Some(loss);
        }
        self.balanced_accuracy = accuracy.or(self.balanced_accuracy);
        match (in_loss, accuracy.is_some()) {
            (true, true) => &[Selection::BestLoss, Selection::BestBalancedAccuracy],
            (true, false) => &[Selection::BestLoss],
            (false, true) => &[Selection::BestBalancedAccuracy],
            (false, false) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Index of the epoch after which the training stops.
    fn stop(patience: u32, tolerance: f64, losses: &[f64]) -> Option<usize> {
        let mut stopping = EarlyStopping::new(patience, tolerance);
        losses.iter().position(|loss| stopping.stops_after(*loss))
    }

    #[test]
    fn patience_zero_never_stops() {
        assert_eq!(stop(0, 0.0, &[1.0, 2.0, 3.0, 4.0]), None);
    }

    #[test]
    fn it_stops_after_patience_epochs_in_a_row_that_are_not_better() {
        assert_eq!(stop(2, 0.0, &[1.0, 1.0, 1.0]), Some(2));
        assert_eq!(stop(2, 0.0, &[1.0, 1.1, 0.9, 0.9, 0.8, 0.8, 0.8]), Some(6));
        assert_eq!(stop(1, 0.0, &[1.0, 0.9, 0.9]), Some(2));
    }

    #[test]
    fn within_the_tolerance_a_smaller_loss_is_not_better() {
        // Better than 1.0 means below 0.9; 0.95 is not, and leaves the best where it was.
        assert_eq!(stop(2, 0.1, &[1.0, 0.95, 0.91]), Some(2));
        assert_eq!(stop(2, 0.1, &[1.0, 0.95, 0.89, 0.88, 0.87]), Some(4));
    }

    #[test]
    fn only_a_strictly_better_epoch_replaces_a_best_model_and_the_first_is_best() {
        let mut best = BestModels::default();
        assert_eq!(best.improved_by(0.7, Some(0.0)), [Selection::BestLoss, Selection::BestBalancedAccuracy]);
        assert_eq!(best.improved_by(0.7, Some(0.0)), []);
        assert_eq!(best.improved_by(0.6, Some(0.0)), [Selection::BestLoss]);
        assert_eq!(best.improved_by(0.8, Some(0.5)), [Selection::BestBalancedAccuracy]);
    }

    #[test]
    fn an_autoencoder_has_a_best_loss_alone() {
        let mut best = BestModels::default();
        assert_eq!(best.improved_by(0.7, None), [Selection::BestLoss]);
    }
}
