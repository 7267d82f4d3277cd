//! A folder that is filled beside its place and appears there complete, by one rename.

use super::atomic::{TEMPORARY, sync_directory};
use super::error::StoreError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A folder in the making; dropped unpublished, it is removed.
#[derive(Debug)]
pub struct Staging {
    place: PathBuf,
    folder: PathBuf,
}

impl Staging {
    /// Begins a folder that is to appear at `place`, whose parent must be there; a crashed attempt's leftovers are removed.
    pub fn begin(place: &Path) -> Result<Self, StoreError> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let folder = place.with_file_name(format!(".{name}{TEMPORARY}"));
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io("remove", &folder, e)),
            _ => {}
        }
        fs::create_dir(&folder).map_err(|e| StoreError::io("create", &folder, e))?;
        Ok(Staging { place: place.to_path_buf(), folder })
    }

    /// Where to put the content meanwhile.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Puts the folder at its place, with everything in it safely on the disk.
    ///
    /// # Errors
    /// Names the file or folder; there may be nothing at the place but an empty folder.
    pub fn publish(self) -> Result<(), StoreError> {
        sync(&self.folder)?;
        fs::rename(&self.folder, &self.place).map_err(|e| StoreError::io("create", &self.place, e))?;
        sync_directory(self.place.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After publishing there is none; otherwise the next attempt removes what cannot be removed now.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Syncs every file and folder in `folder`, and itself.
fn sync(folder: &Path) -> Result<(), StoreError> {
    let fail = |e| StoreError::io("sync", folder, e);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            sync(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(|e| StoreError::io("sync", &path, e))?;
        }
    }
    sync_directory(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_appears_complete_and_not_before() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path().join("results");
        let staging = Staging::begin(&place).expect("begun");
        fs::create_dir(staging.folder().join("below")).expect("made");
        fs::write(staging.folder().join("below/table.tsv"), "x").expect("written");
        assert!(!place.exists());
        staging.publish().expect("published");
        assert_eq!(fs::read_to_string(place.join("below/table.tsv")).expect("read"), "x");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn what_is_not_published_leaves_nothing_and_a_crashs_leftovers_go() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path().join("results");
        let crashed = Staging::begin(&place).expect("begun");
        fs::write(crashed.folder().join("old"), "x").expect("written");
        std::mem::forget(crashed);
        let staging = Staging::begin(&place).expect("begun again");
        assert_eq!(fs::read_dir(staging.folder()).expect("listed").count(), 0);
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    }
}
