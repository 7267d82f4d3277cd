//! The header of a NIfTI file, of version 1 or 2 and either byte order: what is needed to read its voxels as nibabel does.

use super::nifti_grid::{Grid, SpatialFields};

/// Longest header, that of version 2.
pub const LONGEST: usize = 540;
/// Most voxels of one volume (2 GiB of floats): far above any brain, and a bound on what a hostile header can claim.
const MOST_VOXELS: usize = 1 << 29;

/// Element types, by NIfTI's `datatype` code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Datatype {
    fn of(code: u16) -> Result<Self, String> {
        Ok(match code {
            2 => Datatype::U8,
            4 => Datatype::I16,
            8 => Datatype::I32,
            16 => Datatype::F32,
            64 => Datatype::F64,
            256 => Datatype::I8,
            512 => Datatype::U16,
            768 => Datatype::U32,
            1024 => Datatype::I64,
            1280 => Datatype::U64,
            other => return Err(format!("its voxels are of NIfTI's type {other}, which is not a plain number of up to 64 bits")),
        })
    }

    /// Bytes of one voxel.
    pub const fn size(self) -> usize {
        match self {
            Datatype::U8 | Datatype::I8 => 1,
            Datatype::U16 | Datatype::I16 => 2,
            Datatype::U32 | Datatype::I32 | Datatype::F32 => 4,
            Datatype::U64 | Datatype::I64 | Datatype::F64 => 8,
        }
    }
}

/// Where the voxels are, and what their numbers mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    pub big_endian: bool,
    /// X, Y, Z; axes of size 1 beyond three are gone.
    pub shape: [usize; 3],
    pub datatype: Datatype,
    /// Bytes from the beginning of the (uncompressed) file to the first voxel.
    pub offset: u64,
    /// Voxel = number x slope + intercept, in f64.
    pub slope: f64,
    pub intercept: f64,
    pub grid: Grid,
}

impl Header {
    /// Bytes of all voxels in the file.
    pub const fn bytes(&self) -> u64 {
        // At most MOST_VOXELS x 8, so far from overflow.
        (self.shape[0] * self.shape[1] * self.shape[2] * self.datatype.size()) as u64
    }
}

/// Length of the header that begins with these four bytes, and whether it is big-endian.
///
/// # Errors
/// When they begin no NIfTI file.
pub fn length(start: [u8; 4]) -> Result<(usize, bool), String> {
    for (size, big_endian) in [(i32::from_le_bytes(start), false), (i32::from_be_bytes(start), true)] {
        if size == 348 || size == 540 {
            return Ok((if size == 348 { 348 } else { 540 }, big_endian));
        }
    }
    Err("not a NIfTI file: it does not begin with 348 or 540".to_string())
}

/// The header in `bytes`, which has the length that [`length`] gave.
pub fn parse(bytes: &[u8], big_endian: bool) -> Result<Header, String> {
    let fields = Fields { bytes, big_endian };
    let first = bytes.len() < LONGEST;
    let magic: [u8; 3] = fields.array(if first { 344 } else { 4 });
    match &magic {
        b"n+1" | b"n+2" => {}
        b"ni1" | b"ni2" => return Err("one half of a .hdr and .img pair; convert it to a single .nii".to_string()),
        _ => return Err("not a NIfTI file: its magic word is missing".to_string()),
    }
    let dimensions: Vec<i64> = match first {
        true => (0..8).map(|i| i64::from(fields.i16(40 + 2 * i))).collect(),
        false => (0..8).map(|i| fields.i64(16 + 8 * i)).collect(),
    };
    let (offset, slope, intercept) = match first {
        true => (f64::from(fields.f32(108)), f64::from(fields.f32(112)), f64::from(fields.f32(116))),
        false => (fields.i64(168) as f64, fields.f64(176), fields.f64(184)),
    };
    let (slope, intercept) = scaling(slope, intercept)?;
    let shape = shape(&dimensions)?;
    let datatype = Datatype::of(fields.i16(if first { 70 } else { 12 }) as u16)?;
    let grid = Grid::new(&fields.spatial(first));
    Ok(Header { big_endian, shape, datatype, offset: offset_of(offset, bytes.len())?, slope, intercept, grid })
}

/// The first voxel's place; 0 means right after the header and its four bytes of extension flags.
fn offset_of(offset: f64, header: usize) -> Result<u64, String> {
    let least = header as u64 + 4;
    if offset == 0.0 {
        return Ok(least);
    }
    if !(least as f64..=(1u64 << 32) as f64).contains(&offset) {
        return Err(format!("its voxels are said to begin at byte {offset}, which is not after its header"));
    }
    Ok(offset as u64)
}

/// nibabel's rule: a slope of 0 or not finite means unscaled, and then the intercept counts for nothing.
/// An intercept of 0 becomes -0, whose sum with any number is that number, as when nibabel leaves the sum out.
fn scaling(slope: f64, intercept: f64) -> Result<(f64, f64), String> {
    if slope == 0.0 || !slope.is_finite() {
        return Ok((1.0, -0.0));
    }
    if !intercept.is_finite() {
        return Err(format!("its slope is {slope}, but its intercept is {intercept}"));
    }
    Ok((slope, if intercept == 0.0 { -0.0 } else { intercept }))
}

