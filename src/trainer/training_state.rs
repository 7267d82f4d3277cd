//! How far the training of one network has come, and the best models it has seen.

use super::evaluate::Evaluation;
use super::failure::TrainingFailure;
use super::model::network::Network;
use super::model::state_dict::State;
use super::training_table::{Figures, TrainingRow};
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::stopping::{BestModels, EarlyStopping};
use neurosearch::domain::words::Selection;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Everything of a training but its running weights; what a checkpoint keeps and the fold's files show.
#[derive(Debug, Clone)]
pub struct TrainingState {
    pub epochs_done: u32,
    /// No epoch follows: all are done, or early stopping ended it.
    pub finished: bool,
    /// Seconds of training, over all attempts.
    pub elapsed: f64,
    pub rows: Vec<TrainingRow>,
    pub stopping: EarlyStopping,
    pub figures: BestModels,
    pub best: BTreeMap<Selection, Rc<BestModel>>,
}

/// A network at the end of the epoch after which it was the best.
#[derive(Debug)]
pub struct BestModel {
    pub epoch: u32,
    pub valid_loss: f64,
    /// Balanced accuracy; none for an autoencoder.
    pub valid_acc: Option<f64>,
    /// A copy: the training goes on.
    pub state: Rc<State>,
    /// What it said then about the training and the validation set.
    pub train: Evaluation,
    pub validation: Evaluation,
}

impl TrainingState {
    pub fn new(options: &JobOptions) -> Self {
        TrainingState {
            epochs_done: 0,
            finished: false,
            elapsed: 0.0,
            rows: Vec::new(),
            stopping: EarlyStopping::new(options.patience, options.tolerance),
            figures: BestModels::default(),
            best: BTreeMap::new(),
        }
    }

    /// Judges `network` after an epoch by its validation `figures`; `said` is about the training and the validation set. Where it is
    /// the best so far, a copy of it is kept. Gives the selections for which it is.
    pub fn judge(
        &mut self,
        epoch: u32,
        network: &Network,
        figures: Figures,
        said: [Evaluation; 2],
    ) -> Result<Vec<Selection>, TrainingFailure> {
        let (valid_loss, valid_acc) = (figures.loss, figures.balanced_accuracy);
        let improved = self.figures.improved_by(valid_loss, valid_acc).to_vec();
        if !improved.is_empty() {
            let [train, validation] = said;
            let state = Rc::new(network.state()?);
            let best = Rc::new(BestModel { epoch, valid_loss, valid_acc, state, train, validation });
            self.best.extend(improved.iter().map(|selection| (*selection, Rc::clone(&best))));
        }
        Ok(improved)
    }

    /// Whether its best models have results for exactly these numbers of items, in the training and the validation set.
    pub fn is_about(&self, items: [usize; 2]) -> bool {
        self.best.values().all(|best| [&best.train, &best.validation].into_iter().zip(items).all(|(e, items)| e.is_about(items)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::adam::Adam;
    use crate::model::state_dict::{copied, live};
    use neurosearch::domain::network::architecture::{Architecture, ConvBlock, FcLayer};
    use neurosearch::domain::words::{Normalization, Reduction};
    use tch::{Device, Kind, Tensor};

    /// With batch normalisation, whose statistics move without Adam, and a step ahead of its initial weights.
    fn trained() -> (Network, Adam) {
        let block = ConvBlock { in_channels: 1, out_channels: 2, n_conv: 1, d_reduction: Reduction::Stride };
        let fc = vec![FcLayer { in_features: 16, out_features: 2 }];
        let normalization = Some(Normalization::Batch);
        let architecture = Architecture { input: vec![1, 4, 4, 4], blocks: vec![block], normalization, fc, dropout: 0.0 };
        let mut network = Network::cnn(&architecture, Device::Cpu).expect("builds");
        network.init(3).expect("initialises");
        let mut adam = Adam::new(network.trainable(), 0.1, 0.0).expect("builds");
        step(&network, &mut adam);
        (network, adam)
    }

    fn step(network: &Network, adam: &mut Adam) {
        tch::manual_seed(1);
        let batch = Tensor::rand([2, 1, 4, 4, 4], (Kind::Float, Device::Cpu));
        adam.zero_grad();
        network.forward(&batch, true).expect("runs").square().sum(Kind::Float).backward();
        adam.step().expect("steps");
    }

    fn judged(course: &mut TrainingState, network: &Network, loss: f64, accuracy: f64) -> Vec<Selection> {
        let said = || Evaluation { total_loss: loss, items: 1, answers: None };
        let figures = Figures { loss, balanced_accuracy: Some(accuracy) };
        course.judge(course.epochs_done, network, figures, [said(), said()]).expect("copied")
    }

    fn new() -> TrainingState {
        TrainingState {
            epochs_done: 0,
            finished: false,
            elapsed: 0.0,
            rows: Vec::new(),
            stopping: EarlyStopping::new(0, 0.0),
            figures: BestModels::default(),
            best: BTreeMap::new(),
        }
    }

    fn same(a: &State, b: &State) -> Vec<bool> {
        a.iter().zip(b).map(|((name, a), (other, b))| name == other && a.equal(b)).collect()
    }

    #[test]
    fn a_best_models_weights_do_not_change_with_later_steps_and_live_ones_do() {
        let (network, mut adam) = trained();
        let mut course = new();
        assert_eq!(judged(&mut course, &network, 0.5, 0.5), [Selection::BestLoss, Selection::BestBalancedAccuracy]);
        let then = network.state_by(copied).expect("copied");
        let (weights, moments) = (network.state_by(live).expect("taken"), adam.state_by(live).expect("taken"));
        let moments_then = adam.state_by(copied).expect("copied");
        step(&network, &mut adam);
        let best = &course.best[&Selection::BestLoss];
        assert!(same(&best.state, &then).iter().all(|same| *same) && best.state.len() == then.len());
        assert!(same(&weights, &then).iter().all(|same| !same), "every tensor moved, and its handle shows it");
        assert!(same(&moments, &moments_then).iter().all(|same| !same));
    }

    #[test]
    fn an_epoch_that_is_no_better_keeps_the_models_of_those_that_were() {
        let (network, mut adam) = trained();
        let mut course = new();
        judged(&mut course, &network, 0.5, 0.5);
        for (loss, accuracy, improved, epochs) in [
            (0.6, 0.4, vec![], [0, 0]),
            (0.4, 0.4, vec![Selection::BestLoss], [2, 0]),
            (0.7, 0.6, vec![Selection::BestBalancedAccuracy], [2, 3]),
        ] {
            step(&network, &mut adam);
            course.epochs_done += 1;
            assert_eq!(judged(&mut course, &network, loss, accuracy), improved);
            let kept = [Selection::BestLoss, Selection::BestBalancedAccuracy].map(|selection| course.best[&selection].epoch);
            assert_eq!(kept, epochs);
        }
    }
}
