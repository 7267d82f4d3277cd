//! Which folds of a job have their results.

use super::job_records::read_options;
use super::layout::{FoldDir, JobDir};
use crate::domain::job::{Ended, FailureClass};
use crate::domain::options::JobOptions;
use crate::domain::words::{Mode, NetworkType, Selection};
use crate::store::fs::open;
use crate::store::fs::owned_path::Below;

/// The folds of the job that lack a result, in order.
pub fn missing(job: &JobDir, options: &JobOptions) -> Vec<u32> {
    options.folds.indices().into_iter().filter(|&fold| !is_finished(&job.fold(fold), options)).collect()
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

/// Whether the fold has all that it should: the training table and the best models of every network, and what is made of
/// them last and appears at once, a classifier's tables or an autoencoder's reconstructions. None of them may be empty.
pub fn is_finished(fold: &FoldDir, options: &JobOptions) -> bool {
    match options.network_type {
        NetworkType::Autoencoder => autoencoder_is_finished(fold),
        NetworkType::Cnn | NetworkType::MultiCnn => results(fold, options).iter().all(has_content),
    }
}

/// As [`is_finished`], of an autoencoder's fold, for which its options need not be known.
pub fn autoencoder_is_finished(fold: &FoldDir) -> bool {
    is_folder(&fold.reconstruction()) && of_network(fold, None, &[Selection::BestLoss]).iter().all(has_content)
}

/// The tables and the models that a finished fold has; an autoencoder's reconstructions are not among them.
pub fn results(fold: &FoldDir, options: &JobOptions) -> Vec<Below> {
    match options.network_type {
        NetworkType::Autoencoder => of_network(fold, None, &[Selection::BestLoss]),
        NetworkType::Cnn => [classification(fold, options.mode.mode()), of_network(fold, None, Selection::ALL)].concat(),
        NetworkType::MultiCnn => {
            // How many positions there are, only the images tell; here the folders of those that were trained do.
            let trained = |position: &usize| *position == 0 || is_folder(&fold.training_table(Some(*position)).folder());
            let networks = (0..).take_while(trained).flat_map(|position| of_network(fold, Some(position), Selection::ALL));
            classification(fold, options.mode.mode()).into_iter().chain(networks).collect()
        }
    }
}

/// The training table and the best models of one network.
fn of_network(fold: &FoldDir, position: Option<usize>, selections: &[Selection]) -> Vec<Below> {
    let models = selections.iter().map(|&selection| fold.model(position, selection));
    [fold.training_table(position)].into_iter().chain(models).collect()
}

/// Predictions and metrics of both best models on both sets, of the images and of their items.
fn classification(fold: &FoldDir, mode: Mode) -> Vec<Below> {
    let levels = if mode == Mode::Image { vec![Mode::Image] } else { vec![Mode::Image, mode] };
    let mut tables = Vec::new();
    for &selection in Selection::ALL {
        for set in ["train", "validation"] {
            for &level in &levels {
                tables.extend([fold.predictions(selection, set, level), fold.metrics(selection, set, level)]);
            }
        }
    }
    tables
}

fn has_content(file: &Below) -> bool {
    open::read(file).is_ok_and(|file| file.metadata().is_ok_and(|meta| meta.len() > 0))
}

fn is_folder(place: &Below) -> bool {
    open::directory(place).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn options(mode: &str, network: &str) -> JobOptions {
        let text = format!(
            r#"{{"mode": "{mode}", "network_type": "{network}", "caps_dir": "/caps", "tsv_path": "/labels", "n_fcblocks": 1,
            "preprocessing": "t1-linear", "convolutions": {{"conv0": {{"out_channels": 4, "n_conv": 1, "d_reduction": "stride"}}}}}}"#
        );
        JobOptions::from_json(&text, "options", Path::new("/")).expect("options").0
    }

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "x").expect("written");
    }

    /// The fold counts as finished once all of `files` are there, and not without any one of them.
    fn needs(fold: &FoldDir, options: &JobOptions, files: &[Below]) {
        assert!(!is_finished(fold, options));
        files.iter().for_each(|file| put(file));
        assert!(is_finished(fold, options), "{files:?}");
        for file in files {
            fs::remove_file(file).expect("removed");
            assert!(!is_finished(fold, options), "without {}", file.display());
            let elsewhere = fold.path().join("elsewhere");
            put(&elsewhere);
            symlink(&elsewhere, file).expect("linked");
            assert!(!is_finished(fold, options), "with a link to {}", file.display());
            fs::remove_file(file).expect("removed");
            fs::write(file, "").expect("emptied");
            assert!(!is_finished(fold, options), "with an empty {}", file.display());
            put(file);
        }
    }

    fn networks(fold: &FoldDir, positions: &[Option<usize>]) -> Vec<Below> {
        positions.iter().flat_map(|&position| of_network(fold, position, Selection::ALL)).collect()
    }

    #[test]
    fn a_classifiers_fold_is_finished_with_every_table_and_model_and_not_without_one() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        let image = job.fold(0);
        let files = [classification(&image, Mode::Image), networks(&image, &[None])].concat();
        needs(&image, &options("image", "cnn"), &files);
        assert!(!is_finished(&image, &options("patch", "cnn")), "patches have tables of their own");
        let patch = job.fold(1);
        let files = [classification(&patch, Mode::Patch), networks(&patch, &[None])].concat();
        needs(&patch, &options("patch", "cnn"), &files);
        assert_eq!(missing(&job, &options("image", "cnn")), Vec::<u32>::new());
    }

    #[test]
    fn a_multicnns_fold_is_finished_with_every_networks_files() {
        let dir = tempdir();
        let fold = JobDir::new(dir.path()).fold(0);
        let positions: Vec<Option<usize>> = (0..3).map(Some).collect();
        let files = [classification(&fold, Mode::Roi), networks(&fold, &positions)].concat();
        needs(&fold, &options("roi", "multicnn"), &files);
    }

    #[test]
    fn an_autoencoders_fold_needs_its_table_model_and_reconstructions() {
        let dir = tempdir();
        let fold = JobDir::new(dir.path()).fold(3);
        fs::create_dir_all(fold.reconstruction()).expect("made");
        let files = [fold.training_table(None), fold.model(None, Selection::BestLoss)];
        needs(&fold, &options("image", "autoencoder"), &files);
        fs::remove_dir(fold.reconstruction()).expect("removed");
        assert!(!autoencoder_is_finished(&fold));
    }
}
