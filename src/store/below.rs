//! Paths that say how much of them is ours: below a launch directory, or a job's folder, no part of a path may be a link.

use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A file or folder, and how much of its path is the user's own business.
pub trait Place {
    fn path(&self) -> &Path;

    /// How many of the path's last parts must not be links; 0 for a path that somebody gave us as it is.
    fn own_parts(&self) -> usize;
}

impl Place for Path {
    fn path(&self) -> &Path {
        self
    }
    fn own_parts(&self) -> usize {
        0
    }
}

impl Place for PathBuf {
    fn path(&self) -> &Path {
        self
    }
    fn own_parts(&self) -> usize {
        0
    }
}

/// A path whose last parts are ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Below {
    path: PathBuf,
    own_parts: usize,
}

impl Below {
    /// A directory as it was given, in which every part that is joined will be ours.
    pub fn given(path: impl Into<PathBuf>) -> Self {
        Below { path: path.into(), own_parts: 0 }
    }

    /// What lies here under `name`, which is one part or several.
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Below { path: self.path.join(name), own_parts: self.own_parts + name.components().count() }
    }

    /// The folder in which it lies.
    pub fn folder(&self) -> Self {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        Below { path: folder.to_path_buf(), own_parts: self.own_parts.saturating_sub(1) }
    }

    /// What lies beside it under `name`.
    pub fn beside(&self, name: &str) -> Self {
        Below { path: self.path.with_file_name(name), own_parts: self.own_parts }
    }
}

impl Place for Below {
    fn path(&self) -> &Path {
        &self.path
    }
    fn own_parts(&self) -> usize {
        self.own_parts
    }
}

impl Deref for Below {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for Below {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl From<Below> for PathBuf {
    fn from(below: Below) -> Self {
        below.path
    }
}
