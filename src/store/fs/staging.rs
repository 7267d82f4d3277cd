//! A folder that is filled beside its place and appears there complete, by one rename.

use super::atomic::{self, TEMPORARY};
use super::error::StoreError;
use super::failpoint::{self, Point};
use super::open;
use super::open_dir::Folder;
use super::owned_path::Below;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

/// A folder in the making; dropped unpublished, it is removed. All of it happens in the very folders that were there when it
/// began, whatever their names lead to by then.
#[derive(Debug)]
pub struct Staging {
    place: Below,
    /// In which the place is.
    above: Folder,
    /// The name it has there meanwhile.
    name: OsString,
    folder: Folder,
}

impl Staging {
    /// Begins a folder that is to appear at `place`, whose parent must be there; a crashed attempt's leftovers are removed.
    pub fn begin(place: &Below) -> Result<Self, StoreError> {
        let name = format!(".{}{TEMPORARY}", place.file_name().unwrap_or_default().to_string_lossy());
        let path = place.beside(&name);
        let above = Folder::open(&place.folder())?;
        let name = OsString::from(name);
        atomic::remove_in(&above, &path)?;
        let made = failpoint::pass(Point::Create, place).and_then(|()| above.spot(&name)?.make_folder());
        made.map_err(|e| open::refused("create", &path, e))?;
        let gone = || StoreError::content(&path, "it was made just now, and is gone");
        let folder = above.below(&name)?.ok_or_else(gone)?;
        Ok(Staging { place: place.clone(), above, name, folder })
    }

    /// Writes the file `below`, a path below the folder, with the folders above it: plainly, since nobody reads it before the
    /// folder is at its place.
    ///
    /// # Errors
    /// Names the file or folder.
    pub fn write(&self, below: &Path, content: &[u8]) -> Result<(), StoreError> {
        let path = self.place.join(below);
        let name = below.file_name().unwrap_or_default();
        let spot = self.folder.make_spot(below.parent().unwrap_or(Path::new("")), name)?;
        let written = failpoint::pass(Point::Write, &path).and_then(|()| spot.create(name)?.write_all(content));
        written.map_err(|e| StoreError::io("write", &path, e))
    }

    /// Puts the folder at its place, with everything in it safely on the disk.
    ///
    /// # Errors
    /// Names the file or folder; there may be nothing at the place but an empty folder.
    pub fn publish(self) -> Result<(), StoreError> {
        failpoint::pass(Point::Sync, &self.place).map_err(|e| StoreError::io("sync", &self.place, e))?;
        self.folder.sync_whole()?;
        let own = self.place.file_name().unwrap_or_default();
        let fail = |e| open::refused("create", &self.place, e);
        let spot = self.above.spot(own).map_err(fail)?;
        let placed = failpoint::pass(Point::Rename, &self.place).and_then(|()| {
            let made = self.above.spot(&self.name)?;
            Ok(made.rename_to(&spot)?)
        });
        placed.map_err(fail)?;
        atomic::settle_in(&spot, &self.place)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After publishing there is none; otherwise the next attempt removes what cannot be removed now.
        let _ = self.above.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn the_folder_appears_complete_and_not_before() {
        let dir = tempdir();
        let place = Below::given(dir.path()).join("results");
        let staging = Staging::begin(&place).expect("begun");
        staging.write(Path::new("below/table.tsv"), b"x").expect("written");
        assert!(!place.exists());
        staging.publish().expect("published");
        assert_eq!(fs::read_to_string(place.join("below/table.tsv")).expect("read"), "x");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn what_is_not_published_leaves_nothing_and_a_crashs_leftovers_go() {
        let dir = tempdir();
        let place = Below::given(dir.path()).join("results");
        let crashed = Staging::begin(&place).expect("begun");
        crashed.write(Path::new("old"), b"x").expect("written");
        std::mem::forget(crashed);
        let staging = Staging::begin(&place).expect("begun again");
        assert_eq!(fs::read_dir(place.beside(&format!(".results{TEMPORARY}"))).expect("listed").count(), 0);
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    }

    #[test]
    fn results_go_to_the_folder_itself_though_another_has_its_name_now() {
        let dir = tempdir();
        let (fold, moved) = (dir.path().join("fold-0"), dir.path().join("moved"));
        fs::create_dir(&fold).expect("made");
        let staging = Staging::begin(&Below::given(dir.path()).join("fold-0/results")).expect("begun");
        fs::rename(&fold, &moved).expect("moved");
        fs::create_dir(&fold).expect("made");
        staging.write(Path::new("below/table.tsv"), b"x").expect("written");
        staging.publish().expect("published");
        assert_eq!(fs::read_to_string(moved.join("results/below/table.tsv")).expect("read"), "x");
        assert_eq!(fs::read_dir(&fold).expect("listed").count(), 0);
    }
}
