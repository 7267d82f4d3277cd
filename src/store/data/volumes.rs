//! The only way to a voxel of an image: read, decoded once, shared.

use super::caps::Caps;
use super::image_files;
use super::labels::LabelRow;
use super::missing_image;
use super::volume_cache::{Cache, CachePlace, Cached, Decoded};
use crate::domain::plain_name::is_plain;
use crate::domain::text::units::dimensions;
use crate::store::formats::torch_value::Value;
use crate::store::formats::{nifti, torch_file};
use crate::store::fs::error::StoreError;
use crate::store::fs::rights::Rights;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of decoded volumes that one process keeps in its own memory, unless told otherwise.
pub const USUAL_BYTES: usize = 1 << 30;
/// Volumes that one process keeps at hand, mapped ones included; the system limits a process to some 65,000 maps.
const MOST_VOLUMES: usize = 1 << 14;

/// The images of a CAPS. Cheap to ask again: what was read stays at hand, within bounds.
#[derive(Debug)]
pub struct Volumes {
    caps: Caps,
    cache: Option<Cache>,
    rights: Rights,
    held: Mutex<VolumesHeld>,
    decoded: AtomicUsize,
    mapped: AtomicUsize,
}

/// How a process reads volumes, and where it keeps them decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// For all processes; none: this process keeps them for itself.
    pub cache: Option<CachePlace>,
    /// Bytes of those that no cache holds.
    pub own_bytes: usize,
    /// Whose rights the files are read with.
    pub rights: Rights,
}

/// How often a volume was fetched, and from where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    pub decoded: usize,
    /// From the cache, where this process or another had put it.
    pub mapped: usize,
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping { cache: None, own_bytes: USUAL_BYTES, rights: Rights::default() }
    }
}

/// One image's voxels, shared with whoever else works on it.
#[derive(Debug, Clone)]
pub struct Volume {
    source: Arc<PathBuf>,
    voxels: Arc<Cached>,
    blank: bool,
}

impl Volume {
    fn new(source: PathBuf, cached: Cached) -> Self {
        let volume = Volume { source: Arc::new(source), voxels: Arc::new(cached), blank: false };
        // Over at the first voxel that differs, so that nearly every image costs next to nothing.
        let blank = volume.voxels().iter().all(|voxel| Some(voxel) == volume.voxels().first());
        Volume { blank, ..volume }
    }

    /// X, Y, Z.
    pub fn shape(&self) -> [usize; 3] {
        match &*self.voxels {
            Cached::Mapped(mapped) => mapped.shape(),
            Cached::Decoded(decoded) => decoded.shape,
        }
    }

    /// In C order: (x, y, z) at `(x * shape[1] + y) * shape[2] + z`. No NaN.
    pub fn voxels(&self) -> &[f32] {
        match &*self.voxels {
            Cached::Mapped(mapped) => mapped.voxels(),
            Cached::Decoded(decoded) => &decoded.voxels,
        }
    }

    /// Whether all voxels have one value, NaN standing for 0.
    pub const fn is_blank(&self) -> bool {
        self.blank
    }

    /// The file it was read from.
    pub fn source(&self) -> &Path {
        &self.source
    }

    /// Bytes of this process's own memory; a map's belong to the system.
    fn own_bytes(&self) -> usize {
        match &*self.voxels {
            Cached::Mapped(_) => 0,
            Cached::Decoded(decoded) => decoded.voxels.len() * size_of::<f32>(),
        }
    }
}

/// What this process holds, by participant and session.
#[derive(Debug)]
struct VolumesHeld {
    slots: HashMap<String, Slot>,
    /// Counts uses, to tell which slot was not used for longest.
    clock: u64,
    most_bytes: usize,
}

/// A place for one volume. Whoever reads it holds the lock, so that others wait instead of reading it too.
#[derive(Debug, Default)]
struct Slot {
    used: u64,
    bytes: usize,
    volume: Arc<Mutex<Option<Volume>>>,
}

