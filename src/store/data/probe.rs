//! A quick look at what lies at a path: whether it is there, and a tensor's size, without reading more than that takes.

use crate::store::formats::torch_file;
use crate::store::formats::torch_value::Value;
use crate::store::fs::error::StoreError;
use crate::store::fs::{open, open_dir};
use rustix::fs::FileType;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Whether there is a file that can be asked for its content, a link to one included.
///
/// # Errors
/// When that cannot be known; names the path.
pub fn is_file(path: &Path) -> Result<bool, StoreError> {
    match open::look(path) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(StoreError::io("look at", path, e)),
    }
}

/// Whether anything has this name, be it a link that leads nowhere.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether the directory can be listed.
///
/// # Errors
/// Names the directory, and why not.
pub fn directory(path: &Path) -> Result<(), StoreError> {
    directory_of(path).map(drop)
}

fn directory_of(path: &Path) -> Result<OwnedFd, StoreError> {
    open::directory(path).map_err(|error| match error {
        StoreError::Io { path, source, .. } => StoreError::Io { action: "list", path, source },
        other => other,
    })
}

/// The names in a folder that are text; none if there is no such folder.
///
/// # Errors
/// When it cannot be listed; names the folder.
pub fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match directory_of(folder) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        opened => open_dir::entries(&opened?).map_err(|e| StoreError::io("list", folder, e.into()))?,
    };
    Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
}

/// The shape of the tensor in a `.pt` file, which is read whole.
///
/// # Errors
/// Names the file: not there, damaged, or something other than a tensor.
pub fn tensor(path: &Path) -> Result<Vec<usize>, StoreError> {
    match torch_file::read(path)? {
        Value::Tensor(tensor) => Ok(tensor.shape),
        _ => Err(StoreError::content(path, "holds no single tensor")),
    }
}
