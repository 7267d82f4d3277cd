//! Initial weights from another job: which file of the source, which of its tensors, and which directions there are.

use super::failure::Failure;
use super::network::Network;
use super::state::{State, read_model};
use neurosearch::domain::commandline::Outline;
use neurosearch::domain::fault::Faults;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::options::{NetworkType, Selection, Transfer};
use neurosearch::store::layout::JobDir;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest `commandline.json` that is read.
const LARGEST: u64 = 1 << 20;

/// Weights read from a source, ready for networks of one type.
#[derive(Debug)]
pub struct Weights {
    file: PathBuf,
    state: State,
    /// Names below which a network takes over all of its tensors; empty for the whole network.
    below: &'static str,
}

/// The weights that start a network of type `target` in fold `fold`; `position` is that of a multicnn's CNN.
///
/// The source's own `commandline.json` says what it is. A direction that makes no sense is of class `bad_options`, a file
/// that cannot be used of class `bad_data`.
pub fn load(transfer: &Transfer, fold: u32, target: NetworkType, position: Option<usize>) -> Result<Weights, Failure> {
    use NetworkType::{Autoencoder, Cnn, MultiCnn};
    let job = JobDir::new(&transfer.path);
    let source = network_type(&job.commandline())?;
    let (network, selection) = match (source, target) {
        (Autoencoder, _) => (None, Selection::BestLoss),
        (Cnn, Cnn | MultiCnn) => (None, transfer.selection),
        (MultiCnn, MultiCnn) => (position, transfer.selection),
        (Cnn | MultiCnn, Autoencoder) | (MultiCnn, Cnn) => return Err(no_way(&transfer.path, source, target)),
    };
    let file = job.fold(fold).model(network, selection);
    let state = read_model(&file).map_err(|error| {
        let hint = if error.is_missing() {
            format!(" (the source has no such model of fold {fold}, which this fold starts from)")
        } else {
            String::new()
        };
        Failure::new(FailureClass::BadData, format!("transfer_learning_path: {error}{hint}"))
    })?;
    Ok(if source == Autoencoder && target != Autoencoder {
        Weights { state: encoder_as_features(state), file, below: "features." }
    } else {
        Weights { state, file, below: "" }
    })
}

impl Weights {
    /// Overwrites the network's weights, BatchNorm's statistics included; the first tensor that does not fit is an error that names it.
    pub fn apply(&self, network: &Network) -> Result<(), Failure> {
        network.load_below(self.below, &self.state).map_err(|mismatch| {
            let file = self.file.display();
            Failure::new(
                FailureClass::BadData,
                format!("transfer_learning_path: {file}: {mismatch}; source and job must have the same layers"),
            )
        })
    }
}

/// An autoencoder's encoder under the names that a CNN has for the same layers; its decoder is left behind.
fn encoder_as_features(state: State) -> State {
    let renamed =
        |(name, tensor): (String, tch::Tensor)| name.strip_prefix("encoder.").map(|rest| (format!("features.{rest}"), tensor));
    state.into_iter().filter_map(renamed).collect()
}

fn no_way(path: &Path, source: NetworkType, target: NetworkType) -> Failure {
    let sentence = format!(
        "transfer_learning_path: {} trained a {source}, which cannot start a {target}; an autoencoder can start any network, \
         a cnn a cnn or a multicnn, and a multicnn a multicnn",
        path.display()
    );
    Failure::new(FailureClass::BadOptions, sentence)
}

/// What the source trained. Nothing else in its file matters here, so nothing else can make it unusable.
fn network_type(file: &Path) -> Result<NetworkType, Failure> {
    let bad =
        |sentence: String| Failure::new(FailureClass::BadData, format!("transfer_learning_path: {}: {sentence}", file.display()));
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| bad(format!("cannot be read ({error}), so this is not a job folder")))?;
    opened.take(LARGEST).read_to_string(&mut text).map_err(|error| bad(format!("cannot be read ({error})")))?;
    let outline = Outline::from_json(&text, &file.display().to_string());
    let refused = |faults: Faults| Failure::new(FailureClass::BadData, format!("transfer_learning_path: {faults}"));
    Ok(outline.map_err(refused)?.network_type)
}
