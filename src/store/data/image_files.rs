//! Finds the files of an image in its session's folders, whichever version of Clinica or ClinicaDL named them.

use super::caps::{Caps, CapsSession, ImageFile, ImagePrefix, Names};
use super::probe;
use crate::store::fs::error::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file of an image, and what the names of the image's files begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    pub path: PathBuf,
    pub prefix: ImagePrefix,
    /// Its place in the list of files that were looked for.
    pub index: usize,
}

/// The whole image: its tensor if there is one, else its NIfTI volume.
///
/// # Errors
/// As [`find`].
pub fn whole(caps: &Caps, at: CapsSession<'_>) -> Result<Option<FoundFile>, StoreError> {
    find(caps, at, &whole_files(caps, at))
}

/// Where the whole image may lie, in the order in which it is looked for.
pub fn whole_files(caps: &Caps, at: CapsSession<'_>) -> Vec<ImageFile> {
    [vec![caps.tensor(at)], caps.nifti(at)].concat()
}

/// Whether a file holds a tensor, by its name.
pub fn is_tensor(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pt")
}

/// The first of `files` that is there, of one image: names of 0.2.2 first, then today's, then the only other one in the folders.
///
/// # Errors
/// Two images fit, and both are named; or that cannot be known.
pub fn find(caps: &Caps, at: CapsSession<'_>, files: &[ImageFile]) -> Result<Option<FoundFile>, StoreError> {
    match named(&caps.prefixes(at), files)? {
        None if caps.has_free_names() => listed(at, files),
        found => Ok(found),
    }
}

/// The first of `files` that is there under one of these prefixes, which are tried in turn.
///
/// # Errors
/// When that cannot be known.
pub fn named(prefixes: &[ImagePrefix], files: &[ImageFile]) -> Result<Option<FoundFile>, StoreError> {
    for prefix in prefixes {
        for (index, file) in files.iter().enumerate() {
            let path = file.of(prefix);
            if probe::is_file(&path)? {
                return Ok(Some(FoundFile { path, prefix: prefix.clone(), index }));
            }
        }
    }
    Ok(None)
}

/// The only image among whatever lies in the folders of `files`.
fn listed(at: CapsSession<'_>, files: &[ImageFile]) -> Result<Option<FoundFile>, StoreError> {
    let mut images: BTreeMap<ImagePrefix, FoundFile> = BTreeMap::new();
    let folders: BTreeSet<&Path> = files.iter().map(ImageFile::folder).collect();
    for folder in folders {
        for name in probe::names(folder)? {
            let files = files.iter().enumerate().filter(|(_, file)| file.folder() == folder);
            for (index, file) in files {
                let Some(prefix) = file.prefix(at.participant, &name) else { continue };
                let path = folder.join(&name);
                if images.get(&prefix).is_none_or(|found| index < found.index) && probe::is_file(&path)? {
                    images.insert(prefix.clone(), FoundFile { path, prefix, index });
                }
            }
        }
    }
    let mut images = images.into_values();
    match (images.next(), images.next()) {
        (Some(first), Some(second)) => {
            let sentence = format!("fits as well as {}; keep one of them in the session's folder", second.path.display());
            Err(StoreError::content(&first.path, sentence))
        }
        (only, _) => Ok(only),
    }
}

