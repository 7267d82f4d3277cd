//! Says why an image is not found: what lies where it should lie.

use super::caps::{Caps, CapsSession};
use super::image_files;
use super::probe;
use std::path::{Path, PathBuf};

/// Names that are listed before the rest is only counted.
const LISTED: usize = 3;

/// One clause about the image that [`image_files::whole`] does not find, and what cures that.
pub fn clause(caps: &Caps, at: CapsSession<'_>) -> String {
    let folder = caps.session(at);
    if let Some(clause) = wrong_folder(&caps.subjects(), at.participant, "sub-").or_else(|| {
        let participant = caps.subjects().join(at.participant);
        wrong_folder(&participant, at.session, "ses-")
    }) {
        return clause;
    }
    let files = image_files::whole_files(caps, at);
    let likely = |index: usize| files.get(index).map(|file| file.of(&caps.prefix(at, Default::default())));
    // The volume, if the pipeline has one; else the tensor.
    let likely = likely(1).or(likely(0)).unwrap_or_default();
    if let Some(link) = files.iter().find_map(|file| annexed(file.folder())) {
        let link = link.display();
        return format!("{link} is a link of git-annex whose content is not here; `datalad get` fetches it");
    }
    let beside = likely.parent().map(names).unwrap_or_default();
    let there = match beside.is_empty() {
        true => format!("{} has {}", folder.display(), listed(&names(&folder))),
        false => format!("its folder has {}", listed(&beside)),
    };
    format!("{} is not there ({there}); put it there, or take the row out", likely.display())
}

/// What is wrong with the name of a folder in `parent`, if it is not there: the folder that may be meant.
fn wrong_folder(parent: &Path, name: &str, prefix: &str) -> Option<String> {
    let folder = parent.join(name);
    if probe::directory(&folder).map_or_else(|error| !error.is_missing(), |()| true) {
        return None;
    }
    let there = names(parent);
    let number =
        |name: &str| name.trim_start_matches(|letter: char| !letter.is_ascii_digit()).trim_start_matches('0').to_string();
    let is_meant = |other: &&String| {
        **other == format!("{prefix}{name}")
            || other.eq_ignore_ascii_case(name)
            || (!number(name).is_empty() && number(other) == number(name))
    };
    Some(match there.iter().find(is_meant) {
        Some(other) => {
            format!("{} is not there, and {other} is; write {other} into the table, or rename the folder", folder.display())
        }
        None => format!(
            "{} is not there ({} has {}); put it there, or take the row out",
            folder.display(),
            parent.display(),
            listed(&there)
        ),
    })
}

/// A link in `folder` that leads into an annex and to nothing.
fn annexed(folder: &Path) -> Option<PathBuf> {
    let links = names(folder).into_iter().map(|name| folder.join(name));
    links.into_iter().find(|path| {
        let target = std::fs::read_link(path);
        target.is_ok_and(|target| target.components().any(|part| part.as_os_str() == "annex")) && !path.exists()
    })
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
        clause(&Caps::new(dir.path(), Preprocessing::T1Linear), at).replace(&format!("{}/", dir.path().display()), "")
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
                &[("sub-R00/ses-M048/t1_linear/i.nii.gz", Some("../../../../.git/annex/objects/a/b/i.nii.gz"))],
                "subjects/sub-R00/ses-M048/t1_linear/i.nii.gz is a link of git-annex whose content is not here; `datalad get` fetches it".to_string(),
            ),
        ] {
            assert_eq!(said(files), expected);
        }
    }
}
