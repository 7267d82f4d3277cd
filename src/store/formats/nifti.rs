//! Reads a volume from a `.nii` or `.nii.gz` file, with nibabel's numbers, straight into C order.

use super::nifti_header;
use super::nifti_header::{Datatype, Header};
pub use super::nifti_write::{encode_f32, write_f32};
use crate::store::fs::decode::{self, GuardedFile};
use crate::store::fs::error::StoreError;
use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// A volume: voxel (x, y, z) stands at `(x * shape[1] + y) * shape[2] + z`.
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiVolume {
    pub shape: [usize; 3],
    /// NaN is 0 here.
    pub voxels: Vec<f32>,
}

/// Planes decoded at a time: sixteen floats along Z are one cache line of the result.
const PLANES: usize = 16;
/// Deflate shrinks by at most 1032; a header that claims more than that is refused before memory is claimed.
const MOST_SHRINKING: u64 = 1032;

/// The volume in the file `path`; compressed or not is seen from its first bytes.
///
/// # Errors
/// Names the file: not NIfTI, of other than one volume with three axes, cut short, or damaged.
pub fn read(path: &Path) -> Result<NiftiVolume, StoreError> {
    decode::decode(path, |file, length| read_from(BufReader::with_capacity(1 << 17, file), length))
}

/// The shape of the volume in `path`: see [`header`].
///
/// # Errors
/// As [`header`].
pub fn shape(path: &Path) -> Result<[usize; 3], StoreError> {
    header(path).map(|header| header.shape)
}

/// The header of the volume in `path`, if the file is as long as the header says; much faster than [`read`].
///
/// # Errors
/// As [`read`]; damage between the header and the end is not looked for.
pub fn header(path: &Path) -> Result<Header, StoreError> {
    let (header, is_whole) = decode::decode(path, header_from)?;
    if !is_whole {
        read(path)?;
    }
    Ok(header)
}

/// The header, and whether the volume is whole; false if only reading it all can tell.
fn header_from(file: &mut GuardedFile, length: u64) -> Result<(Header, bool), String> {
    let mut source = BufReader::with_capacity(1 << 12, &mut *file);
    let compressed = source.fill_buf().map_err(|e| fault(&e))?.starts_with(&GZIP);
    if !compressed {
        return read_header(&mut source, length).map(|(header, _)| (header, true));
    }
    let (header, _) = read_header(&mut Members { decoder: Some(GzDecoder::new(source)) }, length.saturating_mul(MOST_SHRINKING))?;
    // A member ends with its length, so that a file that was cut ends with something else.
    let mut end = [0; 4];
    file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut end)).map_err(|e| fault(&e))?;
    // Several members, or bytes after the volume, end with something else too.
    Ok((header, u64::from(u32::from_le_bytes(end)) == (header.offset + header.bytes()) & u64::from(u32::MAX)))
}

/// As [`read`], from any source of `length` bytes. The error is one clause.
pub fn read_from(mut source: impl BufRead, length: u64) -> Result<NiftiVolume, String> {
    let start = source.fill_buf().map_err(|e| fault(&e))?;
    if start.starts_with(&GZIP) {
        read_volume(Members { decoder: Some(GzDecoder::new(source)) }, length.saturating_mul(MOST_SHRINKING))
    } else {
        read_volume(source, length)
    }
}

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A gzip file is any number of members one after the other; what follows the last one is padding.
struct Members<R: BufRead> {
    /// None only while one decoder makes way for the next.
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let mut source = match self.decoder.take() {
                Some(decoder) => decoder.into_inner(),
                None => break,
            };
            if source.fill_buf()?.starts_with(&GZIP) {
                self.decoder = Some(GzDecoder::new(source));
            }
        }
        Ok(0)
    }
}

fn fault(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "cut short: it ends before its last voxel".to_string(),
        _ => format!("cannot be read or is damaged ({error})"),
    }
}

