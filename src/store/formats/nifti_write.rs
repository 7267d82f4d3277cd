//! Writes a volume of 32-bit floats as NIfTI, compressed where the file's name ends in `.gz`.

use crate::store::fs::atomic;
use crate::store::fs::error::StoreError;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};
use std::path::Path;

/// Header, and the four zero bytes that say it has no extension.
const OFFSET: usize = 352;

/// Makes the volume the whole content of `path`: float32, identity affine. Voxels in C order: (x, y, z) at `(x * ny + y) * nz + z`.
///
/// # Errors
/// Names the file, also where `voxels` is not as long as `shape` says or an axis is longer than NIfTI's 32,767.
pub fn write_f32(path: &Path, shape: [usize; 3], voxels: &[f32]) -> Result<(), StoreError> {
    atomic::replace(path, &encode_f32(path, shape, voxels)?)
}

/// The bytes of the file `path` that [`write_f32`] would make.
///
/// # Errors
/// As [`write_f32`].
pub fn encode_f32(path: &Path, shape: [usize; 3], voxels: &[f32]) -> Result<Vec<u8>, StoreError> {
    let header = header(shape).filter(|_| shape.iter().product::<usize>() == voxels.len());
    let header = header
        .ok_or_else(|| StoreError::content(path, format!("{} voxels of shape {shape:?} cannot be written", voxels.len())))?;
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let encoded = if compressed {
        // The fastest level: the noise of an image hardly shrinks further.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        write_all(&mut encoder, &header, shape, voxels).and_then(|()| encoder.finish())
    } else {
        let mut bytes = Vec::with_capacity(OFFSET + size_of_val(voxels));
        write_all(&mut bytes, &header, shape, voxels).map(|()| bytes)
    };
    encoded.map_err(|e| StoreError::io("write", path, e))
}

fn header(shape: [usize; 3]) -> Option<[u8; OFFSET]> {
    let mut header = [0; OFFSET];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348i32.to_le_bytes());
    put(38, b"r");
    put(40, &3i16.to_le_bytes());
    for axis in 0..7 {
        let size = shape.get(axis).map_or(Some(1), |size| i16::try_from(*size).ok())?;
        put(42 + 2 * axis, &size.to_le_bytes());
    }
    put(70, &16i16.to_le_bytes());
    put(72, &32i16.to_le_bytes());
    for axis in 0..8 {
        put(76 + 4 * axis, &1f32.to_le_bytes());
    }
    put(108, &(OFFSET as f32).to_le_bytes());
    put(112, &1f32.to_le_bytes());
    // Units of space are millimetres; the affine stands in the sform, "aligned to another scan".
    put(123, &[2]);
    put(254, &2i16.to_le_bytes());
    for row in 0..3 {
        put(280 + 20 * row, &1f32.to_le_bytes());
    }
    put(344, b"n+1\0");
    Some(header)
}

/// Plane by plane of Z, each with X fastest.
fn write_all(out: &mut impl Write, header: &[u8], [nx, ny, nz]: [usize; 3], voxels: &[f32]) -> io::Result<()> {
    out.write_all(header)?;
    let mut plane = Vec::with_capacity(nx * ny * size_of::<f32>());
    for z in 0..nz {
        plane.clear();
        for y in 0..ny {
            for x in 0..nx {
                plane.extend_from_slice(&voxels[(x * ny + y) * nz + z].to_le_bytes());
            }
        }
        out.write_all(&plane)?;
    }
    Ok(())
}
