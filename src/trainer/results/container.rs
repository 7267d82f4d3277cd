//! The file format of checkpoints: a JSON head, raw tensors and a checksum over all, replaced whole.
//!
//! Layout, little-endian: the magic line, the head's length (u64), the head (JSON), the tensors' bytes in the head's order, and
//! the CRC-32C of everything before (u32). `torch.load`'s own format is not used because it accepts flipped bits silently.

use crate::model::state_dict::State;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::fs::failpoint::{self, Point};
use neurosearch::store::fs::owned_path::Place;
use neurosearch::store::fs::{atomic, open};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufReader, BufWriter, Read, Write};
use tch::{Kind, Tensor};

const MAGIC: &[u8; 24] = b"neurosearch checkpoint 1";
/// No head is larger: it holds a row an evaluation.
const LARGEST_HEAD: u64 = 1 << 30;

/// What stands in the file before the tensors.
#[derive(Debug, Serialize, Deserialize)]
struct ContainerHead<T> {
    record: T,
    tensors: Vec<SectionEntry>,
}

/// One tensor's name and form.
#[derive(Debug, Serialize, Deserialize)]
struct SectionEntry {
    name: String,
    kind: ContainerElement,
    shape: Vec<i64>,
}

/// The element types that occur in a training's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ContainerElement {
    Float32,
    Int64,
    Uint8,
}

impl ContainerElement {
    const fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Float => Some(ContainerElement::Float32),
            Kind::Int64 => Some(ContainerElement::Int64),
            Kind::Uint8 => Some(ContainerElement::Uint8),
            _ => None,
        }
    }

    const fn kind(self) -> Kind {
        match self {
            ContainerElement::Float32 => Kind::Float,
            ContainerElement::Int64 => Kind::Int64,
            ContainerElement::Uint8 => Kind::Uint8,
        }
    }

    const fn size(self) -> usize {
        match self {
            ContainerElement::Float32 => 4,
            ContainerElement::Int64 => 8,
            ContainerElement::Uint8 => 1,
        }
    }
}

/// Bytes of a tensor that are copied at a time: a whole one may be as large as everything else together.
const PIECE: usize = 1 << 20;

/// Makes `record` and `tensors`, all on the CPU, the content of `place`. Of tensors that are contiguous only pieces are copied.
pub fn write<T: Serialize>(place: &(impl Place + ?Sized), record: &T, tensors: &State) -> Result<(), StoreError> {
    let fail = |sentence: String| StoreError::content(place.path(), sentence);
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let kind = ContainerElement::of(tensor.kind())
            .ok_or_else(|| fail(format!("cannot hold {name:?} of type {:?}", tensor.kind())))?;
        entries.push(SectionEntry { name: name.clone(), kind, shape: tensor.size() });
    }
    let sizes: Vec<usize> = entries.iter().map(|entry| entry.kind.size()).collect();
    let head =
        serde_json::to_vec(&ContainerHead { record, tensors: entries }).map_err(|e| fail(format!("cannot be written: {e}")))?;
    atomic::replace_with(place, |file| {
        let mut out = Summed { inner: BufWriter::with_capacity(1 << 20, file), sum: 0 };
        out.write_all(MAGIC)?;
        out.write_all(&(head.len() as u64).to_le_bytes())?;
        out.write_all(&head)?;
        for ((_, tensor), size) in tensors.iter().zip(sizes) {
            put(tensor, size, &mut out)?;
        }
        let sum = out.sum;
        out.write_all(&sum.to_le_bytes())?;
        out.inner.flush()
    })
}

/// Writes a tensor's elements, of `size` bytes each, in C order.
fn put(tensor: &Tensor, size: usize, out: &mut impl Write) -> std::io::Result<()> {
    let other = std::io::Error::other;
    let flat = tensor.f_detach().and_then(|tensor| tensor.f_flatten(0, -1)).map_err(other)?;
    let (mut first, mut bytes) = (0, Vec::new());
    while first < flat.numel() {
        let count = (flat.numel() - first).min(PIECE / size);
        let piece = flat.f_narrow(0, first as i64, count as i64).map_err(other)?;
        bytes.resize(count * size, 0);
        piece.f_copy_data_u8(&mut bytes, count).map_err(other)?;
        out.write_all(&bytes)?;
        first += count;
    }
    Ok(())
}

