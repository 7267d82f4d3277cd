//! One entry of the cache of decoded volumes: a header with checksums, then the voxels as the processor holds them.

use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes before the voxels; a multiple of the alignment that vector instructions like.
const HEADER: usize = 128;
const MAGIC: &[u8; 16] = b"neurosearch vol1";
/// Differs when read by a processor of the other byte order, whose floats would be garbage too.
const ORDER: u32 = 0x0102_0304;

/// Length in bytes of the entry of `voxels` voxels.
pub const fn length(voxels: usize) -> u64 {
    HEADER as u64 + voxels as u64 * size_of::<f32>() as u64
}

/// A mapped entry, whose checksums held when it was mapped.
#[derive(Debug)]
pub struct Mapped {
    shape: [usize; 3],
    map: Mmap,
}

impl Mapped {
    pub const fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The voxels, in C order.
    pub fn voxels(&self) -> &[f32] {
        let bytes = &self.map[HEADER..];
        // SAFETY: any four bytes are a float, and the slice keeps the map alive by its lifetime.
        let (before, voxels, after) = unsafe { bytes.align_to::<f32>() };
        debug_assert!(before.is_empty() && after.is_empty(), "a map begins at a page, and its length was checked");
        voxels
    }
}

/// Writes an entry into `file`, from its beginning; the header, which makes it valid, last.
pub fn write(file: &File, key: &[u8; 32], shape: [usize; 3], voxels: &[f32]) -> io::Result<()> {
    file.set_len(0)?;
    let (mut checksum, mut at) = (0, HEADER as u64);
    let mut bytes = Vec::with_capacity(1 << 16);
    for chunk in voxels.chunks(1 << 14) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|voxel| voxel.to_ne_bytes()));
        checksum = crc32c::crc32c_append(checksum, &bytes);
        file.write_all_at(&bytes, at)?;
        at += bytes.len() as u64;
    }
    file.write_all_at(&header(key, shape, checksum), 0)
}

fn header(key: &[u8; 32], shape: [usize; 3], checksum: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, MAGIC);
    put(16, &ORDER.to_ne_bytes());
    put(20, &checksum.to_ne_bytes());
    for (axis, size) in shape.iter().enumerate() {
        put(24 + 8 * axis, &(*size as u64).to_ne_bytes());
    }
    put(48, key);
    let own = crc32c::crc32c(&header[..HEADER - 4]);
    header[HEADER - 4..].copy_from_slice(&own.to_ne_bytes());
    header
}

/// Maps the entry in `file`, or None if it is not a whole entry of this key.
pub fn map(file: &File, key: &[u8; 32]) -> Option<Mapped> {
    // SAFETY: entries are never changed under their name, only removed, which leaves the map as it is.
    let map = unsafe { Mmap::map(file) }.ok()?;
    let (head, voxels) = map.split_at_checked(HEADER)?;
    let mut shape = [0; 3];
    for (axis, size) in shape.iter_mut().enumerate() {
        let bytes = head.get(24 + 8 * axis..32 + 8 * axis)?;
        *size = usize::try_from(u64::from_ne_bytes(bytes.try_into().ok()?)).ok()?;
    }
    let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))?;
    let whole = count.checked_mul(size_of::<f32>()) == Some(voxels.len());
    // The header's own checksum covers everything else in it, so comparing it whole checks all fields at once.
    (whole && head == header(key, shape, crc32c::crc32c(voxels)).as_slice()).then_some(Mapped { shape, map })
}
