//! Whether a job's data are gone as a whole, as when their file system is not mounted: no fault of theirs, unlike an image that is.

use crate::domain::missing_input::Input;
use crate::domain::options::JobOptions;
use crate::store::data::caps::Caps;
use crate::store::data::{labels, probe};

/// The first of the data's directories that is not there. For a job that had them once: of a new one, they were never there.
pub fn gone(options: &JobOptions) -> Option<Input> {
    let caps = Caps::new(&options.caps_dir, options.preprocessing);
    // Below either, since an empty mount point is there.
    let fold = options.folds.indices().first().copied().unwrap_or_default();
    let tree = labels::tree(&options.tsv_path, &options.folds).unwrap_or_default();
    let labels = tree.unwrap_or_else(|| options.tsv_path.join(labels::side_folder(&options.folds, "train", fold)));
    let directories = [caps.subjects(), labels];
    let is_missing = |directory: &std::path::PathBuf| probe::directory(directory).is_err_and(|error| error.is_missing());
    directories.into_iter().find(is_missing).map(Input::Directory)
}
