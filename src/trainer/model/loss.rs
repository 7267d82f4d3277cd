//! The two losses: summed cross-entropy for classification, mean squared error for reconstruction.

use crate::failure::TrainingFailure;
use tch::{Reduction, Tensor};

/// Cross-entropy summed over the batch: `logits` N x 2, `classes` N of int64.
pub fn cross_entropy_sum(logits: &Tensor, classes: &Tensor) -> Result<Tensor, TrainingFailure> {
    cross_entropy(logits, classes, Reduction::Sum)
}

/// The cross-entropy of each item: N numbers.
pub fn cross_entropy_per_item(logits: &Tensor, classes: &Tensor) -> Result<Tensor, TrainingFailure> {
    cross_entropy(logits, classes, Reduction::None)
}

fn cross_entropy(logits: &Tensor, classes: &Tensor, reduction: Reduction) -> Result<Tensor, TrainingFailure> {
    const NO_CLASS_IS_IGNORED: i64 = -100;
    let unweighted: Option<&Tensor> = None;
    Ok(logits.f_cross_entropy_loss(classes, unweighted, reduction, NO_CLASS_IS_IGNORED, 0.0)?)
}

/// Mean over every voxel of every item in the batch.
pub fn mse(output: &Tensor, target: &Tensor) -> Result<Tensor, TrainingFailure> {
    Ok(output.f_mse_loss(target, Reduction::Mean)?)
}

/// The mean over the voxels of each item: N numbers.
pub fn mse_per_item(output: &Tensor, target: &Tensor) -> Result<Tensor, TrainingFailure> {
    Ok(output.f_mse_loss(target, Reduction::None)?.f_flatten(1, -1)?.f_mean_dim(1_i64, false, tch::Kind::Float)?)
}
