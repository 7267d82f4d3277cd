//! Where the label tables of ClinicaDL 1.2 and later lie: one table a side, with all diagnoses, in a folder a fold.

use super::probe;
use crate::domain::folds::Folds;
use crate::store::fs::error::StoreError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders above a split in which its `labels.tsv` is looked for; `tsvtools` puts it three above a fold.
const ABOVE: usize = 5;

/// The folder with the tables of fold `fold`, in the tree `root`.
pub fn folder(root: &Path, folds: &Folds, fold: u32) -> PathBuf {
    match folds {
        Folds::Single => root.to_path_buf(),
        Folds::Splits { .. } => root.join(format!("split-{fold}")),
    }
}

/// The folder of the split, which is `tsv_path` or just below it: of a single split, or with all folds, no more and no fewer.
/// None if there is no such tree.
///
/// # Errors
/// When that cannot be known.
pub fn root(tsv_path: &Path, folds: &Folds) -> Result<Option<PathBuf>, StoreError> {
    let below = match folds {
        Folds::Single => ["".to_string(), "split".to_string(), "split/split".to_string()],
        Folds::Splits { n, .. } => ["".to_string(), format!("{n}_fold"), format!("split/{n}_fold")],
    };
    for name in below {
        let root = if name.is_empty() { tsv_path.to_path_buf() } else { tsv_path.join(name) };
        let is_it = match folds {
            Folds::Single => has_tables(&root)?,
            Folds::Splits { n, .. } => folds_in(&root)? == Some(*n),
        };
        if is_it {
            return Ok(Some(root));
        }
    }
    Ok(None)
}

/// How many folds the tree at `tsv_path` has, or one just below it; None if there is no such tree, or a single split.
///
/// # Errors
/// When that cannot be known.
pub fn splits(tsv_path: &Path) -> Result<Option<u32>, StoreError> {
    if let Some(n) = folds_in(tsv_path)? {
        return Ok(Some(n));
    }
    if root(tsv_path, &Folds::Single)?.is_some() {
        return Ok(None);
    }
    for folder in [tsv_path.to_path_buf(), tsv_path.join("split")] {
        let named = probe::names(&folder)?.into_iter().filter_map(|name| name.strip_suffix("_fold")?.parse::<u32>().ok());
        for n in named.collect::<BTreeSet<u32>>() {
            if folds_in(&folder.join(format!("{n}_fold")))? == Some(n) {
                return Ok(Some(n));
            }
        }
    }
    Ok(None)
}

/// The nearest `labels.tsv` above the tables in `folder`: it has the columns that they may lack.
///
/// # Errors
/// When that cannot be known.
pub fn labels_above(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
    for above in folder.ancestors().skip(1).take(ABOVE) {
        let table = above.join("labels.tsv");
        if probe::is_file(&table)? {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// The table of a side. Only the sessions at baseline validate.
pub fn table(folder: &Path, side: &str, baseline: bool) -> PathBuf {
    folder.join(if baseline { format!("{side}_baseline.tsv") } else { format!("{side}.tsv") })
}

/// Whether both sides of a split lie in the folder.
fn has_tables(folder: &Path) -> Result<bool, StoreError> {
    Ok(probe::is_file(&table(folder, "train", false))? && probe::is_file(&table(folder, "validation", true))?)
}

/// How many folders `split-0`, `split-1` and so on lie in `root`, if the first has the tables of a split.
fn folds_in(root: &Path) -> Result<Option<u32>, StoreError> {
    if !has_tables(&root.join("split-0"))? {
        return Ok(None);
    }
    let names = probe::names(root)?;
    Ok((1..).find(|i| !names.contains(&format!("split-{i}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    /// What is found in a folder with these splits: its root for one fold and for three, and the number of its folds.
    fn found(splits: &[&str]) -> [Option<String>; 3] {
        let dir = tempdir();
        fs::create_dir(dir.path().join("labels")).expect("made");
        for split in splits {
            let folder = dir.path().join("labels").join(split);
            fs::create_dir_all(&folder).expect("made");
            for name in ["train.tsv", "train_baseline.tsv", "validation_baseline.tsv"] {
                fs::write(folder.join(name), "").expect("written");
            }
        }
        let labels = dir.path().join("labels");
        let root = |folds: &Folds| {
            let root = root(&labels, folds).expect("looked");
            root.map(|root| root.strip_prefix(&labels).expect("below").display().to_string())
        };
        let three = Folds::Splits { n: 3, chosen: vec![0] };
        [root(&Folds::Single), root(&three), splits_in(&labels)]
    }

    fn splits_in(labels: &Path) -> Option<String> {
        splits(labels).expect("looked").map(|n| n.to_string())
    }

    #[test]
    fn a_tree_is_found_by_its_name_and_by_that_of_the_folder_that_holds_it() {
        let some = |text: &str| Some(text.to_string());
        for (splits, expected) in [
            (&["split-0", "split-1", "split-2"][..], [None, some(""), some("3")]),
            (&["3_fold/split-0", "3_fold/split-1", "3_fold/split-2"], [None, some("3_fold"), some("3")]),
            (&["split/3_fold/split-0", "split/3_fold/split-1", "split/3_fold/split-2"], [None, some("split/3_fold"), some("3")]),
            // Fewer or more folds than three.
            (&["split-0", "split-1"], [None, None, some("2")]),
            (&["split-0", "split-1", "split-2", "split-3"], [None, None, some("4")]),
            // A folder that does not hold what its name says.
            (&["3_fold/split-0", "5_fold"], [None, None, None]),
            (&["."], [some(""), None, None]),
            (&["split"], [some("split"), None, None]),
            (&["split/split"], [some("split/split"), None, None]),
            (&[], [None, None, None]),
        ] {
            assert_eq!(found(splits), expected, "{splits:?}");
        }
    }

    #[test]
    fn the_labels_are_the_nearest_above() {
        let dir = tempdir();
        let fold = dir.path().join("split/3_fold/split-0");
        fs::create_dir_all(&fold).expect("made");
        assert_eq!(labels_above(&fold).expect("looked"), None);
        for above in [dir.path().to_path_buf(), dir.path().join("split")] {
            fs::write(above.join("labels.tsv"), "").expect("written");
            assert_eq!(labels_above(&fold).expect("looked"), Some(above.join("labels.tsv")));
        }
    }
}
