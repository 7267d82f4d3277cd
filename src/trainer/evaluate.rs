//! A network's loss and answers over a whole set, each item once and in order, without gradients.

use super::data::loader::{Batches, Loader};
use super::model::loss;
use super::model::network::Network;
use super::reporter::Reporter;
use super::stop::TrainingStop;
use super::training_table::Figures;
use neurosearch::domain::data::metrics::Confusion;
use tch::{Kind, Tensor};

/// What a network is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationTask {
    /// Tell the classes apart; the loss is the cross-entropy.
    Classify,
    /// Give back the input; the loss is the mean squared error over an item's voxels.
    Reconstruct,
}

/// What a network says about every item of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Sum over the items.
    pub total_loss: f64,
    pub items: usize,
    /// None for an autoencoder.
    pub answers: Option<Answers>,
}

/// Item by item, in the order of the set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    pub predicted: Vec<u8>,
    /// Of class 0 and class 1, item after item.
    pub probabilities: Vec<f32>,
}

impl Evaluation {
    /// What `training.tsv` reports; `classes` are the true ones.
    pub fn figures(&self, classes: &[usize]) -> Figures {
        let balanced_accuracy = self.answers.as_ref().map(|answers| answers.confusion(classes).metrics().balanced_accuracy);
        Figures { loss: self.total_loss / self.items as f64, balanced_accuracy }
    }
}

impl Evaluation {
    /// Whether it is about exactly this number of items.
    pub fn is_about(&self, items: usize) -> bool {
        let answered = |answers: &Answers| (answers.predicted.len(), answers.probabilities.len()) == (items, 2 * items);
        self.items == items && self.answers.as_ref().is_none_or(answered)
    }
}

impl Answers {
    pub fn confusion(&self, classes: &[usize]) -> Confusion {
        Confusion::count(classes.iter().copied().zip(self.predicted.iter().map(|class| usize::from(*class))))
    }

    /// Of the logits of a whole set, N x 2.
    fn of(logits: &Tensor) -> Result<Self, TrainingStop> {
        let values = Vec::<f32>::try_from(logits.f_flatten(0, -1)?)?;
        let predicted = values.chunks_exact(2).map(|pair| u8::from(pair[1] > pair[0])).collect();
        let probabilities = Vec::<f32>::try_from(logits.f_softmax(1, Kind::Float)?.f_flatten(0, -1)?)?;
        Ok(Answers { predicted, probabilities })
    }
}

/// Evaluates `network` on the queued set, whose items have these classes. Its outputs stay on the device until the
/// end of the set, and all losses are fetched at once. Batch by batch, the host would wait for each.
pub fn run(
    network: &Network,
    task: EvaluationTask,
    loader: &Loader,
    batches: &mut Batches,
    classes: &[usize],
    control: &mut Reporter,
) -> Result<Evaluation, TrainingStop> {
    let items = batches.order().len();
    if items == 0 {
        let answers = (task == EvaluationTask::Classify).then(Answers::default);
        return Ok(Evaluation { total_loss: 0.0, items, answers });
    }
    let mut said = Vec::new();
    while let Some(batch) = loader.next(batches)? {
        let output = network.forward(&batch.voxels, false)?;
        said.push(match task {
            EvaluationTask::Classify => output,
            EvaluationTask::Reconstruct => loss::mse_per_item(&output, &batch.voxels)?,
        });
        control.check()?;
    }
    let said = Tensor::f_cat(&said, 0)?;
    let (losses, answers) = match task {
        EvaluationTask::Classify => {
            let targets = Targets::of(batches.order(), classes, network)?;
            (loss::cross_entropy_per_item(&said, &targets.0)?, Some(Answers::of(&said)?))
        }
        EvaluationTask::Reconstruct => (said, None),
    };
    Ok(Evaluation { total_loss: losses.f_sum(Kind::Double)?.f_double_value(&[])?, items, answers })
}

/// The true classes of some items in order, on the network's device: sent there together, not batch by batch.
pub struct Targets(Tensor);

impl Targets {
    /// Of the items in `order`; `classes` are those of the whole list.
    pub fn of(order: &[usize], classes: &[usize], network: &Network) -> Result<Self, TrainingStop> {
        let classes: Vec<i64> = order.iter().map(|index| classes[*index] as i64).collect();
        Ok(Targets(Tensor::f_from_slice(&classes)?.f_to_device(network.device())?))
    }

    /// Those of the `items` from the one at this place of the order on: N of int64.
    pub fn batch(&self, first: usize, items: usize) -> Result<Tensor, TrainingStop> {
        Ok(self.0.f_narrow(0, first as i64, items as i64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_class_zero_and_probabilities_are_the_softmax() {
        let answers = Answers::of(&Tensor::from_slice2(&[[0.0_f32, 0.0], [-1.0, 1.0]])).expect("two items");
        assert_eq!(answers.predicted, [0, 1]);
        assert_eq!(answers.probabilities[..2], [0.5, 0.5]);
        assert!((answers.probabilities[3] - 0.880_797).abs() < 1e-6);
    }

    #[test]
    fn the_loss_reported_is_the_total_over_the_number_of_items() {
        let answers = Answers { predicted: vec![0, 1, 1], probabilities: Vec::new() };
        let evaluation = Evaluation { total_loss: 1.5, items: 3, answers: Some(answers) };
        assert_eq!(evaluation.figures(&[0, 1, 0]), Figures { loss: 0.5, balanced_accuracy: Some(0.75) });
    }
}
