//! Tensors of PyTorch's files: their elements, and how they are read from the archive's storages through offsets and strides.

use super::pickle_graph::{Storage, StorageKind, View};
use half::{bf16, f16};
use std::io::{Read, Seek, Write};
use zip::{CompressionMethod, ZipArchive};

/// A dense tensor, elements in C order (the last axis fastest).
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: TensorData,
}

impl Tensor {
    /// A tensor of 32-bit floats; `data` has as many elements as `shape` says.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Self {
        Tensor { shape: shape.to_vec(), data: TensorData::F32(data) }
    }

    /// Product of the sizes; of an empty shape 1.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// How elements of one type are made of bytes and written.
trait Element: Copy {
    const SIZE: usize;
    fn from_bytes(bytes: &[u8], big_endian: bool) -> Self;
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! elements {
    ($($kind:ident $type:ty),+ $(,)?) => {
        /// Elements by type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum TensorData { $($kind(Vec<$type>)),+ }

        $(impl Element for $type {
            const SIZE: usize = StorageKind::$kind.size();
            fn from_bytes(bytes: &[u8], big_endian: bool) -> Self {
                let mut array = [0; Self::SIZE];
                array.copy_from_slice(bytes);
                if big_endian { <$type>::from_be_bytes(array) } else { <$type>::from_le_bytes(array) }
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        })+

        impl TensorData {
            /// The type of the elements, as a storage names it.
            pub const fn kind(&self) -> StorageKind {
                match self { $(TensorData::$kind(_) => StorageKind::$kind),+ , }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(TensorData::$kind(data) => data.len()),+ }
            }

            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Writes the elements, little-endian.
            pub fn write_to(&self, out: &mut dyn Write) -> std::io::Result<()> {
                match self { $(TensorData::$kind(data) => put_all(data, out)),+ }
            }

            fn read(kind: StorageKind, source: &mut dyn Read, length: usize, big_endian: bool) -> std::io::Result<Self> {
                Ok(match kind { $(StorageKind::$kind => TensorData::$kind(get_all(source, length, big_endian)?)),+ })
            }

            /// The elements that `view` sees; its bounds were checked.
            fn gather(&self, view: &View) -> Self {
                match self { $(TensorData::$kind(data) => TensorData::$kind(gather(data, view))),+ }
            }
        }
    };
}

/// `true` and `false` stand as one byte, and any byte but 0 is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boolean(pub bool);

impl Boolean {
    const fn from_le_bytes(bytes: [u8; 1]) -> Self {
        Boolean(bytes[0] != 0)
    }
    const fn from_be_bytes(bytes: [u8; 1]) -> Self {
        Boolean(bytes[0] != 0)
    }
    const fn to_le_bytes(self) -> [u8; 1] {
        [self.0 as u8]
    }
}

elements!(F64 f64, F32 f32, F16 f16, Bf16 bf16, I64 i64, I32 i32, I16 i16, I8 i8, U8 u8, Bool Boolean);

impl TensorData {
    /// The elements as 32-bit floats, rounded to nearest where they have more digits.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            TensorData::F32(data) => data,
            TensorData::F64(data) => data.iter().map(|v| *v as f32).collect(),
            TensorData::F16(data) => data.iter().map(|v| f32::from(*v)).collect(),
            TensorData::Bf16(data) => data.iter().map(|v| f32::from(*v)).collect(),
            TensorData::I64(data) => data.iter().map(|v| *v as f32).collect(),
            TensorData::I32(data) => data.iter().map(|v| *v as f32).collect(),
            TensorData::I16(data) => data.iter().map(|v| f32::from(*v)).collect(),
            TensorData::I8(data) => data.iter().map(|v| f32::from(*v)).collect(),
            TensorData::U8(data) => data.iter().map(|v| f32::from(*v)).collect(),
            TensorData::Bool(data) => data.iter().map(|v| f32::from(u8::from(v.0))).collect(),
        }
    }
}