/// The mask of a region: where ClinicaDL 0.2.2 keeps it, else where later versions do; compressed or not. If it is in neither
/// place, the latter, or a link that leads nowhere.
///
/// # Errors
/// When that cannot be known.
pub fn mask(caps: &Caps, region: &str) -> Result<PathBuf, StoreError> {
    let places = [Names::Old, Names::Today].map(|names| caps.mask(region, names));
    // Of `.nii.gz`, the end goes.
    let places = places.into_iter().flat_map(|path| [path.clone(), path.with_extension("")]);
    let mut likeliest = None;
    for path in places {
        if probe::is_file(&path)? {
            return Ok(path);
        }
        likeliest = likeliest.or_else(|| probe::is_taken(&path).then_some(path));
    }
    Ok(likeliest.unwrap_or_else(|| caps.mask(region, Names::Today)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::words::Preprocessing;
    use crate::testing::tempdir;
    use std::fs;

    const AT: CapsSession<'static> = CapsSession { participant: "sub-1", session: "ses-M00" };
    const END: &str = "_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w";
    const T1_LINEAR: &str = "subjects/sub-1/ses-M00/t1_linear";
    const TENSORS: &str = "subjects/sub-1/ses-M00/deeplearning_prepare_data/image_based/t1_linear";

    /// What is found among these names: `t` for a tensor and `n` for a volume, then the name without its end.
    fn found(names: &[&str]) -> Result<Option<String>, String> {
        let dir = tempdir();
        for name in names {
            let folder = dir.path().join(if name.ends_with(".pt") { TENSORS } else { T1_LINEAR });
            fs::create_dir_all(&folder).expect("made");
            fs::write(folder.join(name.replacen('*', END, 1)), "").expect("written");
        }
        let found = whole(&Caps::new(dir.path(), Preprocessing::T1Linear), AT).map_err(|e| e.to_string())?;
        Ok(found.map(|found| {
            assert_eq!(
                Some(found.path.clone()),
                whole_files(&Caps::new(dir.path(), Preprocessing::T1Linear), AT)
                    .get(found.index)
                    .map(|file| file.of(&found.prefix))
            );
            found.path.file_name().expect("named").to_string_lossy().replacen(END, "*", 1)
        }))
    }

    #[test]
    fn an_image_is_found_under_any_name_that_clinica_gave_it() {
        for (names, expected) in [
            (&["sub-1_ses-M00_T1w*.nii.gz"][..], Some("sub-1_ses-M00_T1w*.nii.gz")),
            (&["sub-1_ses-M00*.nii.gz"], Some("sub-1_ses-M00*.nii.gz")),
            (&["sub-1_ses-M00*.nii"], Some("sub-1_ses-M00*.nii")),
            (&["sub-1_ses-M00*.pt"], Some("sub-1_ses-M00*.pt")),
            // Both names: that of 0.2.2, whichever kind of file it is.
            (&["sub-1_ses-M00_T1w*.nii.gz", "sub-1_ses-M00*.pt"], Some("sub-1_ses-M00_T1w*.nii.gz")),
            // One image in several files: the tensor, then what is compressed.
            (&["sub-1_ses-M00*.nii.gz", "sub-1_ses-M00*.nii", "sub-1_ses-M00*.pt"], Some("sub-1_ses-M00*.pt")),
            (&["sub-1_ses-M00*.nii.gz", "sub-1_ses-M00*.nii"], Some("sub-1_ses-M00*.nii.gz")),
            // Further entities, and the digit that Clinica 0.7.6 lost.
            (&["sub-1_ses-M00_acq-x_run-01_T1w*.nii.gz"], Some("sub-1_ses-M00_acq-x_run-01_T1w*.nii.gz")),
            (&["sub-1_ses-M00_run-01*.nii", "sub-1_ses-M00_run-01*.nii.gz"], Some("sub-1_ses-M00_run-01*.nii.gz")),
            (&["sub-1_ses-M00_run-01*.nii", "sub-1_ses-M00_run-01*.pt"], Some("sub-1_ses-M00_run-01*.pt")),
            (&["sub-1_ses-*.nii.gz"], Some("sub-1_ses-*.nii.gz")),
            // A usual name is taken even if others lie beside it.
            (&["sub-1_ses-M00*.nii.gz", "sub-1_ses-M00_run-02*.nii.gz"], Some("sub-1_ses-M00*.nii.gz")),
            // Uncropped, of another participant, of another space, or no image at all.
            (&["sub-1_ses-M00_space-MNI152NLin2009cSym_res-1x1x1_T1w.nii.gz"], None),
            (&["sub-10_ses-M00*.nii.gz", "sub-1_ses-M00*.json", "sub-1_ses-M00_affine.mat"], None),
            (&[], None),
        ] {
            assert_eq!(found(names), Ok(expected.map(str::to_string)), "{names:?}");
        }
    }

    #[test]
    fn two_images_that_fit_are_both_named() {
        for second in ["sub-1_ses-M00_run-02*.nii.gz", "sub-1_ses-M00_run-02*.pt"] {
            let refusal = found(&["sub-1_ses-M00_run-01*.nii.gz", second]).expect_err("two");
            assert!(refusal.contains("run-01_") && refusal.contains("run-02_"), "{refusal}");
        }
    }

    #[test]
    fn a_mask_is_read_from_either_place_compressed_or_not() {
        let dir = tempdir();
        let caps = Caps::new(dir.path(), Preprocessing::T1Linear);
        assert_eq!(mask(&caps, "left").expect("looked"), caps.mask("left", Names::Today));
        // Each is preferred to those before it.
        for names in [Names::Today, Names::Old] {
            let compressed = caps.mask("left", names);
            fs::create_dir_all(compressed.parent().expect("a folder")).expect("made");
            for path in [compressed.with_extension(""), compressed] {
                std::os::unix::fs::symlink("nowhere", &path).expect("linked");
                let is_first = names == Names::Today && path.extension().is_some_and(|end| end == "nii");
                assert_eq!(mask(&caps, "left").expect("looked") == path, is_first, "a link is only taken if no mask is there");
                fs::remove_file(&path).expect("removed");
                fs::write(&path, "").expect("written");
                assert_eq!(mask(&caps, "left").expect("looked"), path);
            }
        }
    }
}
