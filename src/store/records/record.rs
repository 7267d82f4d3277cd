//! Small JSON records with a version and a bound on their size: read whole, replaced whole.

use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Place;
use crate::store::fs::{atomic, open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No record or launch file is larger; a larger one is somebody's mistake, or an attack.
pub const LARGEST: u64 = 1 << 20;

/// The text of `place`, at most [`LARGEST`] bytes of UTF-8.
pub fn read_text(place: &(impl Place + ?Sized)) -> Result<String, StoreError> {
    let bytes = open::bytes(place, LARGEST, "larger than 1 MiB, which no file of this kind is")?;
    String::from_utf8(bytes).map_err(|_| StoreError::content(place.path(), "not UTF-8 text; save it as UTF-8"))
}

/// A format that may grow: each file says which version of it was written.
pub trait Record: DeserializeOwned {
    /// The newest version that can be read; versions begin at 1.
    const NEWEST: u32;

    fn version(&self) -> u32;
}

/// What every version of every record has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

/// The record in `place`.
///
/// # Errors
/// Names the file: not there, no such record, or one that a newer program wrote.
pub fn read<T: Record>(place: &(impl Place + ?Sized)) -> Result<T, StoreError> {
    parse(&read_text(place)?).map_err(|sentence| StoreError::content(place.path(), sentence))
}

/// As [`read`], or None if there is no such file.
///
/// # Errors
/// When there is one that cannot be read: then nobody knows what it says.
pub fn read_optional<T: Record>(place: &(impl Place + ?Sized)) -> Result<Option<T>, StoreError> {
    match read(place) {
        Ok(record) => Ok(Some(record)),
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

/// As [`read`], from memory. The error is one clause.
pub fn parse<T: Record>(text: &str) -> Result<T, String> {
    let read = serde_json::from_str::<T>(text);
    // One that cannot be read may still say that it is of a version with other keys.
    let version = match &read {
        Ok(record) => Some(record.version()),
        Err(_) => serde_json::from_str(text).map(|head: Head| head.version).ok(),
    };
    match version {
        Some(0) => Err("it has version 0, which there never was".to_string()),
        Some(version) if version > T::NEWEST => {
            let newest = T::NEWEST;
            Err(format!(
                "it has version {version}, of a newer neurosearch; this one reads up to version {newest}: use the newer one"
            ))
        }
        _ => read.map_err(|e| format!("not a record of this version: {e}")),
    }
}

/// The JSON in `place`, which is no record of ours.
///
/// # Errors
/// Names the file.
pub fn read_json<T: DeserializeOwned>(place: &(impl Place + ?Sized)) -> Result<T, StoreError> {
    let text = read_text(place)?;
    serde_json::from_str(&text).map_err(|e| StoreError::content(place.path(), format!("not the JSON that belongs here: {e}")))
}

/// Makes `record` the whole content of `place`.
pub fn write<T: Serialize>(place: &(impl Place + ?Sized), record: &T) -> Result<(), StoreError> {
    let mut text =
        serde_json::to_vec_pretty(record).map_err(|e| StoreError::content(place.path(), format!("cannot be written: {e}")))?;
    text.push(b'\n');
    atomic::replace(place, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Ended;
    use crate::store::records::job_records::EndRecord;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_record_of_a_version_that_is_not_known_says_so_whatever_else_stands_in_it() {
        let dir = tempdir();
        let path = dir.path().join("end.json");
        for (text, words) in [
            (r#"{"version": 2, "ended": "done", "attempt": 1}"#, "version 2"),
            (r#"{"version": 7, "outcome": {"kind": "new"}}"#, "version 7"),
            (r#"{"version": 0, "ended": "done", "attempt": 1}"#, "version 0"),
            (r#"{"version": -1, "ended": "done", "attempt": 1}"#, "not a record"),
            (r#"{"version": 1, "ended": "done"}"#, "attempt"),
            (r#"{"ended": "done", "attempt": 1}"#, "version"),
            ("", "not a record"),
        ] {
            fs::write(&path, text).expect("written");
            let error = read::<EndRecord>(&path).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("end.json"), "{text}: {error}");
        }
        write(&path, &EndRecord { version: 1, ended: Ended::Done, attempt: 3, unread: None }).expect("written");
        assert_eq!(read::<EndRecord>(&path).expect("read").attempt, 3);
    }
}
