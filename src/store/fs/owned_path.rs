//! Paths that say how much of them is ours: below a launch directory, or a job's folder, no part of a path may be a link.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file or folder, and how much of its path is the user's own business.
pub trait Place {
    fn path(&self) -> &Path;

    /// How many of the path's last parts must not be links; 0 for a path that somebody gave us as it is.
    fn own_parts(&self) -> usize;

    /// The directory in front of those parts, where it is held open: it is that very one, whatever has its name by now.
    fn held(&self) -> Option<&OwnedFd> {
        None
    }
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
    held: OpenDirectory,
}

/// An open directory, which makes no difference between two paths.
#[derive(Debug, Clone, Default)]
struct OpenDirectory(Option<Arc<OwnedFd>>);

impl PartialEq for OpenDirectory {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OpenDirectory {}

impl Hash for OpenDirectory {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl PartialOrd for OpenDirectory {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OpenDirectory {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

impl Below {
    /// A directory as it was given, in which every part that is joined will be ours.
    pub fn given(path: impl Into<PathBuf>) -> Self {
        Below { path: path.into(), own_parts: 0, held: OpenDirectory::default() }
    }

    /// The same, for a directory that is open: what is joined is looked up in it, in one step, and not along its path.
    pub(crate) fn open(path: impl Into<PathBuf>, directory: Arc<OwnedFd>) -> Self {
        Below { path: path.into(), own_parts: 0, held: OpenDirectory(Some(directory)) }
    }

    /// What lies here under `name`, which is one part or several.
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        // Most names are one part, and an analysis joins many thousands.
        let bytes = name.as_os_str().as_bytes();
        let one = !bytes.is_empty() && bytes != b"." && !bytes.contains(&b'/');
        let own_parts = self.own_parts + if one { 1 } else { name.components().count() };
        let mut path = PathBuf::with_capacity(self.path.as_os_str().len() + 1 + bytes.len());
        path.push(&self.path);
        path.push(name);
        Below { path, own_parts, held: self.held.clone() }
    }

    /// The folder in which it lies.
    pub fn folder(&self) -> Self {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let held = if self.own_parts == 0 { OpenDirectory::default() } else { self.held.clone() };
        Below { path: folder.to_path_buf(), own_parts: self.own_parts.saturating_sub(1), held }
    }

    /// What lies beside it under `name`.
    pub fn beside(&self, name: &str) -> Self {
        Below { path: self.path.with_file_name(name), own_parts: self.own_parts, held: self.held.clone() }
    }
}

impl Place for Below {
    fn path(&self) -> &Path {
        &self.path
    }
    fn own_parts(&self) -> usize {
        self.own_parts
    }
    fn held(&self) -> Option<&OwnedFd> {
        self.held.0.as_deref()
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
