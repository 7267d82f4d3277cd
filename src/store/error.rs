//! An error of reading or writing, which always names the file and, where there is one, the cure.

use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with one file. `Display` is one sentence that names it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused: `action` is a verb, as in "read" or "replace".
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// The file is there but not what it should be; the sentence says what was found and what is allowed.
    #[error("{}: {sentence}", path.display())]
    Content { path: PathBuf, sentence: String },
}

impl StoreError {
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        StoreError::Io { action, path: path.to_path_buf(), source }
    }

    pub fn content(path: &Path, sentence: impl Into<String>) -> Self {
        StoreError::Content { path: path.to_path_buf(), sentence: sentence.into() }
    }

    pub fn path(&self) -> &Path {
        match self {
            StoreError::Io { path, .. } | StoreError::Content { path, .. } => path,
        }
    }

    /// The disk is full, over quota, read-only or failing: no fault of the file or of whoever wrote it, and it may pass.
    pub fn is_of_the_disk(&self) -> bool {
        let StoreError::Io { source, .. } = self else { return false };
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(source);
        while let Some(now) = error {
            // What a format's writer passes on stands within an error of its own.
            let io = now.downcast_ref::<io::Error>();
            let code = io.and_then(io::Error::raw_os_error).map(Errno::from_raw_os_error);
            if matches!(code, Some(Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO | Errno::STALE)) {
                return true;
            }
            error = io.and_then(io::Error::get_ref).map_or_else(|| now.source(), |inner| Some(inner));
        }
        false
    }

    /// The file is not there, which many readers take as an answer.
    pub fn is_missing(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_failing_disk_is_told_from_a_file_that_is_at_fault_however_deep_the_error_lies() {
        let error = |source| StoreError::io("replace", Path::new("/x"), source);
        for code in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO] {
            assert!(error(code.into()).is_of_the_disk(), "{code}");
            let wrapped = io::Error::other(zip::result::ZipError::Io(code.into()));
            assert!(error(io::Error::other(wrapped)).is_of_the_disk(), "{code}");
        }
        for code in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR] {
            assert!(!error(code.into()).is_of_the_disk(), "{code}");
        }
        assert!(!StoreError::content(Path::new("/x"), "no JSON").is_of_the_disk());
    }
}
