//! Whether a file system gives other files than the one that it does not: a bad place on a disk is told from an outage.

use super::error::StoreError;
use super::open;
use crate::domain::missing_input::Input;
use crate::store::data::probe;
use rustix::fs::{Advice, fadvise, statvfs};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Folders above the file's own in which other files are looked for: an image's participant and session, and all participants.
const UP: usize = 3;

/// Entries that are looked at in one search, and other files that are tried.
const LOOKED_AT: usize = 200;
const TRIED: usize = 8;

/// Whether the file system of `file`, which it does not give, otherwise answers: the file's folder can be listed, and another
/// file near it be read, if there is one. May take as long as the file system does.
pub fn otherwise(file: &Path) -> bool {
    let Some(folder) = file.parent() else { return false };
    let Some(names) = disk(folder) else { return false };
    if statvfs(folder).is_err() || !fs::read_dir(folder).is_ok_and(|entries| entries.into_iter().all(|entry| entry.is_ok())) {
        return false;
    }
    let mut search = FileSearch { but: file, names, content: disk(file).unwrap_or(names), left: LOOKED_AT, tried: 0 };
    // Without any other file, the folder's answer is all that there is.
    folder.ancestors().take(UP + 1).enumerate().any(|(depth, above)| search.finds(above, depth)) || search.tried == 0
}

/// Tries an input again that its file system did not give, or that was not there.
///
/// # Errors
/// When it still does not, nor any other file. May take as long as the file system does.
pub fn again(input: &Input) -> Result<(), StoreError> {
    let file = match input {
        Input::File(file) => file,
        Input::Directory(directory) => {
            let looked = probe::directory(directory);
            return looked.or_else(|error| if error.is_missing() || error.is_of_the_disk() { Err(error) } else { Ok(()) });
        }
    };
    match open::read(file).and_then(|mut open| first_byte(&mut open).map_err(|e| StoreError::io("read", file, e))) {
        Err(error) if error.is_of_the_disk() && !otherwise(file) => Err(error),
        // Whatever else is wrong with it, its own job finds out.
        _ => Ok(()),
    }
}

/// How much of one byte can be read from a file, from the disk where the system can be moved to that.
fn first_byte(file: &mut File) -> io::Result<usize> {
    // Only a hint: a byte that the system has kept in memory would tell nothing of the disk.
    let _ = fadvise(&*file, 0, None, Advice::DontNeed);
    file.read(&mut [0])
}

/// Which file system something is on, or None if that cannot be known.
fn disk(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|meta| meta.dev())
}

/// A look for one file that can be read.
struct FileSearch<'a> {
    but: &'a Path,
    /// The file system of the folder.
    names: u64,
    /// That of the file, to which a link may lead.
    content: u64,
    left: usize,
    tried: usize,
}

impl FileSearch<'_> {
    /// Whether a file in `folder`, or at most this number of folders below it, can be read.
    fn finds(&mut self, folder: &Path, depth: usize) -> bool {
        // Beyond a mount, others answer.
        if disk(folder) != Some(self.names) {
            return false;
        }
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if self.left == 0 || self.tried == TRIED {
                return false;
            }
            self.left -= 1;
            let path = entry.path();
            let below = depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir());
            if if below { self.finds(&path, depth - 1) } else { self.reads(&path) } {
                return true;
            }
        }
        false
    }

    /// Whether the first byte of a file can be read.
    fn reads(&mut self, path: &Path) -> bool {
        if path == self.but {
            return false;
        }
        // What is no regular file, or may not be read, says nothing of the disk.
        let mut file = match open::read(path) {
            Ok(file) => file,
            Err(error) => {
                self.tried += usize::from(error.is_of_the_disk());
                return false;
            }
        };
        if file.metadata().map_or(true, |meta| meta.dev() != self.content) {
            return false;
        }
        let read = first_byte(&mut file);
        // An empty file says nothing either.
        self.tried += usize::from(!matches!(read, Ok(0)));
        matches!(read, Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// The image of participant `name`, whose first byte cannot be read.
    fn bad_image(subjects: &Path, name: &str) -> PathBuf {
        let folder = subjects.join(name).join("ses-1/t1_linear");
        fs::create_dir_all(&folder).expect("made");
        symlink("/proc/self/mem", folder.join("image.nii.gz")).expect("linked");
        folder.join("image.nii.gz")
    }

    #[test]
    fn one_bad_file_among_others_is_no_outage_and_none_that_can_be_read_is() {
        let dir = tempdir();
        // Below folders without files of their own.
        let subjects = dir.path().join("caps/a/subjects");
        let image = bad_image(&subjects, "sub-1");
        assert!(otherwise(&image), "its folder answers, and there is no other file");
        fs::write(image.with_file_name("empty"), "").expect("written");
        assert!(otherwise(&image), "that says nothing");
        bad_image(&subjects, "sub-2");
        assert!(!otherwise(&image), "no file can be read");
        let other = bad_image(&subjects, "sub-3");
        fs::write(other.with_file_name("image.json"), "x").expect("written");
        assert!(!otherwise(&image), "that is on another file system than what the links lead to");
        symlink("/proc/self/status", other.with_file_name("image.pt")).expect("linked");
        assert!(otherwise(&image), "another participant's can");
        assert!(!otherwise(&dir.path().join("gone/image.nii.gz")), "the folder cannot be listed");
        let again = |file: &Path| again(&Input::File(file.to_path_buf()));
        assert!(again(&image).is_ok(), "it is the only one");
        fs::remove_file(other.with_file_name("image.pt")).expect("removed");
        assert!(again(&image).expect_err("none can").to_string().contains("sub-1"));
        assert!(again(&other.with_file_name("image.json")).is_ok());
        symlink("/proc/self/status", other.with_file_name("image.pt")).expect("linked");
        let (but, left, tried) = (image.as_path(), LOOKED_AT, 0);
        let (names, content) = (disk(&subjects).expect("looked"), disk(&image).expect("looked"));
        assert!(FileSearch { but, names, content, left, tried }.finds(&subjects, UP));
        assert!(!FileSearch { but, names: names + 1, content, left, tried }.finds(&subjects, UP), "beyond a mount");
    }
}
