//! A network's loss and answers over a whole set, each item once and in order, without gradients.

use crate::control::Control;
use crate::loader::{Batches, Loader};
use crate::loss;
use crate::network::Network;
use crate::stop::Stop;
use crate::table::Figures;
use neurosearch::domain::metrics::Confusion;
use tch::{Kind, Tensor};

/// What a network is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
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

impl Answers {
    pub fn confusion(&self, classes: &[usize]) -> Confusion {
        Confusion::count(classes.iter().copied().zip(self.predicted.iter().map(|class| usize::from(*class))))
    }

    /// Takes the logits of one batch, N x 2.
    fn add(&mut self, logits: &Tensor) -> Result<(), Stop> {
        let values = Vec::<f32>::try_from(logits.f_flatten(0, -1)?)?;
        self.predicted.extend(values.chunks_exact(2).map(|pair| u8::from(pair[1] > pair[0])));
        self.probabilities.extend(Vec::<f32>::try_from(logits.f_softmax(1, Kind::Float)?.f_flatten(0, -1)?)?);
        Ok(())
    }
}

/// Evaluates `network` on the queued set, whose items have these classes.
pub fn run(
    network: &Network,
    task: Task,
    loader: &Loader,
    batches: &mut Batches,
    classes: &[usize],
    control: &mut Control,
) -> Result<Evaluation, Stop> {
    let mut evaluation = Evaluation { total_loss: 0.0, items: 0, answers: (task == Task::Classify).then(Answers::default) };
    while let Some(batch) = loader.next(batches)? {
        let voxels = batch.voxels.f_to_device(network.device())?;
        let output = network.forward(&voxels, false)?;
        evaluation.items += batch.indices.len();
        evaluation.total_loss += match &mut evaluation.answers {
            Some(answers) => {
                answers.add(&output)?;
                loss::cross_entropy_sum(&output, &targets(&batch.indices, classes, network)?)?.f_double_value(&[])?
            }
            None => loss::mse_per_item(&output, &voxels)?.f_sum(Kind::Double)?.f_double_value(&[])?,
        };
        control.check()?;
    }
    Ok(evaluation)
}

/// The true classes of a batch's items, on the network's device.
pub fn targets(indices: &[usize], classes: &[usize], network: &Network) -> Result<Tensor, Stop> {
    let classes: Vec<i64> = indices.iter().map(|index| classes[*index] as i64).collect();
    Ok(Tensor::f_from_slice(&classes)?.f_to_device(network.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_are_class_zero_and_probabilities_are_the_softmax() {
        let mut answers = Answers::default();
        answers.add(&Tensor::from_slice2(&[[0.0_f32, 0.0], [-1.0, 1.0]])).expect("two items");
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
