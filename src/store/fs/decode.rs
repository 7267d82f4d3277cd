//! A file on its way through a decoder: what is wrong with its content is told from what the system did not give of it.

use super::annex;
use super::error::StoreError;
use super::open;
use super::owned_path::Place;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A file that remembers what the system refused, since decoders make words of it that no longer tell.
#[derive(Debug)]
pub struct GuardedFile {
    file: File,
    /// The system's code of the last refusal.
    refused: Option<i32>,
}

impl GuardedFile {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(e) = &result
            && e.kind() != io::ErrorKind::Interrupted
        {
            self.refused = e.raw_os_error().or(self.refused);
        }
        result
    }
}

impl Read for GuardedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        self.note(read)
    }
}

impl Seek for GuardedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to);
        // A place before the file's beginning is asked for by what stands in it, or by its length.
        if at.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::InvalidInput) { at } else { self.note(at) }
    }
}

/// What `decode` makes of the regular file at `place`, of which it is told the length in bytes. Its error is one clause.
///
/// # Errors
/// Names the file: as [`open::read`], what the system refused while it was decoded, or the clause.
pub fn decode<T>(
    place: &(impl Place + ?Sized),
    decode: impl FnOnce(&mut GuardedFile, u64) -> Result<T, String>,
) -> Result<T, StoreError> {
    let file = open::read(place)?;
    let length = file.metadata().map_err(|e| StoreError::io("read", place.path(), e))?.len();
    through(place.path(), GuardedFile { file, refused: None }, |reading| decode(reading, length))
}

fn through<T>(
    path: &Path,
    mut reading: GuardedFile,
    decode: impl FnOnce(&mut GuardedFile) -> Result<T, String>,
) -> Result<T, StoreError> {
    let decoded = decode(&mut reading);
    decoded.map_err(|clause| match reading.refused {
        Some(code) => StoreError::io("read", path, io::Error::from_raw_os_error(code)),
        None if is_annex_pointer(&mut reading.file) => StoreError::content(path, annex::SENTENCE),
        None => StoreError::content(path, clause),
    })
}

/// Whether the file stands for one of git-annex.
fn is_annex_pointer(file: &mut File) -> bool {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(annex::LONGEST + 1).read_to_string(&mut text));
    read.is_ok() && annex::is_pointer(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::formats::{nifti, torch_file};
    use crate::testing::tempdir;
    use std::io::BufReader;

    #[test]
    fn what_the_system_does_not_give_is_no_fault_of_the_content_whoever_decodes_it() {
        // Nothing is mapped at a process's first page, so that this regular file fails at its first byte.
        let path = Path::new("/proc/self/mem");
        for failure in [nifti::read(path).map(drop), nifti::shape(path).map(drop)] {
            let error = failure.expect_err("nothing can be read");
            assert!(error.is_of_the_disk() && error.to_string().contains("/proc/self/mem"), "{error}");
        }
        // A file that is open for writing alone is refused likewise, and an archive is looked for from its end.
        let dir = tempdir();
        let path = dir.path().join("tensor.pt");
        std::fs::write(&path, [0; 100]).expect("written");
        let file = File::options().write(true).open(&path).expect("opened");
        let archive = |reading: &mut GuardedFile| torch_file::read_from(BufReader::new(reading), 100);
        let error = through(&path, GuardedFile { file, refused: None }, archive).expect_err("nothing can be read");
        assert!(!error.is_of_the_file() && error.to_string().contains("tensor.pt"), "{error}");
    }

    #[test]
    fn the_pointer_of_an_annexed_file_says_how_its_content_is_fetched() {
        let dir = tempdir();
        let path = dir.path().join("image.nii.gz");
        // An unlocked file, and a link where the file system has none.
        for text in ["/annex/objects/MD5E-s3406--01.nii.gz\n", "../../.git/annex/objects/Xx/Yy/SHA256E-s512--00.nii.gz"] {
            std::fs::write(&path, text).expect("written");
            for failure in [nifti::read(&path).map(drop), torch_file::read(&path).map(drop), nifti::shape(&path).map(drop)] {
                assert!(failure.expect_err("refused").to_string().contains("datalad get"), "{text}");
            }
        }
    }

    #[test]
    fn a_file_that_ends_too_soon_or_claims_what_is_not_there_is_at_fault_itself() {
        let dir = tempdir();
        let path = dir.path().join("short");
        for bytes in [&b""[..], b"x", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x5c\x01", b"PK\x05\x06 and no more of an archive"] {
            std::fs::write(&path, bytes).expect("written");
            for failure in [nifti::read(&path).map(drop), torch_file::read(&path).map(drop), nifti::shape(&path).map(drop)] {
                let error = failure.expect_err("refused");
                assert!(matches!(error, StoreError::Content { .. }), "{bytes:?}: {error}");
            }
        }
    }
}
