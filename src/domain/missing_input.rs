//! What of a job's inputs is out of reach.

use std::fmt;
use std::path::PathBuf;

/// An input that a job or a draw needs and does not get, through no fault of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The disk does not give it.
    File(PathBuf),
    /// One of the data's own directories, such as the CAPS, is not there: its file system is not mounted, perhaps.
    Directory(PathBuf),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::File(path) => write!(f, "{} cannot be read", path.display()),
            Input::Directory(path) => write!(f, "{} is not there; is its file system mounted?", path.display()),
        }
    }
}