/// The header and its own length. `most`: bytes that the source can at most have.
fn read_header(source: &mut impl Read, most: u64) -> Result<(Header, usize), String> {
    let mut bytes = [0; nifti_header::LONGEST];
    source.read_exact(&mut bytes[..4]).map_err(|e| fault(&e))?;
    let (length, big_endian) = nifti_header::length([bytes[0], bytes[1], bytes[2], bytes[3]])?;
    source.read_exact(&mut bytes[4..length]).map_err(|e| fault(&e))?;
    let header = nifti_header::parse(&bytes[..length], big_endian)?;
    let needed = header.offset + header.bytes();
    if needed > most {
        return Err(format!("cut short: its header tells of {needed} bytes, and there are at most {most}"));
    }
    Ok((header, length))
}

fn read_volume(mut source: impl Read, most: u64) -> Result<NiftiVolume, String> {
    let (header, length) = read_header(&mut source, most)?;
    let gap = header.offset - length as u64;
    if io::copy(&mut source.by_ref().take(gap), &mut io::sink()).map_err(|e| fault(&e))? < gap {
        return Err(fault(&io::ErrorKind::UnexpectedEof.into()));
    }
    let volume = read_voxels(&mut source, &header)?;
    // To the end, within reason, since a gzip member's checksum stands behind its last byte.
    io::copy(&mut source.take(1 << 20), &mut io::sink()).map_err(|e| fault(&e))?;
    Ok(volume)
}

/// Slab by slab, from NIfTI's order (X fastest) to ours (Z fastest).
fn read_voxels(source: &mut impl Read, header: &Header) -> Result<NiftiVolume, String> {
    let [nx, ny, nz] = header.shape;
    let plane = nx * ny;
    let mut voxels = vec![0f32; plane * nz];
    let slab = plane * PLANES.min(nz);
    let (mut bytes, mut numbers) = (vec![0u8; slab * header.datatype.size()], Vec::with_capacity(slab));
    for first in (0..nz).step_by(PLANES) {
        let planes = PLANES.min(nz - first);
        let bytes = &mut bytes[..planes * plane * header.datatype.size()];
        source.read_exact(bytes).map_err(|e| fault(&e))?;
        numbers.clear();
        convert(bytes, header, &mut numbers);
        scatter(&numbers, header.shape, first, &mut voxels);
    }
    Ok(NiftiVolume { shape: header.shape, voxels })
}

/// Puts the planes of Z from `first` on into the volume, a run along Z at a time.
fn scatter(planes: &[f32], [nx, ny, nz]: [usize; 3], first: usize, voxels: &mut [f32]) {
    let count = planes.len() / (nx * ny);
    for y in 0..ny {
        for x in 0..nx {
            let from = (x * ny + y) * nz + first;
            let run = &mut voxels[from..from + count];
            let column = planes[y * nx + x..].iter().step_by(nx * ny);
            run.iter_mut().zip(column).for_each(|(voxel, number)| *voxel = *number);
        }
    }
}

/// Appends the numbers in `bytes`, scaled in f64 as nibabel does, then rounded to f32.
fn convert(bytes: &[u8], header: &Header, numbers: &mut Vec<f32>) {
    let (slope, intercept) = (header.slope, header.intercept);
    macro_rules! each {
        ($type:ty) => {{
            const SIZE: usize = size_of::<$type>();
            let (chunks, _) = bytes.as_chunks::<SIZE>();
            let scale = |number: $type| {
                // The cast is the point: nibabel's voxels are f64, whatever the file's type.
                let value = number as f64 * slope + intercept;
                if value.is_nan() { 0.0 } else { value as f32 }
            };
            if header.big_endian {
                numbers.extend(chunks.iter().map(|b| scale(<$type>::from_be_bytes(*b))));
            } else {
                numbers.extend(chunks.iter().map(|b| scale(<$type>::from_le_bytes(*b))));
            }
        }};
    }
    match header.datatype {
        Datatype::U8 => each!(u8),
        Datatype::I8 => each!(i8),
        Datatype::U16 => each!(u16),
        Datatype::I16 => each!(i16),
        Datatype::U32 => each!(u32),
        Datatype::I32 => each!(i32),
        Datatype::U64 => each!(u64),
        Datatype::I64 => each!(i64),
        Datatype::F32 => each!(f32),
        Datatype::F64 => each!(f64),
    }
}

#[cfg(test)]
#[path = "nifti_tests.rs"]
mod tests;
