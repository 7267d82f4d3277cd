//! A transfer's source: a job folder of a network type that can start this one, with the best model of every fold.

use super::job::JobFault;
use crate::domain::commandline::Outline;
use crate::domain::options::{JobOptions, NetworkType, Selection};
use crate::store::layout::JobDir;
use crate::store::look;
use crate::store::record;
use std::path::Path;

const KEY: &str = "transfer_learning_path";

/// Whether the job's source, if it has one, can start it.
///
/// # Errors
/// A direction that makes no sense is of class `bad_options`, a source without its files of class `bad_data`.
pub fn check(options: &JobOptions) -> Result<(), JobFault> {
    use NetworkType::{Autoencoder, Cnn, MultiCnn};
    let Some(transfer) = options.transfer() else { return Ok(()) };
    let source = outline(&transfer.path).map_err(|sentence| JobFault::data(KEY, sentence))?.network_type;
    let (network, selection) = match (source, options.network_type) {
        (Autoencoder, _) => (None, Selection::BestLoss),
        (Cnn, Cnn | MultiCnn) => (None, transfer.selection),
        (MultiCnn, MultiCnn) => (Some(0), transfer.selection),
        (Cnn | MultiCnn, Autoencoder) | (MultiCnn, Cnn) => {
            let (path, target) = (transfer.path.display(), options.network_type);
            return Err(JobFault::options(KEY, format!("{path} is a job of type {source}, which cannot start a {target}")));
        }
    };
    for fold in options.folds.indices() {
        let model = JobDir::new(&transfer.path).fold(fold).model(network, selection);
        if !look::is_file(&model) {
            let sentence = format!("{} is not there; fold {fold} starts from the source's same fold", model.display());
            return Err(JobFault::data(KEY, sentence));
        }
    }
    Ok(())
}

/// What the source's `commandline.json` says of it; the error is a sentence.
pub fn outline(source: &Path) -> Result<Outline, String> {
    let file = JobDir::new(source).commandline();
    let text = record::read_text(&file).map_err(|error| format!("not a job folder: {error}"))?;
    Outline::from_json(&text, &file.display().to_string()).map_err(|faults| faults.to_string())
}
