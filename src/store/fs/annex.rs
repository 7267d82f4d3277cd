//! Tells a file of git-annex whose content is elsewhere: a link that leads nowhere, or a text that stands for the file.

use std::path::Path;

/// What is said of such a file, after its path.
pub const SENTENCE: &str = "stands for a file of git-annex whose content is not here; `datalad get` fetches it";

/// No such text is longer: it is a path, and a line feed.
pub const LONGEST: u64 = 4096;

const OBJECTS: &str = "annex/objects/";

/// Whether the text is the pointer of an unlocked file, or a link where the file system has none.
pub fn is_pointer(text: &str) -> bool {
    text.len() as u64 <= LONGEST && text.trim_end().lines().count() == 1 && text.contains(&format!("/{OBJECTS}"))
}

/// Whether `path` is a link into an annex that leads to nothing.
pub fn is_link_to_nothing(path: &Path) -> bool {
    let into_annex = std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains(OBJECTS));
    into_annex && !path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_text_or_a_link_into_an_annex_is_told_from_any_other() {
        for (text, is_one) in [
            ("/annex/objects/MD5E-s3406--01.nii.gz\n", true),
            ("../../.git/annex/objects/Xx/Yy/SHA256E-s512--00.nii.gz", true),
            ("participant_id\tsession_id\nsub-1\t/annex/objects/x\n", false),
            ("", false),
        ] {
            assert_eq!(is_pointer(text), is_one, "{text:?}");
        }
        let dir = tempdir();
        let here = dir.path().join("annex/objects/x");
        std::fs::create_dir_all(here.parent().expect("a folder")).expect("made");
        std::fs::write(&here, "").expect("written");
        for (name, target, is_one) in
            [("gone", "../.git/annex/objects/x", true), ("there", "annex/objects/x", false), ("elsewhere", "nowhere", false)]
        {
            symlink(target, dir.path().join(name)).expect("linked");
            assert_eq!(is_link_to_nothing(&dir.path().join(name)), is_one, "{name}");
        }
        assert!(!is_link_to_nothing(&here));
    }
}
