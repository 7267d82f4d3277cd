//! Which folds of a job have their results.

use super::job::read_options;
use super::layout::{FoldDir, JobDir};
use crate::domain::job::{Ended, FailureClass};
use crate::domain::options::{JobOptions, Mode, NetworkType, Selection};
use std::path::Path;

/// The folds of the job that lack a result, in order.
pub fn missing(job: &JobDir, options: &JobOptions) -> Vec<u32> {
    let network = options.network_type;
    options.folds.indices().into_iter().filter(|&fold| !is_finished(&job.fold(fold), network)).collect()
}

/// Done is what has its results, whatever the trainer says.
pub fn hold_to_results(ended: Ended, job: &JobDir) -> Ended {
    if ended != Ended::Done {
        return ended;
    }
    let crashed = |sentence| Ended::Failed { class: FailureClass::Crashed, sentence };
    match read_options(&job.commandline()).map(|(options, _)| missing(job, &options)) {
        Ok(missing) if missing.is_empty() => ended,
        Ok(missing) => {
            let folds: Vec<String> = missing.iter().map(|fold| format!("fold-{fold}")).collect();
            crashed(format!("the trainer said it was done, but {} has no results", folds.join(", ")))
        }
        Err(e) => crashed(format!("the trainer said it was done, but which results there should be cannot be read: {e}")),
    }
}

/// Whether the fold has all it should: a classifier's image-level metrics of both best models on both sets, an
/// autoencoder's best model and reconstructions. Its last step makes them appear at once.
pub fn is_finished(fold: &FoldDir, network: NetworkType) -> bool {
    match network {
        NetworkType::Autoencoder => has_content(&fold.model(None, Selection::BestLoss)) && fold.reconstruction().is_dir(),
        NetworkType::Cnn | NetworkType::MultiCnn => Selection::ALL
            .iter()
            .all(|&selection| ["train", "validation"].iter().all(|set| has_content(&fold.metrics(selection, set, Mode::Image)))),
    }
}

fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "x").expect("written");
    }

    #[test]
    fn a_classifiers_fold_is_finished_with_its_last_image_level_metrics_and_not_before() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fold = JobDir::new(dir.path()).fold(0);
        for selection in Selection::ALL {
            for set in ["train", "validation"] {
                assert!(!is_finished(&fold, NetworkType::Cnn));
                put(&fold.metrics(*selection, set, Mode::Image));
            }
        }
        assert!(is_finished(&fold, NetworkType::MultiCnn));
        fs::write(fold.metrics(Selection::BestLoss, "train", Mode::Image), "").expect("emptied");
        assert!(!is_finished(&fold, NetworkType::Cnn));
    }

    #[test]
    fn an_autoencoders_fold_is_finished_with_its_model_and_its_reconstructions() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let fold = JobDir::new(dir.path()).fold(3);
        put(&fold.model(None, Selection::BestLoss));
        assert!(!is_finished(&fold, NetworkType::Autoencoder));
        fs::create_dir_all(fold.reconstruction()).expect("made");
        assert!(is_finished(&fold, NetworkType::Autoencoder));
    }
}
