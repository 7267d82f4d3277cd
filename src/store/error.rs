//! An error of reading or writing, which always names the file and, where there is one, the cure.

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

    /// The file is not there, which many readers take as an answer.
    pub fn is_missing(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
