//! Decoded volumes on disk, memory-mapped and shared by every trainer of the machine.
//!
//! An entry is named by where its source lies and which file that is now (device, inode, size, times), so a changed source is
//! another entry and an old one is never taken for it. Entries appear by one rename and are never written again, only removed.

use super::volume_cache_entry as entry;
use super::volume_cache_entry::Mapped;
use crate::store::fs::error::StoreError;
use crate::store::fs::open;
use crate::store::fs::open_dir::{DirEntry, Folder, Spot};
use crate::store::fs::owned_path::Below;
use crate::store::fs::rights::Rights;
use rustix::fs::{fstat, statvfs};
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Bytes that all entries together may take, unless told otherwise.
pub const USUAL_LIMIT: u64 = 64_000_000_000;
/// Bytes of the file system that the cache leaves free for others.
const RESERVE: u64 = 1 << 30;
/// How long to wait for another process that decodes the same source; after that this one decodes for itself.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
/// A half-written file that nobody touched for so long was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Longer than the granularity of a file system's times.
const TICK: Duration = Duration::from_millis(20);

const ENTRY: &str = "volume";
const PARTIAL: &str = "part";

/// A decoded volume: shape, and voxels in C order.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub shape: [usize; 3],
    pub voxels: Vec<f32>,
}

/// What [`Cache::get`] gives: from the cache, or, where the cache could not take it, as it was decoded.
#[derive(Debug)]
pub enum Cached {
    Mapped(Mapped),
    Decoded(Decoded),
}

/// Where a cache lies, and the bytes that its entries may take together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlace {
    pub folder: PathBuf,
    pub limit: u64,
}

/// A folder of entries.
#[derive(Debug)]
pub struct Cache {
    place: CachePlace,
    /// Set by the first warning: what fails for one volume fails for hundreds.
    warned: AtomicBool,
}

impl CachePlace {
    /// The bound in whole gigabytes, at least one.
    pub const fn gigabytes(&self) -> u64 {
        let whole = self.limit / 1_000_000_000;
        if whole == 0 { 1 } else { whole }
    }
}

/// SHA-256 of a source's place and identity.
type CacheKey = [u8; 32];

impl Cache {
    /// The cache in the place's folder, which is made, for this user alone, where it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(place: CachePlace) -> Result<Cache, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&place.folder);
        made.map_err(|e| StoreError::io("make the cache folder", &place.folder, e))?;
        Ok(Cache { place, warned: AtomicBool::new(false) })
    }

    /// The volume of the file `source`, if it may be read with these `rights`: from its entry, or by `decode`, whose result
    /// becomes the entry.
    ///
    /// A cache that cannot be written costs time and nothing else: what was decoded is returned, and a warning logged.
    ///
    /// # Errors
    /// Those of `decode`, and that the source is not there or may not be read.
    pub fn get(
        &self,
        source: &Path,
        rights: &Rights,
        decode: impl FnOnce() -> Result<Decoded, StoreError>,
    ) -> Result<Cached, StoreError> {
        let key = rights.read(|| settled_key_of(source))?;
        let decode = || rights.read(decode);
        if let Some(mapped) = self.find(&key) {
            return Ok(Cached::Mapped(mapped));
        }
        match self.take_turn(&key) {
            Ok(Turn::Found(mapped)) => Ok(Cached::Mapped(mapped)),
            Ok(Turn::Mine(partial)) => self.fill(source, rights, &key, &partial, decode),
            Ok(Turn::Taken) => decode().map(Cached::Decoded),
            Err(error) => {
                self.warn(&error.to_string());
                decode().map(Cached::Decoded)
            }
        }
    }

    /// Decodes the source and makes an entry of it.
    fn fill(
        &self,
        source: &Path,
        rights: &Rights,
        key: &CacheKey,
        partial: &File,
        decode: impl FnOnce() -> Result<Decoded, StoreError>,
    ) -> Result<Cached, StoreError> {
        let result = decode().and_then(|decoded| {
            // A source that changed while it was read is nobody's entry.
            let stored = if rights.read(|| key_of(source))? == *key { self.put(key, partial, &decoded) } else { Ok(None) };
            Ok(match stored {
                Ok(Some(mapped)) => Cached::Mapped(mapped),
                Ok(None) => Cached::Decoded(decoded),
                Err(error) => {
                    self.warn(&error.to_string());
                    Cached::Decoded(decoded)
                }
            })
        });
        if !matches!(result, Ok(Cached::Mapped(_))) {
            self.drop_partial(&self.path(key, PARTIAL), partial);
        }
        result
    }

    fn warn(&self, why: &str) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(folder = ?self.place.folder, ?why, "the cache of decoded volumes does not take them; going on without");
        }
    }

    fn path(&self, key: &CacheKey, extension: &str) -> Below {
        let name: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder().join(format!("{name}.{extension}"))
    }

    fn folder(&self) -> Below {
        Below::given(&self.place.folder)
    }

    /// The entry, where it is there and whole. A damaged one is removed, and so is what is no file, such as a link or a pipe.
    fn find(&self, key: &CacheKey) -> Option<Mapped> {
        let path = self.path(key, ENTRY);
        let found = match open::read(&path) {
            Ok(file) => entry::map(&file, key).inspect(|_| note_use(&file)),
            Err(error) if error.is_of_the_file() && !error.is_missing() => None,
            Err(_) => return None,
        };
        if found.is_none() {
            tracing::warn!(path = ?&*path, "a damaged entry of the cache is removed");
            // If it cannot be removed, the next writer's rename replaces it.
            let _ = Spot::of(&path).and_then(|spot| spot.remove());
        }
        found
    }

    /// Waits until the entry is there or writing it is this process's turn, within [`PATIENCE`].
    fn take_turn(&self, key: &CacheKey) -> Result<Turn, StoreError> {
        let path = self.path(key, PARTIAL);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let file = open::lock(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(POLL);
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path, error)),
            }
            if let Some(mapped) = self.find(key) {
                self.drop_partial(&path, &file);
                return Ok(Turn::Found(mapped));
            }
            // The writer before us may have renamed the file that we locked away; the lock counts only on the one at the path.
            if is_at(&file, &path) {
                return Ok(Turn::Mine(file));
            }
        }
        Ok(Turn::Taken)
    }

    /// Removes the empty file that was opened only to wait.
    fn drop_partial(&self, path: &Below, file: &File) {
        if is_at(file, path) {
            // Left behind, it is swept as abandoned.
            let _ = Spot::of(path).and_then(|spot| spot.remove());
        }
    }

    /// Writes the entry and gives it its name. None if there is no room for it.
    fn put(&self, key: &CacheKey, partial: &File, decoded: &Decoded) -> io::Result<Option<Mapped>> {
        let bytes = entry::length(decoded.voxels.len());
        let disk = statvfs(&self.place.folder)?;
        if bytes > self.place.limit || disk.f_bavail.saturating_mul(disk.f_frsize) < bytes.saturating_add(RESERVE) {
            self.warn("it is bounded below one volume, or its disk is all but full");
            return Ok(None);
        }
        self.make_room(bytes)?;
        entry::write(partial, key, decoded.shape, &decoded.voxels)?;
        // No sync: an entry that a power failure tore does not pass its checksum, and is made again.
        Spot::of(&self.path(key, PARTIAL))?.rename_to(&Spot::of(&self.path(key, ENTRY))?)?;
        Ok(entry::map(partial, key))
    }

    /// Removes the entries that were not used for longest until `bytes` more fit, and what dead writers left.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let folder = Folder::open(&self.folder()).map_err(io::Error::other)?;
        let mut entries = Vec::new();
        for DirEntry { name, .. } in folder.entries().map_err(io::Error::other)? {
            // Another process may remove it in between.
            let Ok(stat) = open::stat(&self.folder().join(&name)) else { continue };
            match Path::new(&name).extension().and_then(OsStr::to_str) {
                Some(ENTRY) => entries.push(((stat.st_mtime, stat.st_mtime_nsec), stat.st_size.unsigned_abs(), name)),
                Some(PARTIAL) if time(stat.st_mtime).elapsed().is_ok_and(|age| age > ABANDONED) => {
                    folder.remove(&name).map_err(io::Error::other)?;
                }
                _ => {}
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, length, _)| length).sum();
        for (_, length, name) in entries {
            if total.saturating_add(bytes) <= self.place.limit {
                break;
            }
            folder.remove(&name).map_err(io::Error::other)?;
            total -= length;
        }
        Ok(())
    }
}

fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Whose turn it is to write an entry.
enum Turn {
    Found(Mapped),
    /// The locked partial file.
    Mine(File),
    /// Another process has been writing for longer than is worth waiting.
    Taken,
}

fn is_at(file: &File, path: &Below) -> bool {
    match (fstat(file), open::stat(path)) {
        (Ok(ours), Ok(there)) => (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino),
        _ => false,
    }
}

/// The time of modification tells when an entry was last used; to the hour is enough.
fn note_use(file: &File) {
    let old = file
        .metadata()
        .and_then(|m| m.modified())
        .is_ok_and(|used| used.elapsed().is_ok_and(|age| age > Duration::from_secs(3600)));
    if old {
        // Without it the entry is merely evicted earlier.
        let _ = file.set_modified(SystemTime::now());
    }
}

/// The key, once the file's time of change is a tick in the past: a change within the same tick would leave the key as it is.
fn settled_key_of(source: &Path) -> Result<CacheKey, StoreError> {
    let metadata = read_metadata(source)?;
    let changed = Duration::new(u64::try_from(metadata.ctime()).unwrap_or(0), u32::try_from(metadata.ctime_nsec()).unwrap_or(0));
    if let Some(Ok(age)) = SystemTime::UNIX_EPOCH.checked_add(changed).map(|time| time.elapsed()) {
        std::thread::sleep(TICK.saturating_sub(age));
    }
    key_of(source)
}

/// Of the opened file: an entry is given to nobody who could not read its source.
fn read_metadata(source: &Path) -> Result<fs::Metadata, StoreError> {
    open::read(source)?.metadata().map_err(|e| StoreError::io("read", source, e))
}

fn key_of(source: &Path) -> Result<CacheKey, StoreError> {
    let metadata = read_metadata(source)?;
    let mut hash = Sha256::new();
    hash.update(b"neurosearch volume v1");
    for number in [metadata.dev(), metadata.ino(), metadata.size()] {
        hash.update(number.to_le_bytes());
    }
    for time in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
        hash.update(time.to_le_bytes());
    }
    hash.update(source.as_os_str().as_bytes());
    Ok(hash.finalize().into())
}

#[cfg(test)]
#[path = "volume_cache_tests.rs"]
mod tests;
