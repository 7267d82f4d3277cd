//! A launch directory's `random_search.json` and `random_search.error`: read with suspicion, replaced whole.

use super::layout::LaunchDir;
use super::record::LARGEST;
use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Below;
use crate::store::fs::rights::Rights;
use crate::store::fs::{atomic, open};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What lies where `random_search.json` should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceFile {
    Missing,
    /// It is as it was at `stamp`, so it was not read again.
    Unchanged,
    /// Whole text, read from the very file that the stamp describes.
    Text {
        stamp: Stamp,
        text: String,
    },
    /// It cannot be accepted, for this reason; without a stamp it could not even be looked at.
    Refused {
        stamp: Option<Stamp>,
        sentence: String,
    },
}

/// The stamp of the file now, or None if there is none.
///
/// # Errors
/// When it cannot be looked at, which does not mean that it is gone.
pub fn stamp(launch: &LaunchDir) -> Result<Option<Stamp>, StoreError> {
    match fs::symlink_metadata(launch.space()) {
        Ok(meta) => Ok(Some(of(&meta))),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(StoreError::io("look at", &launch.space(), e)),
    }
}

/// Reads the space file with these `rights`, unless it is as it was at `known`.
///
/// It is accepted only as a regular file with one link, owned by the directory's owner or by us, in a directory that not
/// everybody can write: whoever can write it decides what this daemon runs.
pub fn read(launch: &LaunchDir, known: Option<Stamp>, rights: &Rights) -> SpaceFile {
    let path = launch.space();
    let refused = |stamp, sentence: String| SpaceFile::Refused { stamp, sentence };
    let meta = match fs::symlink_metadata(&path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return SpaceFile::Missing;
        }
        Err(e) => return refused(None, StoreError::io("look at", &path, e).to_string()),
    };
    let before = of(&meta);
    if known == Some(before) {
        return SpaceFile::Unchanged;
    }
    if let Err(sentence) = trusted(launch.path(), &meta) {
        return refused(Some(before), StoreError::content(&path, sentence).to_string());
    }
    // Only the content: whose file it is, is judged by who we are.
    match rights.read(|| text(&path)) {
        Ok((stamp, text)) => SpaceFile::Text { stamp, text },
        Err(e) if e.is_missing() => SpaceFile::Missing,
        Err(e) => refused(Some(before), e.to_string()),
    }
}

fn of(meta: &fs::Metadata) -> Stamp {
    Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.size(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    }
}

fn trusted(directory: &Path, file: &fs::Metadata) -> Result<(), String> {
    if !file.is_file() {
        return Err("not a regular file; put the file itself here, not a link to it".to_string());
    }
    if file.nlink() != 1 {
        return Err(format!("it has {} hard links; copy it instead, so that nobody can change it from elsewhere", file.nlink()));
    }
    let directory = fs::metadata(directory).map_err(|e| format!("its directory cannot be looked at: {e}"))?;
    if directory.mode() & 0o002 != 0 {
        return Err("everybody may write to its directory; take that right away (chmod o-w)".to_string());
    }
    let own = rustix::process::geteuid().as_raw();
    if file.uid() != directory.uid() && file.uid() != own {
        return Err(format!(
            "it belongs to user {}, and its directory to user {}; they must be the same",
            file.uid(),
            directory.uid()
        ));
    }
    Ok(())
}

fn text(path: &Below) -> Result<(Stamp, String), StoreError> {
    // No link is followed and no pipe is waited for, should the file be exchanged after it was looked at.
    let fail = |e: std::io::Error| StoreError::io("read", path, e);
    let file = open::read(path)?;
    let meta = file.metadata().map_err(fail)?;
    if meta.nlink() != 1 {
        return Err(StoreError::content(path, "it was exchanged while it was read"));
    }
    let mut bytes = Vec::new();
    (&file).take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(StoreError::content(path, "larger than 1 MiB, which no search space is"));
    }
    let text = String::from_utf8(bytes).map_err(|_| StoreError::content(path, "not UTF-8 text; save it as UTF-8"))?;
    Ok((of(&meta), text))
}

/// Makes `text` the content of `random_search.error`, unless it is so already.
pub fn write_error(launch: &LaunchDir, text: &str) -> Result<(), StoreError> {
    let path = launch.error();
    let content = format!("{text}\n");
    if open::bytes(&path, content.len() as u64, "longer").is_ok_and(|old| old == content.as_bytes()) {
        return Ok(());
    }
    atomic::replace(&path, content.as_bytes())
}

/// Removes `random_search.error`, if it is there.
pub fn clear_error(launch: &LaunchDir) -> Result<(), StoreError> {
    atomic::remove(&launch.error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::os::unix::fs::PermissionsExt;

    fn launch() -> (tempfile::TempDir, LaunchDir) {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path().join("launch"));
        fs::create_dir(launch.path()).expect("made");
        (dir, launch)
    }

    fn sentence(file: SpaceFile) -> String {
        match file {
            SpaceFile::Refused { sentence, .. } => sentence,
            other => panic!("accepted: {other:?}"),
        }
    }

    #[test]
    fn the_text_comes_with_a_stamp_by_which_an_unchanged_file_is_not_read_again() {
        let (_dir, launch) = launch();
        assert_eq!(read(&launch, None, &Rights::default()), SpaceFile::Missing);
        fs::write(launch.space(), "{}").expect("written");
        let SpaceFile::Text { stamp: first, text } = read(&launch, None, &Rights::default()) else { panic!("not read") };
        assert_eq!((text.as_str(), stamp(&launch).expect("looked")), ("{}", Some(first)));
        assert_eq!(read(&launch, Some(first), &Rights::default()), SpaceFile::Unchanged);
        fs::write(launch.space(), "{ }").expect("written");
        assert!(matches!(read(&launch, Some(first), &Rights::default()), SpaceFile::Text { .. }));
    }

    #[test]
    fn links_pipes_directories_and_other_mens_doors_are_refused() {
        let (dir, launch) = launch();
        let elsewhere = dir.path().join("elsewhere.json");
        fs::write(&elsewhere, "{}").expect("written");
        std::os::unix::fs::symlink(&elsewhere, launch.space()).expect("linked");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("regular file"));
        fs::remove_file(launch.space()).expect("removed");
        fs::hard_link(&elsewhere, launch.space()).expect("linked");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("2 hard links"));
        fs::remove_file(launch.space()).expect("removed");
        fs::create_dir(launch.space()).expect("made");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("regular file"));
        fs::remove_dir(launch.space()).expect("removed");
        fs::write(launch.space(), "{}").expect("written");
        fs::set_permissions(launch.path(), fs::Permissions::from_mode(0o777)).expect("set");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("chmod o-w"));
    }

    #[test]
    fn a_file_that_is_too_large_or_not_text_is_refused() {
        let (_dir, launch) = launch();
        fs::write(launch.space(), vec![b' '; LARGEST as usize + 1]).expect("written");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("1 MiB"));
        fs::write(launch.space(), [0xff, 0xfe]).expect("written");
        assert!(sentence(read(&launch, None, &Rights::default())).contains("UTF-8"));
    }

    #[test]
    fn the_error_file_comes_and_goes() {
        let (_dir, launch) = launch();
        clear_error(&launch).expect("nothing to remove");
        write_error(&launch, "a fault").expect("written");
        assert_eq!(fs::read_to_string(launch.error()).expect("read"), "a fault\n");
        clear_error(&launch).expect("removed");
        assert!(!launch.error().exists());
    }
}
