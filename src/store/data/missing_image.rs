//! Says why an image is not found: what lies where it should lie.

use super::caps::{Caps, CapsSession, ImageFile};
use super::image_files;
use super::probe;
use crate::store::fs::annex;
use std::path::{Path, PathBuf};

/// Names that are listed before the rest is only counted.
const LISTED: usize = 3;

/// Why an image is not found. Images with one cause are told together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No folder has the name of the participant or the session. `named_otherwise`: one has almost that name.
    NoFolder {
        named_otherwise: bool,
    },
    Annexed,
    NoFile,
}

/// Why [`image_files::whole`] does not find an image, and one clause that says so, with the cure.
pub fn explain(caps: &Caps, at: CapsSession<'_>) -> (Cause, String) {
    let folder = caps.session(at);
    let participant = caps.subjects().join(at.participant);
    let wrong = wrong_folder(&caps.subjects(), at.participant, "sub-");
    if let Some(wrong) = wrong.or_else(|| wrong_folder(&participant, at.session, "ses-")) {
        return wrong;
    }
    let files = image_files::whole_files(caps, at);
    let likely = |index: usize| files.get(index).map(|file| file.of(&caps.prefix(at, Default::default())));
    // The volume, if the pipeline has one; else the tensor.
    let likely = likely(1).or(likely(0)).unwrap_or_default();
    if let Some(link) = files.iter().find_map(|file| annexed(file, at.participant)) {
        return (Cause::Annexed, format!("{} {}", link.display(), annex::SENTENCE));
    }
    let beside = likely.parent().map(names).unwrap_or_default();
    let there = match beside.is_empty() {
        true => format!("{} has {}", folder.display(), listed(&names(&folder))),
        false => format!("its folder has {}", listed(&beside)),
    };
    (Cause::NoFile, format!("{} is not there ({there}); put it there, or take the row out", likely.display()))
}

/// What is wrong with the name of a folder in `parent`, if it is not there: the folder that may be meant.
fn wrong_folder(parent: &Path, name: &str, prefix: &str) -> Option<(Cause, String)> {
    let folder = parent.join(name);
    if probe::directory(&folder).map_or_else(|error| !error.is_missing(), |()| true) {
        return None;
    }
    let there = names(parent);
    let folder = folder.display();
    Some(match there.iter().find(|other| is_meant(name, other, prefix)) {
        Some(other) => (
            Cause::NoFolder { named_otherwise: true },
            format!("{folder} is not there, and {other} is; write {other} into the table, or rename the folder"),
        ),
        None => (
            Cause::NoFolder { named_otherwise: false },
            format!("{folder} is not there ({} has {}); put it there, or take the row out", parent.display(), listed(&there)),
        ),
    })
}

/// Whether the folder `other` may be meant by `name`: but for the prefix, for capitals, or for zeros before the same number.
fn is_meant(name: &str, other: &str, prefix: &str) -> bool {
    let bare = |name: &str| {
        let name = name.to_lowercase();
        let name = name.strip_prefix(prefix).unwrap_or(&name);
        let digits = name.find(|letter: char| letter.is_ascii_digit()).unwrap_or(name.len());
        let (word, number) = name.split_at(digits);
        let significant = number.trim_start_matches('0');
        // Of zeros alone, one stays.
        let zero = if significant.starts_with(|letter: char| letter.is_ascii_digit()) || number.is_empty() { "" } else { "0" };
        format!("{word}{zero}{significant}")
    };
    bare(name) == bare(other)
}

/// A link to nothing in an annex, under a name that the image may have.
fn annexed(file: &ImageFile, participant: &str) -> Option<PathBuf> {
    let fitting = names(file.folder()).into_iter().filter(|name| file.prefix(participant, name).is_some());
    fitting.map(|name| file.folder().join(name)).find(|path| annex::is_link_to_nothing(path))
}

