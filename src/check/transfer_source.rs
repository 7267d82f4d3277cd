//! A transfer's source: a job folder of a network type that can start this one, with a best model for every network of every fold.

use super::data::Flaw;
use super::fault::JobFault;
use crate::domain::network::transfer::start;
use crate::domain::options::JobOptions;
use crate::domain::options::read::Outline;
use crate::domain::words::NetworkType;
use crate::store::data::probe;
use crate::store::records::job_records::read_outline;
use crate::store::records::layout::JobDir;
use std::path::Path;

const KEY: &str = "transfer_learning_path";

/// Whether the job's source, if it has one, can start it, as far as that shows without reading its models. `items` is how
/// many items an image has: a multicnn has a network for each.
///
/// # Errors
/// A direction that makes no sense is of class `bad_options`, a source without its files of class `bad_data`.
pub fn check(options: &JobOptions, items: usize) -> Result<(), JobFault> {
    let Some(transfer) = options.transfer() else { return Ok(()) };
    let source = outline(&transfer.path)?.network_type;
    let positions: Vec<Option<usize>> = match options.network_type {
        NetworkType::MultiCnn => (0..items).map(Some).collect(),
        NetworkType::Cnn | NetworkType::Autoencoder => vec![None],
    };
    for fold in options.folds.indices() {
        for position in &positions {
            let start = start(source, options.network_type, *position, transfer.selection)
                .map_err(|refusal| JobFault::options(KEY, format!("{} {refusal}", transfer.path.display())))?;
            let model = JobDir::new(&transfer.path).fold(fold).model(start.network, start.selection);
            if !probe::is_file(&model).map_err(|error| Flaw::unread(KEY, &error))? {
                let sentence = format!("{} is not there; fold {fold} starts from the source's same fold", model.display());
                return Err(JobFault::data(KEY, sentence));
            }
        }
    }
    Ok(())
}

/// What the source's `commandline.json` says of it.
///
/// # Errors
/// It is no job folder, or cannot be read.
pub fn outline(source: &Path) -> Result<Outline, Flaw> {
    read_outline(&JobDir::new(source)).map_err(|error| match Flaw::unread(KEY, &error) {
        unread if unread.passing => unread,
        _ => Flaw::new(KEY, format!("not a job folder: {error}")),
    })
}
