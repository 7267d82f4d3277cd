//! `autoencoder_reconstruction`: some items of each set, as they are and as the best model gives them back.

use super::data::dataset::{Dataset, Items, Sets};
use super::data::loader::Section;
use super::model::network::Network;
use super::session::Session;
use super::stop::TrainingStop;
use super::training_state::BestModel;
use neurosearch::domain::job::FailureClass;
use neurosearch::store::formats::nifti;
use neurosearch::store::fs::staging::Staging;
use neurosearch::store::records::layout::FoldDir;
use std::path::Path;
use std::sync::Arc;
use tch::Tensor;

/// An image with at most this many items gives three times as many reconstructions.
const FEW: usize = 2;

/// Loads the best weights into `network` and writes the reconstructions, which appear by one rename.
pub fn write(
    job: &mut Session,
    fold: &FoldDir,
    sets: &Sets,
    network: &Network,
    best: &BestModel,
    items_per_image: usize,
) -> Result<(), TrainingStop> {
    let foreign = |e| TrainingStop::failed(FailureClass::Crashed, format!("the best model is not of this network: {e}"));
    network.load_state(&best.state).map_err(foreign)?;
    let wanted = if items_per_image <= FEW { 3 * items_per_image } else { items_per_image };
    let staging = Staging::begin(&fold.reconstruction()).map_err(|e| TrainingStop::output(&e))?;
    for (name, set) in [("train", &sets.train), ("validation", &sets.validation)] {
        reconstruct(job, network, set, wanted, |file, item| volume(&staging, &Path::new(name).join(file), item))?;
    }
    staging.publish().map_err(|e| TrainingStop::output(&e))
}

/// The first `wanted` items of `set`, or all where there are fewer; `write` is given each file's name and content.
fn reconstruct(
    job: &mut Session,
    network: &Network,
    set: &Arc<Dataset>,
    wanted: usize,
    write: impl Fn(&str, &Tensor) -> Result<(), TrainingStop>,
) -> Result<(), TrainingStop> {
    let order = (0..wanted.min(set.len())).collect();
    let items = Arc::clone(set) as Arc<dyn Items>;
    let mut batches = job.loader.queue(Section { items, order, first_position: 0, batch: 1, augment: None });
    while let Some(batch) = job.loader.next(&mut batches)? {
        let input = batch.voxels;
        let output = network.forward(&input, false)?;
        for index in &batch.indices {
            write(&format!("input-{index}.nii.gz"), &input)?;
            write(&format!("output-{index}.nii.gz"), &output)?;
        }
        job.control.check()?;
    }
    Ok(())
}

/// Writes a batch of one item: its three sizes, or the channels and the two sizes of a slice.
fn volume(staging: &Staging, below: &Path, item: &Tensor) -> Result<(), TrainingStop> {
    let sizes: Vec<usize> = item.size().iter().map(|size| usize::try_from(*size).unwrap_or_default()).collect();
    let shape = match sizes[..] {
        [1, 1, x, y, z] | [1, x, y, z] => [x, y, z],
        _ => return Err(TrainingStop::failed(FailureClass::Crashed, format!("an item of shape {sizes:?} is no volume"))),
    };
    let voxels = Vec::<f32>::try_from(item.f_contiguous()?.f_flatten(0, -1)?)?;
    let encoded = nifti::encode_f32(below, shape, &voxels);
    encoded.and_then(|bytes| staging.write(below, &bytes)).map_err(|e| TrainingStop::output(&e))
}
