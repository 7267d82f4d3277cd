//! A quick look at what lies at a path: an image's size and whether its file is whole, without decoding its voxels.

use super::error::StoreError;
use super::nifti;
use super::nifti_header;
use super::open;
use super::torch_file::{self, Value};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Whether there is a file that can be asked for its content, a link to one included.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// Whether anything has this name, be it a link that leads nowhere.
pub fn is_taken(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether the directory can be listed.
///
/// # Errors
/// Names the directory, and why not.
pub fn directory(path: &Path) -> Result<(), StoreError> {
    std::fs::read_dir(path).map(|_| ()).map_err(|e| StoreError::io("list", path, e))
}

/// The size X, Y, Z of a `.nii` or `.nii.gz` volume that is there to its last voxel.
///
/// A compressed file is believed when its last four bytes give the length that its header asks for, and decoded whole where
/// they do not: it may have several members, or be cut short.
///
/// # Errors
/// Names the file: not there, not NIfTI, or cut short.
pub fn nifti(path: &Path) -> Result<[usize; 3], StoreError> {
    let fail = |e| StoreError::io("read", path, e);
    let mut file = open::read(path)?;
    let mut start = [0; 2];
    file.read_exact(&mut start).map_err(|_| StoreError::content(path, "cut short: it ends before its header"))?;
    file.rewind().map_err(fail)?;
    let packed = start == [0x1f, 0x8b];
    let header = match packed {
        true => header(MultiGzDecoder::new(BufReader::with_capacity(1 << 12, &file))),
        false => header(&file),
    };
    let header = header.map_err(|sentence| StoreError::content(path, sentence))?;
    let needed = header.offset + header.bytes();
    let length = if packed { unpacked_length(&mut file) } else { file.metadata().map(|meta| meta.len()) }.map_err(fail)?;
    // The four bytes of a packed file count modulo 2^32.
    let whole = if packed { length == needed & u64::from(u32::MAX) } else { length >= needed };
    if whole { Ok(header.shape) } else { nifti::read(path).map(|volume| volume.shape) }
}

fn header(mut source: impl Read) -> Result<nifti_header::Header, String> {
    let short = |e: io::Error| format!("cut short or damaged in its header ({e})");
    let mut bytes = [0; nifti_header::LONGEST];
    source.read_exact(&mut bytes[..4]).map_err(short)?;
    let (length, big_endian) = nifti_header::length([bytes[0], bytes[1], bytes[2], bytes[3]])?;
    source.read_exact(&mut bytes[4..length]).map_err(short)?;
    nifti_header::parse(&bytes[..length], big_endian)
}

/// What the last member of a gzip file says of its length.
fn unpacked_length(file: &mut File) -> io::Result<u64> {
    let mut last = [0; 4];
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut last)?;
    Ok(u64::from(u32::from_le_bytes(last)))
}

/// The shape of the tensor in a `.pt` file, which is read whole.
///
/// # Errors
/// Names the file: not there, damaged, or something other than a tensor.
pub fn tensor(path: &Path) -> Result<Vec<usize>, StoreError> {
    match torch_file::read(path)? {
        Value::Tensor(tensor) => Ok(tensor.shape),
        _ => Err(StoreError::content(path, "holds no single tensor")),
    }
}

/// Whether the `.pt` file is there to its end and its first storage has `bytes` bytes: that its tensor has the size of
/// another is then as good as known, at the price of a look at the archive's index.
///
/// # Errors
/// Names the file: not there, or cut short.
pub fn tensor_has_bytes(path: &Path, bytes: u64) -> Result<bool, StoreError> {
    let file = open::read(path)?;
    let mut archive = zip::ZipArchive::new(BufReader::with_capacity(1 << 12, file))
        .map_err(|e| StoreError::content(path, format!("cut short, or not PyTorch's zip format ({e})")))?;
    let storage = archive.file_names().flatten().find(|name| name.ends_with("/data/0")).map(|name| name.into_owned());
    let Some(storage) = storage else { return Ok(false) };
    let entry = archive.by_name(&storage).map_err(|e| StoreError::content(path, format!("damaged ({e})")))?;
    Ok(entry.size() == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn image() -> PathBuf {
        let caps =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mni-quarter/caps/subjects/sub-MNI0000/ses-M00/t1_linear");
        caps.join("sub-MNI0000_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz")
    }

    #[test]
    fn the_size_comes_from_the_header_and_a_file_cut_short_is_told() {
        assert_eq!(nifti(&image()).expect("whole"), [42, 52, 45]);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cut = dir.path().join("cut.nii.gz");
        let bytes = fs::read(image()).expect("read");
        for length in [0, 1, 10, 200, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&cut, &bytes[..length]).expect("written");
            let error = nifti(&cut).expect_err("cut short").to_string();
            assert!(error.contains("cut.nii.gz"), "{length}: {error}");
        }
    }

    #[test]
    fn a_volume_that_is_not_packed_is_measured_by_its_length() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("v.nii");
        nifti::write_f32(&path, [3, 4, 5], &[0.0; 60]).expect("written");
        assert_eq!(nifti(&path).expect("whole"), [3, 4, 5]);
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert!(nifti(&path).is_err());
    }

    #[test]
    fn a_tensors_size_is_seen_in_the_archives_index() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("t.pt");
        let value = Value::Tensor(super::super::torch_tensor::Tensor::f32(&[1, 2, 3, 4], vec![0.0; 24]));
        torch_file::write(&path, "t", &value).expect("written");
        assert_eq!(tensor(&path).expect("read"), [1, 2, 3, 4]);
        assert!(tensor_has_bytes(&path, 96).expect("whole"));
        assert!(!tensor_has_bytes(&path, 92).expect("whole"));
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        assert!(tensor_has_bytes(&path, 96).is_err());
    }
}
