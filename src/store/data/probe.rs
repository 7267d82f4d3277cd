//! A quick look at what lies at a path: whether it is there, and a tensor's size, without reading more than that takes.

use crate::store::formats::torch_file;
use crate::store::formats::torch_value::Value;
use crate::store::fs::error::StoreError;
use crate::store::fs::{decode, open};
use rustix::fs::FileType;
use std::io::{self, BufReader};
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
    open::directory(path).map(drop).map_err(|error| match error {
        StoreError::Io { path, source, .. } => StoreError::Io { action: "list", path, source },
        other => other,
    })
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

/// Whether the `.pt` file is there to its end and its first storage has `bytes` bytes: that its tensor has the size of
/// another is then as good as known, at the price of a look at the archive's index.
///
/// # Errors
/// Names the file: not there, or cut short.
pub fn tensor_has_bytes(path: &Path, bytes: u64) -> Result<bool, StoreError> {
    decode::decode(path, |file, _| {
        let mut archive = zip::ZipArchive::new(BufReader::with_capacity(1 << 12, file))
            .map_err(|e| format!("cut short, or not PyTorch's zip format ({e})"))?;
        let storage = archive.file_names().flatten().find(|name| name.ends_with("/data/0")).map(|name| name.into_owned());
        let Some(storage) = storage else { return Ok(false) };
        let entry = archive.by_name(&storage).map_err(|e| format!("damaged ({e})"))?;
        Ok(entry.size() == bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_tensors_size_is_seen_in_the_archives_index() {
        let dir = tempdir();
        let path = dir.path().join("t.pt");
        let value = Value::Tensor(crate::store::formats::torch_tensor::Tensor::f32(&[1, 2, 3, 4], vec![0.0; 24]));
        torch_file::write(&path, "t", &value).expect("written");
        assert_eq!(tensor(&path).expect("read"), [1, 2, 3, 4]);
        assert!(tensor_has_bytes(&path, 96).expect("whole"));
        assert!(!tensor_has_bytes(&path, 92).expect("whole"));
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        assert!(tensor_has_bytes(&path, 96).is_err());
    }
}