/// Three sizes of `[rank, sizes...]`. Axes of size 1 after the third are dropped, and one before the three of a mask.
fn shape(dimensions: &[i64]) -> Result<[usize; 3], String> {
    let fail = |what: &str| format!("its dimensions {dimensions:?} (their number, then sizes) {what}");
    let rank = match dimensions.first() {
        Some(rank @ 1..=7) => *rank as usize,
        _ => return Err(fail("are not one to seven")),
    };
    let mut sizes: Vec<usize> = Vec::with_capacity(rank);
    for size in dimensions.iter().skip(1).take(rank) {
        sizes.push(usize::try_from(*size).ok().filter(|s| *s > 0).ok_or_else(|| fail("have one that is not positive"))?);
    }
    while sizes.len() > 3 && sizes.last() == Some(&1) {
        sizes.pop();
    }
    if sizes.len() == 4 && sizes.first() == Some(&1) {
        sizes.remove(0);
    }
    let [x, y, z] = sizes[..] else { return Err(fail("are not those of one volume with three axes")) };
    match x.checked_mul(y).and_then(|xy| xy.checked_mul(z)) {
        Some(voxels) if voxels <= MOST_VOXELS => Ok([x, y, z]),
        _ => Err(fail(&format!("make more than {MOST_VOXELS} voxels"))),
    }
}

/// Numbers at fixed places of the header.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    /// The bytes at `at`; zeros beyond the end, which no caller asks for.
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..at + N).and_then(|slice| slice.try_into().ok()).unwrap_or([0; N])
    }

    /// The bytes at `at`, in little-endian order.
    fn ordered<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = self.array(at);
        if self.big_endian {
            array.reverse();
        }
        array
    }

    fn i16(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.ordered(at))
    }
    fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.ordered(at))
    }
    fn f32(&self, at: usize) -> f32 {
        f32::from_le_bytes(self.ordered(at))
    }
    fn f64(&self, at: usize) -> f64 {
        f64::from_le_bytes(self.ordered(at))
    }
    fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.ordered(at))
    }

    /// Where the volume lies in space, of version 1 (`first`) or 2.
    fn spatial(&self, first: bool) -> SpatialFields {
        let real = |at: [usize; 2], index: usize| match first {
            true => f64::from(self.f32(at[0] + 4 * index)),
            false => self.f64(at[1] + 8 * index),
        };
        let code = |at: [usize; 2]| if first { i32::from(self.i16(at[0])) } else { self.i32(at[1]) };
        // The lower three bits name the unit of length; 0 is usual, and stands for millimetres.
        let units = if first { i32::from(self.array::<1>(123)[0]) } else { self.i32(500) };
        SpatialFields {
            pixdim: [0, 1, 2, 3].map(|index| real([76, 104], index)),
            unit: match units & 7 {
                1 => 1e3,
                3 => 1e-3,
                _ => 1.0,
            },
            quaternion: (code([252, 344]) > 0).then(|| [0, 1, 2].map(|index| real([256, 352], index))),
            affine: (code([254, 348]) > 0).then(|| [0, 4, 8].map(|row| [0, 1, 2].map(|column| real([280, 400], row + column)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_size_one_beyond_three_are_dropped() {
        assert_eq!(shape(&[3, 4, 5, 6, 9, 9, 9, 9]), Ok([4, 5, 6]));
        assert_eq!(shape(&[5, 4, 5, 6, 1, 1, 0, 0]), Ok([4, 5, 6]));
        assert_eq!(shape(&[4, 1, 5, 6, 7, 0, 0, 0]), Ok([5, 6, 7]));
        assert_eq!(shape(&[4, 1, 5, 6, 1, 0, 0, 0]), Ok([1, 5, 6]));
    }

    #[test]
    fn shapes_that_are_not_one_volume_are_refused() {
        for bad in
            [&[2, 4, 5][..], &[4, 4, 5, 6, 2], &[0, 1, 1, 1], &[8, 1, 1, 1, 1, 1, 1, 1], &[3, 4, 0, 6], &[3, -4, 5, 6], &[]]
        {
            assert!(shape(bad).is_err(), "{bad:?}");
        }
        assert!(shape(&[3, i64::MAX, i64::MAX, i64::MAX]).is_err());
        assert!(shape(&[3, 1 << 10, 1 << 10, 1 << 10]).is_err());
    }

    #[test]
    fn a_slope_that_is_none_leaves_the_numbers_as_they_are() {
        for none in [0.0, f64::NAN, f64::INFINITY] {
            assert_eq!(scaling(none, 5.0), Ok((1.0, 0.0)));
        }
        assert_eq!(scaling(2.0, -1.0), Ok((2.0, -1.0)));
        assert!(scaling(2.0, f64::NAN).is_err());
    }
}