/// The record and the tensors in `place`; an error where anything is not as it was written.
pub fn read<T: DeserializeOwned>(place: &(impl Place + ?Sized)) -> Result<(T, State), StoreError> {
    let fail = |e| StoreError::io("read", place.path(), e);
    let broken = |sentence: String| StoreError::content(place.path(), sentence);
    failpoint::pass(Point::Read, place.path()).map_err(fail)?;
    let file = open::read(place)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut source = Summed { inner: BufReader::with_capacity(1 << 20, file), sum: 0 };
    let mut magic = [0; 24];
    source.read_exact(&mut magic).map_err(fail)?;
    if &magic != MAGIC {
        return Err(broken("is no checkpoint of this version".to_string()));
    }
    let mut number = [0; 8];
    source.read_exact(&mut number).map_err(fail)?;
    let head_length = u64::from_le_bytes(number);
    if head_length > LARGEST_HEAD.min(length) {
        return Err(broken(format!("its head is said to have {head_length} bytes, more than there are")));
    }
    let mut head = vec![0; head_length as usize];
    source.read_exact(&mut head).map_err(fail)?;
    let head: ContainerHead<T> = serde_json::from_slice(&head).map_err(|e| broken(format!("its head cannot be read: {e}")))?;
    let mut state = State::with_capacity(head.tensors.len());
    for entry in head.tensors {
        let bytes = entry.bytes(length).ok_or_else(|| broken(format!("{:?} is larger than the file", entry.name)))?;
        let mut data = vec![0; bytes];
        source.read_exact(&mut data).map_err(fail)?;
        let tensor = Tensor::f_from_data_size(&data, &entry.shape, entry.kind.kind()).map_err(|e| broken(e.to_string()))?;
        state.push((entry.name, tensor));
    }
    let (sum, mut stored) = (source.sum, [0; 4]);
    source.read_exact(&mut stored).map_err(fail)?;
    if u32::from_le_bytes(stored) != sum {
        return Err(broken("its checksum is wrong: the file is damaged".to_string()));
    }
    Ok((head.record, state))
}

impl SectionEntry {
    /// How many bytes the tensor takes, or None if that cannot be, in a file of `length` bytes.
    fn bytes(&self, length: u64) -> Option<usize> {
        let sizes = self.shape.iter().map(|size| usize::try_from(*size).ok());
        let bytes = sizes.chain([Some(self.kind.size())]).try_fold(1_usize, |product, size| product.checked_mul(size?))?;
        (bytes as u64 <= length).then_some(bytes)
    }
}

/// Sums what passes through.
struct Summed<T> {
    inner: T,
    sum: u32,
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.sum = crc32c::crc32c_append(self.sum, &bytes[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::path::Path;
    use tch::Device;

    fn sample(path: &Path) {
        let weights = Tensor::from_slice2(&[[0.1_f32, -2.5], [f32::MIN_POSITIVE, 3.0]]).tr();
        let count = Tensor::from(7_i64);
        let labels = Tensor::from_slice(&[1_u8, 0, 1]);
        let tensors = vec![("weights".to_string(), weights), ("count".to_string(), count), ("labels".to_string(), labels)];
        write(path, &vec![0.1_f64, 1e-300], &tensors).expect("written");
    }

    #[test]
    fn numbers_and_tensors_come_back_bit_for_bit_whatever_their_strides() {
        let dir = tempdir();
        let path = dir.path().join("checkpoint-0");
        sample(&path);
        let (record, state) = read::<Vec<f64>>(&path).expect("read");
        assert_eq!(record, [0.1, 1e-300]);
        assert_eq!(state[0].0, "weights");
        assert!(state[0].1.equal(&Tensor::from_slice2(&[[0.1_f32, f32::MIN_POSITIVE], [-2.5, 3.0]])));
        assert!(state[1].1.equal(&Tensor::from(7_i64)));
        assert!(state[2].1.equal(&Tensor::from_slice(&[1_u8, 0, 1])));
    }

    #[test]
    fn a_tensor_of_several_pieces_comes_back_whole() {
        let dir = tempdir();
        let path = dir.path().join("checkpoint-0");
        let numbers = Tensor::arange(2 * PIECE as i64 / 4 + 3, (Kind::Float, Device::Cpu));
        let tensors =
            vec![("numbers".to_string(), numbers), ("none".to_string(), Tensor::zeros([0, 3], (Kind::Int64, Device::Cpu)))];
        write(&path, &0, &tensors).expect("written");
        let (_, read) = read::<u32>(&path).expect("read");
        assert!(read.iter().zip(&tensors).all(|((_, read), (_, written))| read.size() == written.size() && read.equal(written)));
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_an_error() {
        let dir = tempdir();
        let path = dir.path().join("checkpoint-0");
        sample(&path);
        let whole = std::fs::read(&path).expect("read");
        for index in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[index] ^= 1 << (index % 8);
            std::fs::write(&path, &flipped).expect("written");
            assert!(read::<Vec<f64>>(&path).is_err(), "bit flipped in byte {index}");
            std::fs::write(&path, &whole[..index]).expect("written");
            assert!(read::<Vec<f64>>(&path).is_err(), "cut to {index} bytes");
        }
    }

    #[test]
    fn an_element_type_that_no_state_has_is_refused() {
        let dir = tempdir();
        let double = Tensor::zeros([2], (Kind::Double, Device::Cpu));
        let error = write(&dir.path().join("x"), &0, &vec![("double".to_string(), double)]).expect_err("no f64");
        assert!(error.to_string().contains("double"), "{error}");
    }
}
