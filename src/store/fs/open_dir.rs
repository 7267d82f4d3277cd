//! A folder held open: what is made, renamed or removed in it happens in this very folder, whatever its name leads to by then.

use super::error::StoreError;
use super::failpoint::{self, Point};
use super::open;
use super::owned_path::{Below, Place};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fsync, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No folder of ours that is removed whole is deeper.
const DEEPEST: usize = 16;

/// How a folder in a folder is opened: never through a link.
const OPENED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// See the module.
#[derive(Debug)]
pub struct Folder {
    fd: Arc<OwnedFd>,
    at: Below,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    pub name: OsString,
    /// Of the entry itself, a link being a link.
    pub kind: FileType,
}

impl Folder {
    /// The folder at `place`.
    ///
    /// # Errors
    /// As [`open::directory`].
    pub fn open(place: &Below) -> Result<Self, StoreError> {
        open::directory(place).map(|fd| Folder { fd: Arc::new(fd), at: place.clone() })
    }

    /// As [`Folder::open`], or None if there is no folder of that name.
    pub fn find(place: &Below) -> Result<Option<Self>, StoreError> {
        match Folder::open(place) {
            Ok(folder) => Ok(Some(folder)),
            Err(StoreError::Io { source, .. })
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Its path, from which what is joined leads into this very folder, for as long as any such path is kept.
    pub fn place(&self) -> Below {
        Below::open(self.at.path(), Arc::clone(&self.fd))
    }

    /// Everything in it, in no order.
    pub fn entries(&self) -> Result<Vec<DirEntry>, StoreError> {
        entries(&self.fd).map_err(|e| StoreError::io("list", &self.at, e.into()))
    }

    /// The folder `name` in it, or None if that is no folder, or a link to one.
    pub fn below(&self, name: &OsStr) -> Result<Option<Self>, StoreError> {
        let at = self.at.join(name);
        match openat(&self.fd, name, OPENED, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder { fd: Arc::new(fd), at })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(StoreError::io("open", &at, e.into())),
        }
    }

    /// What has, or is to get, the name `name` in it.
    pub fn spot<'a>(&self, name: &'a OsStr) -> io::Result<Spot<'a>> {
        Ok(Spot { folder: self.fd.try_clone()?, name })
    }

    /// Makes the folder `below` in it, part by part and through no link; gives what has the name `name` there.
    ///
    /// # Errors
    /// Names the folder that could not be made.
    pub fn make_spot<'a>(&self, below: &Path, name: &'a OsStr) -> Result<Spot<'a>, StoreError> {
        let base = self.fd.try_clone().map_err(|e| StoreError::io("open", &self.at, e))?;
        make_from(base, self.at.to_path_buf(), below).map(|folder| Spot { folder, name })
    }

    /// Which directory it is, whatever name it has by now: device and inode.
    pub fn identity(&self) -> Result<(u64, u64), StoreError> {
        let stat = fstat(&self.fd).map_err(|e| StoreError::io("look at", &self.at, e.into()))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Makes everything in it, and itself, last over a power failure.
    pub fn sync_whole(&self) -> Result<(), StoreError> {
        let fail = |e: Errno| StoreError::io("sync", &self.at, e.into());
        for DirEntry { name, kind } in self.entries()? {
            if kind == FileType::Directory {
                self.below(&name)?.map_or(Ok(()), |folder| folder.sync_whole())?;
            } else {
                let file = openat(&self.fd, &name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
                file.and_then(fsync).map_err(|e| StoreError::io("sync", &self.at.join(&name), e.into()))?;
            }
        }
        fsync(&self.fd).map_err(fail)
    }

    /// Removes `name`, with everything in it where it is a folder; that it is not there is no error.
    pub fn remove(&self, name: &OsStr) -> Result<(), StoreError> {
        match remove(&self.fd, name, DEEPEST) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(StoreError::io("remove", &self.at.join(name), e.into())),
        }
    }
}

