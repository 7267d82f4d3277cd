//! Tests of NIfTI: nibabel's numbers, both ways through our own writer, and files that are cut, damaged or lie about their size.

use super::*;
use crate::testing::tempdir;
use std::io::Cursor;
use std::path::PathBuf;

fn fixtures(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn load(bytes: &[u8]) -> Result<NiftiVolume, String> {
    read_from(Cursor::new(bytes), bytes.len() as u64)
}

/// A small volume as the writer gives it, uncompressed.
fn small(dir: &Path) -> Vec<u8> {
    let path = dir.join("small.nii");
    let voxels: Vec<f32> = (0..24).map(|v| v as f32 - 3.0).collect();
    write_f32(&path, [2, 3, 4], &voxels).expect("written");
    std::fs::read(path).expect("read")
}

#[test]
fn every_type_byte_order_version_and_scaling_gives_nibabels_bits() {
    let text = std::fs::read_to_string(fixtures("nifti/expected.json")).expect("read");
    let expected: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    assert_eq!(expected.len(), 20);
    for (name, expected) in expected {
        let volume = read(&fixtures("nifti").join(&name)).expect("read");
        let shape: [usize; 3] = serde_json::from_value(expected["shape"].clone()).expect("a shape");
        let bits: Vec<u32> = serde_json::from_value(expected["bits"].clone()).expect("bits");
        assert_eq!(volume.shape, shape, "{name}");
        assert_eq!(super::shape(&fixtures("nifti").join(&name)).expect("a shape"), shape, "{name}");
        assert_eq!(volume.voxels.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), bits, "{name}");
    }
}

#[test]
fn what_is_written_is_read_back_the_same_compressed_or_not() {
    let dir = tempdir();
    let shape = [3, 5, 37];
    let voxels: Vec<f32> = (0..3 * 5 * 37).map(|v| (v as f32).sin()).collect();
    for name in ["a.nii", "a.nii.gz"] {
        let path = dir.path().join(name);
        write_f32(&path, shape, &voxels).expect("written");
        assert_eq!(read(&path).expect("read"), NiftiVolume { shape, voxels: voxels.clone() }, "{name}");
    }
    let sizes = ["a.nii", "a.nii.gz"].map(|name| std::fs::metadata(dir.path().join(name)).expect("there").len());
    assert!(sizes[0] == 352 + 4 * 555 && sizes[1] < sizes[0], "{sizes:?}");
}

#[test]
fn a_shape_that_the_voxels_do_not_have_is_not_written() {
    let dir = tempdir();
    let path = dir.path().join("a.nii");
    assert!(write_f32(&path, [2, 2, 2], &[0.0; 7]).is_err());
    assert!(write_f32(&path, [40_000, 1, 1], &vec![0.0; 40_000]).is_err());
    assert!(!path.exists());
}

#[test]
fn a_real_volume_has_the_size_of_its_template() {
    let caps = fixtures("mni-quarter/caps/subjects/sub-MNI0000/ses-M00/t1_linear");
    let volume =
        read(&caps.join("sub-MNI0000_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz")).expect("read");
    assert_eq!(volume.shape, [42, 52, 45]);
    assert!(volume.voxels.iter().all(|v| v.is_finite()) && volume.voxels.iter().any(|v| *v > 0.0));
}

#[test]
fn a_truncated_file_is_an_error_that_names_it_and_says_so() {
    let dir = tempdir();
    let name = "sub-MNI0000_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz";
    let whole = std::fs::read(fixtures("mni-quarter/caps/subjects/sub-MNI0000/ses-M00/t1_linear").join(name)).expect("read");
    let path = dir.path().join("cut.nii.gz");
    for length in [0, 1, 10, 300, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = read(&path).expect_err("cut short").to_string();
        assert!(error.contains("cut.nii.gz") && error.contains("cut short"), "{length}: {error}");
        assert!(shape(&path).is_err(), "the header alone must not pass for the file: {length}");
    }
    let plain = small(dir.path());
    for length in 0..plain.len() {
        assert!(load(&plain[..length]).expect_err("cut short").contains("cut short"), "{length}");
    }
}

#[test]
fn a_compressed_volume_that_was_cut_short_has_no_shape() {
    let folder = "mni-quarter/caps/subjects/sub-MNI0000/ses-M00/t1_linear";
    let image = fixtures(folder).join("sub-MNI0000_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz");
    assert_eq!(shape(&image).expect("whole"), [42, 52, 45]);
    let dir = tempdir();
    let cut = dir.path().join("cut.nii.gz");
    let bytes = std::fs::read(image).expect("read");
    for length in [0, 1, 10, 200, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&cut, &bytes[..length]).expect("written");
        let error = shape(&cut).expect_err("cut short").to_string();
        assert!(error.contains("cut.nii.gz"), "{length}: {error}");
    }
}

#[test]
fn damage_inside_a_compressed_file_is_found_by_its_checksum() {
    let dir = tempdir();
    let path = dir.path().join("a.nii.gz");
    write_f32(&path, [2, 3, 4], &[1.5; 24]).expect("written");
    let mut bytes = std::fs::read(&path).expect("read");
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    assert!(load(&bytes).expect_err("damaged").contains("damaged"));
}

#[test]
fn padding_after_the_last_member_is_no_fault() {
    let dir = tempdir();
    let path = dir.path().join("a.nii.gz");
    write_f32(&path, [2, 3, 4], &[1.5; 24]).expect("written");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes.extend([0; 100]);
    assert_eq!(load(&bytes).expect("read").voxels, [1.5; 24]);
}

#[test]
fn sizes_that_the_file_cannot_hold_are_refused_before_memory_is_claimed() {
    let dir = tempdir();
    let good = small(dir.path());
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        load(&bytes)
    };
    let huge: Vec<u8> = [3i16, 32767, 32767, 32767].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(with(40, &huge).expect_err("refused").contains("voxels"));
    let large: Vec<u8> = [3i16, 800, 800, 800].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(with(40, &large).expect_err("refused").contains("cut short"));
    assert!(with(70, &128i16.to_le_bytes()).expect_err("refused").contains("128"));
    assert!(with(108, &1e9f32.to_le_bytes()).expect_err("refused").contains("cut short"));
    assert!(with(108, &f32::NAN.to_le_bytes()).expect_err("refused").contains("begin at byte"));
    assert!(with(116, &f32::NAN.to_le_bytes()).expect_err("refused").contains("intercept"));
    assert!(with(344, b"ni1\0").expect_err("refused").contains(".hdr"));
    assert!(with(0, &349i32.to_le_bytes()).expect_err("refused").contains("not a NIfTI file"));
}

#[test]
fn no_header_bytes_make_the_reader_panic() {
    let dir = tempdir();
    let good = small(dir.path());
    for place in 0..352 {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] = byte;
            // Whatever comes of it is right, as long as it comes.
            let _ = load(&bad);
        }
    }
}