/// What cannot be listed is as good as empty here.
fn names(folder: &Path) -> Vec<String> {
    let mut names = probe::names(folder).unwrap_or_default();
    names.sort();
    names
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED);
    match names.len() {
        0 => "nothing".to_string(),
        _ if more > 0 => format!("{} and {more} more", names[..LISTED].join(", ")),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::words::Preprocessing;
    use crate::testing::tempdir;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// The clause on sub-R00, ses-M048 in a CAPS with these files; each may be followed by the target of a link.
    fn said(files: &[(&str, Option<&str>)]) -> String {
        let dir = tempdir();
        for (file, target) in files {
            let path = dir.path().join("subjects").join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            match target {
                Some(target) => symlink(target, &path).expect("linked"),
                None => fs::write(&path, "").expect("written"),
            }
        }
        let at = CapsSession { participant: "sub-R00", session: "ses-M048" };
        explain(&Caps::new(dir.path(), Preprocessing::T1Linear), at).1.replace(&format!("{}/", dir.path().display()), "")
    }

    #[test]
    fn what_lies_beside_is_said() {
        let name = "sub-R00_ses-M048_space-MNI152NLin2009cSym";
        for (files, expected) in [
            (
                &[("sub-R00/ses-M48/t1_linear/x", None)][..],
                "subjects/sub-R00/ses-M048 is not there, and ses-M48 is; write ses-M48 into the table, or rename the folder".to_string(),
            ),
            (
                &[("sub-R00/ses-M000/x", None), ("sub-R00/ses-M012/x", None)],
                "subjects/sub-R00/ses-M048 is not there (subjects/sub-R00 has ses-M000, ses-M012); put it there, or take the row out".to_string(),
            ),
            (
                &[("sub-r00/ses-M048/x", None)],
                "subjects/sub-R00 is not there, and sub-r00 is; write sub-r00 into the table, or rename the folder".to_string(),
            ),
            (
                &[("sub-A/x", None), ("sub-B/x", None), ("sub-C/x", None), ("sub-D/x", None)],
                "subjects/sub-R00 is not there (subjects has sub-A, sub-B, sub-C and 1 more); put it there, or take the row out".to_string(),
            ),
            (
                &[("sub-R00/ses-M048/t1_linear/uncropped.nii.gz", None)],
                format!("subjects/sub-R00/ses-M048/t1_linear/{name}_desc-Crop_res-1x1x1_T1w.nii.gz is not there (its folder has uncropped.nii.gz); put it there, or take the row out"),
            ),
            (
                &[("sub-R00/ses-M048/pet_linear/x", None)],
                format!("subjects/sub-R00/ses-M048/t1_linear/{name}_desc-Crop_res-1x1x1_T1w.nii.gz is not there (subjects/sub-R00/ses-M048 has pet_linear); put it there, or take the row out"),
            ),
            (
                &[
                    ("sub-R00/ses-M048/t1_linear/other.nii.gz", Some("../../../../.git/annex/objects/a/other.nii.gz")),
                    (
                        "sub-R00/ses-M048/t1_linear/sub-R00_ses-M048_run-1_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz",
                        Some("../../../../.git/annex/objects/a/i.nii.gz"),
                    ),
                ],
                format!("subjects/sub-R00/ses-M048/t1_linear/sub-R00_ses-M048_run-1_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz {}", annex::SENTENCE),
            ),
        ] {
            assert_eq!(said(files), expected);
        }
    }

    #[test]
    fn a_folder_is_meant_by_another_writing_of_its_name_alone() {
        for (name, other, prefix, meant) in [
            ("ses-M000", "ses-M00", "ses-", true),
            ("ses-M00", "ses-M000", "ses-", true),
            ("ses-M048", "ses-M48", "ses-", true),
            ("R00", "sub-R00", "sub-", true),
            ("sub-R00", "R00", "sub-", true),
            ("sub-r00", "sub-R00", "sub-", true),
            ("ses-M000", "ses-M006", "ses-", false),
            ("ses-M006", "ses-M060", "ses-", false),
            ("sub-R01", "sub-S01", "sub-", false),
            ("ses-baseline", "ses-M00", "ses-", false),
        ] {
            assert_eq!(is_meant(name, other, prefix), meant, "{name} {other}");
        }
    }
}
