//! Small JSON records with a version and a bound on their size: read whole, replaced whole.

use super::atomic;
use super::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// No record or launch file is larger; a larger one is somebody's mistake, or an attack.
pub const LARGEST: u64 = 1 << 20;

/// The text of `path`, at most [`LARGEST`] bytes of UTF-8.
pub fn read_text(path: &Path) -> Result<String, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("read", path, e))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| StoreError::io("read", path, e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(StoreError::content(path, "larger than 1 MiB, which no file of this kind is"));
    }
    String::from_utf8(bytes).map_err(|_| StoreError::content(path, "not UTF-8 text; save it as UTF-8"))
}

/// The record in `path`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| StoreError::content(path, format!("not a record of this version: {e}")))
}

/// Makes `record` the whole content of `path`.
pub fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|e| StoreError::content(path, format!("cannot be written: {e}")))?;
    text.push(b'\n');
    atomic::replace(path, &text)
}