/// Bytes converted at a time: they stay in the processor's cache between reading and converting.
const CHUNK: usize = 1 << 16;

fn get_all<T: Element>(source: &mut dyn Read, length: usize, big_endian: bool) -> std::io::Result<Vec<T>> {
    let mut data = Vec::with_capacity(length);
    let mut buffer = [0; CHUNK];
    while data.len() < length {
        let count = (CHUNK / T::SIZE).min(length - data.len());
        let bytes = &mut buffer[..count * T::SIZE];
        source.read_exact(bytes)?;
        // The branch on the byte order stands outside the loop, which then is a plain copy.
        if big_endian {
            data.extend(bytes.chunks_exact(T::SIZE).map(|b| T::from_bytes(b, true)));
        } else {
            data.extend(bytes.chunks_exact(T::SIZE).map(|b| T::from_bytes(b, false)));
        }
    }
    Ok(data)
}

fn put_all<T: Element>(data: &[T], out: &mut dyn Write) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(CHUNK);
    for chunk in data.chunks(CHUNK / T::SIZE) {
        buffer.clear();
        chunk.iter().for_each(|element| element.put(&mut buffer));
        out.write_all(&buffer)?;
    }
    Ok(())
}

/// Walks `view` in C order. The caller has checked that every place lies in `data`.
fn gather<T: Copy>(data: &[T], view: &View) -> Vec<T> {
    let total: usize = view.shape.iter().product();
    let mut gathered = Vec::with_capacity(total);
    let (inner, step) = (view.shape.last().copied().unwrap_or(1), view.strides.last().copied().unwrap_or(1));
    let outer = view.shape.len().saturating_sub(1);
    let mut at = vec![0; outer];
    while gathered.len() < total {
        let start = view.offset + at.iter().zip(&view.strides).map(|(a, s)| a * s).sum::<usize>();
        if step == 1 {
            gathered.extend_from_slice(&data[start..start + inner]);
        } else {
            gathered.extend((0..inner).map(|i| data[start + i * step]));
        }
        for axis in (0..outer).rev() {
            at[axis] += 1;
            if at[axis] < view.shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    gathered
}

/// The storages of one archive. A storage is read when a tensor needs it, and the last one is kept for tensors that share it.
pub struct Storages<R> {
    archive: ZipArchive<R>,
    prefix: String,
    big_endian: bool,
    file_length: u64,
    /// Bytes that may yet be allocated: strides of 0 and shared storages could otherwise unfold a small file without end.
    budget: u64,
    last: Option<(Storage, TensorData)>,
}

impl<R: Read + Seek> Storages<R> {
    /// `file_length` is the archive's size in bytes.
    pub fn new(archive: ZipArchive<R>, prefix: String, big_endian: bool, file_length: u64) -> Self {
        let budget = file_length.saturating_mul(4).saturating_add(16 << 20);
        Storages { archive, prefix, big_endian, file_length, budget, last: None }
    }

    /// The tensor that `view` sees.
    pub fn tensor(&mut self, view: &View) -> Result<Tensor, String> {
        let fail = |what: &str| format!("its tensor of shape {:?} on storage {:?} {what}", view.shape, view.storage.key);
        let elements = checked_product(&view.shape).ok_or_else(|| fail("is larger than any memory"))?;
        if elements > 0 && last_place(view).is_none_or(|last| last >= view.storage.length) {
            return Err(fail(&format!("reaches beyond the storage's {} elements", view.storage.length)));
        }
        let bytes = (elements as u64).checked_mul(view.storage.kind.size() as u64);
        self.budget = bytes
            .and_then(|bytes| self.budget.checked_sub(bytes))
            .ok_or_else(|| fail("unfolds to far more than the file holds"))?;
        let whole = elements == view.storage.length && is_dense(view);
        let data = match self.last.take() {
            Some((storage, data)) if storage == view.storage => data,
            _ => self.load(&view.storage)?,
        };
        let shape = view.shape.clone();
        if whole {
            return Ok(Tensor { shape, data });
        }
        let gathered = if elements == 0 {
            data.gather(&View { shape: vec![0], strides: vec![1], ..view.clone() })
        } else {
            data.gather(view)
        };
        self.last = Some((view.storage.clone(), data));
        Ok(Tensor { shape, data: gathered })
    }

    /// The whole storage, its checksum held against its bytes.
    fn load(&mut self, storage: &Storage) -> Result<TensorData, String> {
        let name = format!("{}/data/{}", self.prefix, storage.key);
        let damaged = |e: std::io::Error| format!("its entry {name:?} is damaged ({e})");
        let mut entry = self.archive.by_name(&name).map_err(|e| format!("its entry {name:?} cannot be read ({e})"))?;
        let expected = (storage.length as u64).checked_mul(storage.kind.size() as u64);
        if entry.compression() != CompressionMethod::Stored || expected != Some(entry.size()) || entry.size() > self.file_length {
            let (length, size) = (storage.length, entry.size());
            return Err(format!(
                "its entry {name:?} has {size} bytes, {} of them expected uncompressed for {length} elements",
                expected.unwrap_or(0)
            ));
        }
        let left = self.budget.checked_sub(entry.size());
        self.budget = left.ok_or_else(|| format!("its entry {name:?} is read again and again"))?;
        let data = TensorData::read(storage.kind, &mut entry, storage.length, self.big_endian).map_err(damaged)?;
        // The reader compares the checksum when it meets the end.
        match entry.read(&mut [0]).map_err(damaged)? {
            0 => Ok(data),
            _ => Err(format!("its entry {name:?} goes on after its end")),
        }
    }
}

fn checked_product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

/// Place of the view's last element in its storage; none on overflow. Every size is at least 1.
fn last_place(view: &View) -> Option<usize> {
    view.shape
        .iter()
        .zip(&view.strides)
        .try_fold(view.offset, |place, (size, stride)| place.checked_add(size.saturating_sub(1).checked_mul(*stride)?))
}

/// Whether the view is in C order without gaps, from the storage's beginning.
fn is_dense(view: &View) -> bool {
    let mut expected = 1usize;
    let dense = view.shape.iter().zip(&view.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected = expected.saturating_mul(*size);
        fits
    });
    dense && view.offset == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(shape: &[usize], strides: &[usize], offset: usize, length: usize) -> View {
        let storage = Storage { kind: StorageKind::F32, key: "0".to_string(), length };
        View { storage, offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn strides_are_walked_in_the_order_of_the_axes() {
        let data: Vec<f32> = (0..6).map(|v| v as f32).collect();
        assert_eq!(gather(&data, &view(&[3, 2], &[1, 3], 0, 6)), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gather(&data, &view(&[2, 2], &[3, 1], 1, 6)), [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(gather(&data, &view(&[2, 3], &[0, 2], 1, 6)), [1.0, 3.0, 5.0, 1.0, 3.0, 5.0]);
        assert_eq!(gather(&data, &view(&[], &[], 4, 6)), [4.0]);
    }

    #[test]
    fn only_a_gapless_view_from_the_beginning_is_dense() {
        assert!(is_dense(&view(&[2, 3], &[3, 1], 0, 6)));
        assert!(is_dense(&view(&[2, 1, 3], &[3, 99, 1], 0, 6)));
        assert!(!is_dense(&view(&[3, 2], &[1, 3], 0, 6)));
        assert!(!is_dense(&view(&[2, 2], &[2, 1], 1, 6)));
    }

    #[test]
    fn places_that_overflow_are_none() {
        assert_eq!(last_place(&view(&[2, 3], &[3, 1], 0, 6)), Some(5));
        assert_eq!(last_place(&view(&[usize::MAX], &[2], 0, 6)), None);
        assert_eq!(last_place(&view(&[2], &[1], usize::MAX, 6)), None);
    }
}
