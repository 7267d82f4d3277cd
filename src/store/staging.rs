//! A folder that is filled beside its place and appears there complete, by one rename.

use super::atomic::{self, TEMPORARY, sync_directory};
use super::error::StoreError;
use super::failpoint::{self, Point};
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
        atomic::remove(&folder)?;
        let made = failpoint::pass(Point::Create, place).and_then(|()| fs::create_dir(&folder));
        made.map_err(|e| StoreError::io("create", &folder, e))?;
        Ok(Staging { place: place.to_path_buf(), folder })
    }

    /// Where to put the content meanwhile.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the file `below`, a path below the folder, with the folders above it: plainly, since nobody reads it before the
    /// folder is at its place.
    ///
    /// # Errors
    /// Names the file or folder.
    pub fn write(&self, below: &Path, content: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(below);
        atomic::make_below(&self.folder, path.parent().unwrap_or(&self.folder))?;
        let written = failpoint::pass(Point::Write, &self.place.join(below)).and_then(|()| fs::write(&path, content));
        written.map_err(|e| StoreError::io("write", &path, e))
    }

    /// Puts the folder at its place, with everything in it safely on the disk.
    ///
    /// # Errors
    /// Names the file or folder; there may be nothing at the place but an empty folder.
    pub fn publish(self) -> Result<(), StoreError> {
        failpoint::pass(Point::Sync, &self.place).map_err(|e| StoreError::io("sync", &self.folder, e))?;
        sync(&self.folder)?;
        let placed = failpoint::pass(Point::Rename, &self.place).and_then(|()| fs::rename(&self.folder, &self.place));
        placed.map_err(|e| StoreError::io("create", &self.place, e))?;
        atomic::settle(&self.place)
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
        staging.write(Path::new("below/table.tsv"), b"x").expect("written");
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
