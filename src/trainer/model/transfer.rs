//! Initial weights from another job: its models read, held against the networks they are to start, and taken over.

use super::network::Network;
use super::state_dict::{Mismatch, State, read_model};
use crate::failure::TrainingFailure;
use crate::stop::TrainingStop;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::network::transfer::{Part, start};
use neurosearch::domain::options::Transfer;
use neurosearch::domain::words::NetworkType;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::records::job_records::read_outline;
use neurosearch::store::records::layout::JobDir;
use std::path::PathBuf;

const ENCODER: &str = "encoder.";
const FEATURES: &str = "features.";

/// Weights read from a source, ready for networks of one type.
#[derive(Debug)]
pub struct Weights {
    file: PathBuf,
    state: State,
    part: Part,
}

/// The weights that start a network of type `target` in fold `fold`; `position` is that of a multicnn's CNN.
///
/// The source's own `commandline.json` says what it is. A direction that makes no sense is of class `bad_options`. A
/// file that cannot be used is of class `bad_data`. One that could not be read just now is the disk's fault.
pub fn load(transfer: &Transfer, fold: u32, target: NetworkType, position: Option<usize>) -> Result<Weights, TrainingStop> {
    let job = JobDir::new(&transfer.path);
    let outline = read_outline(&job).map_err(|error| refused(&error, ", so this is not a job folder"))?;
    let start = start(outline.network_type, target, position, transfer.selection).map_err(|refusal| {
        let sentence = format!("transfer_learning_path: {} {refusal}", transfer.path.display());
        TrainingFailure::new(FailureClass::BadOptions, sentence)
    })?;
    let file = job.fold(fold).model(start.network, start.selection);
    let state = read_model(&file).map_err(|error| {
        let missing = format!(" (the source has no such model of fold {fold}, which this fold starts from)");
        refused(&error, if error.is_missing() { &missing } else { "" })
    })?;
    Ok(Weights { file: file.into(), state, part: start.part })
}

fn refused(error: &StoreError, hint: &str) -> TrainingStop {
    TrainingStop::unread(error, TrainingFailure::new(FailureClass::BadData, format!("transfer_learning_path: {error}{hint}")))
}

impl Weights {
    /// Overwrites the network's weights, BatchNorm's statistics included; the first tensor that does not fit is an error that names it.
    pub fn apply(&self, network: &Network) -> Result<(), TrainingFailure> {
        let taken = match self.part {
            Part::Everything => network.load_state(&self.state),
            Part::EncoderAsFeatures => self.take_encoder(network, FEATURES),
            Part::Autoencoder if self.has_another_decoder(network) => self.take_encoder(network, ENCODER),
            Part::Autoencoder => network.load_state(&self.state),
        };
        taken.map_err(|mismatch| {
            let file = self.file.display();
            let sentence = format!("transfer_learning_path: {file}: {mismatch}; source and job must have the same layers");
            TrainingFailure::new(FailureClass::BadData, sentence)
        })
    }

    /// What of the source's model `network`, for which it is meant, leaves behind although it has such a part itself; a clause.
    pub fn left_behind(&self, network: &Network) -> Option<String> {
        let strange = self.part == Part::Autoencoder && self.has_another_decoder(network);
        let file = self.file.display();
        strange.then(|| format!("{file} has a decoder of other layers than ours: only its encoder is taken over"))
    }

    /// Whether no tensor of the source's decoder has a name that `network`'s decoder knows. A decoder of ours that has other
    /// sizes, or lacks a tensor, still has some of the names.
    fn has_another_decoder(&self, network: &Network) -> bool {
        let own = network.names();
        !self.state.iter().any(|(name, _)| !name.starts_with(ENCODER) && own.contains(name))
    }

    /// The source's encoder, under the names that the network has for the same layers.
    fn take_encoder(&self, network: &Network, own: &str) -> Result<(), Mismatch> {
        let renamed = |(name, tensor): &(String, tch::Tensor)| {
            name.strip_prefix(ENCODER).map(|rest| (format!("{own}{rest}"), tensor.shallow_clone()))
        };
        network.load_below(own, &self.state.iter().filter_map(renamed).collect())
    }
}