/// A thread that panicked has left nothing half-done: what stands behind these locks is replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Volumes {
    /// The images of `caps`. With a cache they are decoded once for all processes, else once for this one (again, where they do
    /// not all fit its bytes). A cache whose folder cannot be made costs a warning and nothing else.
    pub fn open(caps: Caps, keeping: &Keeping) -> Volumes {
        let cache = keeping.cache.clone().and_then(|place| match Cache::open(place) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(?error, "there is no cache of decoded volumes; going on without");
                None
            }
        });
        let held = VolumesHeld { slots: HashMap::new(), clock: 0, most_bytes: keeping.own_bytes };
        let rights = keeping.rights.clone();
        Volumes { caps, cache, rights, held: Mutex::new(held), decoded: AtomicUsize::new(0), mapped: AtomicUsize::new(0) }
    }

    /// What was fetched so far, this process's own store not counted.
    pub fn fetched(&self) -> Fetched {
        Fetched { decoded: self.decoded.load(Ordering::Relaxed), mapped: self.mapped.load(Ordering::Relaxed) }
    }

    pub const fn caps(&self) -> &Caps {
        &self.caps
    }

    /// The file that the image is read from: the tensor if there is one, else the NIfTI volume.
    ///
    /// # Errors
    /// When neither is there, two images fit, or that cannot be known; names the files.
    pub fn source(&self, row: &LabelRow) -> Result<PathBuf, StoreError> {
        match self.rights.read(|| image_files::whole(&self.caps, row.at()))? {
            Some(found) => Ok(found.path),
            None => Err(self.rights.read(|| missing(&self.caps, row))),
        }
    }

    /// Sizes of the image, from its file's header where it is not at hand.
    ///
    /// # Errors
    /// Names the file: missing, cut short, or not an image.
    pub fn shape(&self, row: &LabelRow) -> Result<[usize; 3], StoreError> {
        let source = self.source(row)?;
        self.rights.read(|| match image_files::is_tensor(&source) {
            true => sizes(&source, &torch_file::shape(&source)?),
            false => nifti::shape(&source),
        })
    }

    /// The image.
    ///
    /// # Errors
    /// As [`Volumes::shape`], and where the file is damaged.
    pub fn get(&self, row: &LabelRow) -> Result<Volume, StoreError> {
        let key = format!("{}/{}", row.participant, row.session);
        let place = lock(&self.held).place(&key);
        let mut place = lock(&place);
        if let Some(volume) = &*place {
            return Ok(volume.clone());
        }
        let source = self.source(row)?;
        let mut came_from = &self.mapped;
        let decode = || {
            came_from = &self.decoded;
            decode(&source)
        };
        let cached = match &self.cache {
            Some(cache) => cache.get(&source, &self.rights, decode)?,
            None => Cached::Decoded(self.rights.read(decode)?),
        };
        came_from.fetch_add(1, Ordering::Relaxed);
        let volume = Volume::new(source, cached);
        *place = Some(volume.clone());
        // The place stays locked, so that nobody drops it as empty before it is counted.
        lock(&self.held).account(&key, volume.own_bytes());
        Ok(volume)
    }

    /// Does `work` with the rights that inputs are read with.
    pub fn read<T>(&self, work: impl FnOnce() -> T) -> T {
        self.rights.read(work)
    }

    /// The single tensor in the file `path`, as floats without NaN: shape and elements. It is not kept.
    ///
    /// # Errors
    /// Names the file: not a tensor's, cut short, or damaged.
    pub fn tensor(&self, path: &Path) -> Result<(Vec<usize>, Vec<f32>), StoreError> {
        self.rights.read(|| read_tensor(path))
    }

    /// The mask of a region, which is not kept.
    ///
    /// # Errors
    /// Names the file, or a region whose name cannot stand in a path.
    pub fn mask(&self, region: &str) -> Result<Volume, StoreError> {
        if !is_plain(region) {
            let sentence = format!("the region {region:?} cannot have a mask: it is letters, digits, '.', '_' and '-'");
            return Err(StoreError::content(self.caps.root(), sentence));
        }
        let source = self.rights.read(|| image_files::mask(&self.caps, region))?;
        let decoded = self.rights.read(|| decode(&source))?;
        Ok(Volume::new(source, Cached::Decoded(decoded)))
    }
}

impl VolumesHeld {
    /// The place of the volume `key`, made where there is none, and used now.
    fn place(&mut self, key: &str) -> Arc<Mutex<Option<Volume>>> {
        self.clock += 1;
        let slot = self.slots.entry(key.to_string()).or_default();
        slot.used = self.clock;
        Arc::clone(&slot.volume)
    }

    /// Counts the bytes of a volume that came in, and lets go of those not used for longest until the bounds hold.
    fn account(&mut self, key: &str, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(key) {
            slot.bytes = bytes;
        }
        let mut total: usize = self.slots.values().map(|slot| slot.bytes).sum();
        while total > self.most_bytes || self.slots.len() > MOST_VOLUMES {
            let others = self.slots.iter().filter(|(name, slot)| *name != key && (slot.bytes > 0 || total <= self.most_bytes));
            let Some(oldest) = others.min_by_key(|(_, slot)| slot.used).map(|(name, _)| name.clone()) else { break };
            total -= self.slots.remove(&oldest).map_or(0, |slot| slot.bytes);
        }
    }
}

fn missing(caps: &Caps, row: &LabelRow) -> StoreError {
    let sentence = format!("{} {} has no image: {}", row.participant, row.session, missing_image::explain(caps, row.at()).1);
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, format!("{sentence} (line {})", row.source.line));
    StoreError::Io { action: "find the image of", path: row.source.file.to_path_buf(), source }
}

/// X, Y and Z of a whole image's tensor.
fn sizes(path: &Path, shape: &[usize]) -> Result<[usize; 3], StoreError> {
    match *shape {
        [1, x, y, z] if x > 0 && y > 0 && z > 0 => Ok([x, y, z]),
        _ => Err(StoreError::content(path, format!("a tensor of {}; a whole image has 1 x X x Y x Z voxels", dimensions(shape)))),
    }
}

fn decode(source: &Path) -> Result<Decoded, StoreError> {
    if !image_files::is_tensor(source) {
        let nifti::NiftiVolume { shape, voxels } = nifti::read(source)?;
        return Ok(Decoded { shape, voxels });
    }
    let (shape, voxels) = read_tensor(source)?;
    Ok(Decoded { shape: sizes(source, &shape)?, voxels })
}

/// The single tensor in the file `path`, as floats without NaN: shape and elements.
fn read_tensor(path: &Path) -> Result<(Vec<usize>, Vec<f32>), StoreError> {
    match torch_file::read(path)? {
        Value::Tensor(tensor) => {
            let mut voxels = tensor.data.into_f32();
            voxels.iter_mut().filter(|voxel| voxel.is_nan()).for_each(|voxel| *voxel = 0.0);
            Ok((tensor.shape, voxels))
        }
        _ => Err(StoreError::content(path, "it holds something else than one tensor")),
    }
}

#[cfg(test)]
#[path = "volumes_tests.rs"]
mod tests;