/// Everything in an open directory, in no order.
///
/// # Errors
/// The system's.
pub fn entries(fd: &OwnedFd) -> Result<Vec<DirEntry>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say while they list; what is gone by now is left out.
            FileType::Unknown => match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e),
            },
            kind => kind,
        };
        entries.push(DirEntry { name: name.to_os_string(), kind });
    }
    Ok(entries)
}

fn remove(fd: &OwnedFd, name: &OsStr, deepest: usize) -> Result<(), Errno> {
    match unlinkat(fd, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) if deepest > 0 => {}
        other => return other,
    }
    let inside = openat(fd, name, OPENED, Mode::empty())?;
    for entry in entries(&inside)? {
        remove(&inside, &entry.name, deepest - 1)?;
    }
    unlinkat(fd, name, AtFlags::REMOVEDIR)
}

/// The folder that holds `place`, and the name that `place` has in it.
#[derive(Debug)]
pub struct Spot<'a> {
    folder: OwnedFd,
    name: &'a OsStr,
}

impl<'a> Spot<'a> {
    /// # Errors
    /// The folder is not there, or a link leads to it where none may.
    pub fn of<P: Place + ?Sized>(place: &'a P) -> io::Result<Self> {
        let name = place.path().file_name().ok_or(io::ErrorKind::InvalidInput)?;
        open::folder_of(place).map(|folder| Spot { folder, name })
    }

    /// Makes a new file under the name, be it another one that is to take this one's by [`Spot::rename_from`].
    pub fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.folder, name.as_ref(), flags, Mode::from_raw_mode(0o666))?))
    }

    /// Gives the file `name` beside it this name.
    pub fn rename_from(&self, name: &str) -> io::Result<()> {
        Ok(renameat(&self.folder, name, &self.folder, self.name)?)
    }

    /// Gives it the name of `to`, on the same file system.
    ///
    /// # Errors
    /// The system's, such as that a folder with something in it has that name.
    pub fn rename_to(&self, to: &Spot<'_>) -> Result<(), Errno> {
        renameat(&self.folder, self.name, &to.folder, to.name)
    }

    /// Makes it a folder; false where something has its name.
    pub fn make_folder(&self) -> io::Result<bool> {
        match mkdirat(&self.folder, self.name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes the file `name` beside it.
    pub fn unlink_beside(&self, name: &str) -> io::Result<()> {
        Ok(unlinkat(&self.folder, name, AtFlags::empty())?)
    }

    /// Removes it, with everything in it where it is a folder; false where it was not there.
    pub fn remove(&self) -> io::Result<bool> {
        match remove(&self.folder, self.name, DEEPEST) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Makes what was done here last over a power failure.
    pub fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.folder)?)
    }
}

#[cfg(test)]
impl<'a> Spot<'a> {
    /// The name in this folder.
    pub fn in_folder(folder: OwnedFd, name: &'a OsStr) -> Self {
        Spot { folder, name }
    }
}

/// Makes the folder `below`, which lies below the folder `base`, part by part and through no link.
///
/// # Errors
/// Names the folder that could not be made.
pub fn make_parts(base: &Path, below: &Path) -> Result<(), StoreError> {
    let folder = rustix::fs::open(base, ON_THE_WAY, Mode::empty()).map_err(|e| open::refused("create", base, e.into()))?;
    make_from(folder, base.to_path_buf(), below).map(drop)
}

const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Makes `below` in the folder `at`, whose path is `path`; gives the last one.
fn make_from(mut at: OwnedFd, mut path: PathBuf, below: &Path) -> Result<OwnedFd, StoreError> {
    let fail = |path: &Path, e: Errno| open::refused("create", path, e.into());
    for part in below {
        path.push(part);
        if !path.is_dir() {
            failpoint::pass(Point::Create, &path).map_err(|e| open::refused("create", &path, e))?;
        }
        match mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(fail(&path, e)),
        }
        at = openat(&at, part, ON_THE_WAY | OFlags::NOFOLLOW, Mode::empty()).map_err(|e| fail(&path, e))?;
    }
    Ok(at)
}
