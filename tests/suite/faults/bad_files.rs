//! Hand-made bad images, tensors, labels and records: each is refused with a sentence that names the file, and ends nothing.

use super::counts::figure;
use crate::harness::tempdir;
use crate::stand_in::checkout;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::progress::Progress;
use neurosearch::store::data::labels;
use neurosearch::store::formats::{nifti, torch_file};
use neurosearch::store::records::job_records::{EndRecord, JobRecord, TrainerRecord};
use neurosearch::store::records::record::{self, Record};
use neurosearch::store::records::search_record::SearchRecord;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What is wrong with it, and the file.
type Case = (&'static str, Vec<u8>);

/// Asserts that every case is refused by `read` in a sentence that names its file, and counts them.
fn assert_refused(kind: &str, name: &str, cases: &[Case], read: impl Fn(&Path) -> Result<(), String>) {
    let dir = tempdir();
    let path = dir.path().join(name);
    for (what, bytes) in cases {
        fs::write(&path, bytes).expect("written");
        let error = read(&path).expect_err(what);
        assert!(error.contains(name), "{what}: {error}");
        assert!(!error.chars().any(char::is_control), "{what}: {error:?}");
    }
    figure(&format!("hand-made bad {kind}, each refused by name"), cases.len());
}

/// The image with these bytes from `at` on.
fn with(image: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

#[test]
fn bad_images_are_refused_by_name() {
    let good = fs::read(checkout("tests/fixtures/nifti/u1-little.nii")).expect("read");
    let packed = fs::read(checkout("tests/fixtures/nifti/i2-little.nii.gz")).expect("read");
    let dim = |dims: [i16; 8]| with(&good, 40, &dims.iter().flat_map(|d| d.to_le_bytes()).collect::<Vec<u8>>());
    let number = |at: usize, value: f32| with(&good, at, &value.to_le_bytes());
    let cases: Vec<Case> = vec![
        ("empty", Vec::new()),
        ("one byte", vec![92]),
        ("half a header", good[..200].to_vec()),
        ("a header without its last byte", good[..347].to_vec()),
        ("no voxel", good[..352].to_vec()),
        ("without its last voxel", good[..good.len() - 1].to_vec()),
        ("text", b"participant_id\tsession_id\n".repeat(40)),
        ("a header of another length", with(&good, 0, &349_i32.to_le_bytes())),
        ("a negative length of the header", with(&good, 0, &(-348_i32).to_le_bytes())),
        ("no axes", dim([0, 1, 1, 1, 1, 1, 1, 1])),
        ("eight axes", dim([8, 1, 1, 1, 1, 1, 1, 1])),
        ("an axis of no length", dim([3, 4, 0, 4, 1, 1, 1, 1])),
        ("an axis of negative length", dim([3, 4, -4, 4, 1, 1, 1, 1])),
        ("more voxels than the file has", dim([3, 32767, 32767, 32767, 1, 1, 1, 1])),
        ("a series of volumes", dim([4, 4, 5, 6, 2, 1, 1, 1])),
        ("no type", with(&good, 70, &0_i16.to_le_bytes())),
        ("colours", with(&good, 70, &128_i16.to_le_bytes())),
        ("complex numbers", with(&good, 70, &32_i16.to_le_bytes())),
        ("an unknown type", with(&good, 70, &9999_i16.to_le_bytes())),
        ("voxels that begin nowhere", number(108, f32::NAN)),
        ("voxels that begin before the file", number(108, -1000.0)),
        ("voxels that begin behind the file", number(108, 1e9)),
        ("voxels that begin at infinity", number(108, f32::INFINITY)),
        ("another format's mark", with(&good, 344, b"xxxx")),
        ("packed and cut short", packed[..packed.len() / 2].to_vec()),
        ("packed, without its checksum", packed[..packed.len() - 8].to_vec()),
        ("packed, with a wrong checksum", with(&packed, packed.len() - 8, &[0; 4])),
        ("packed, damaged inside", with(&packed, packed.len() / 2, &[0xff; 8])),
        ("packed nothing", packed[..10].to_vec()),
    ];
    assert_refused("images", "image.nii.gz", &cases, |path| nifti::read(path).map(drop).map_err(|e| e.to_string()));
    // The quick look reads the voxels only where the lengths do not agree, and must not wait or die over any of them.
    let dir = tempdir();
    for (_, bytes) in &cases {
        let path = dir.path().join("image.nii.gz");
        fs::write(&path, bytes).expect("written");
        let _ = nifti::shape(&path);
    }
}

/// A file as `torch.save` lays it out.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in entries {
        writer.start_file(*name, stored).expect("begun");
        writer.write_all(content).expect("written");
    }
    writer.finish().expect("finished").into_inner()
}

#[test]
fn bad_tensor_files_are_refused_by_name() {
    let good = fs::read(checkout("tests/fixtures/golden/slices/axis-1_slice-13.pt")).expect("read");
    let pickle = |bytes: &[u8]| archive(&[("t/data.pkl", bytes), ("t/byteorder", b"little"), ("t/data/0", &[0; 64])]);
    let deep = [b"\x80\x02".as_slice(), &vec![b']'; 100_000], &vec![b'a'; 99_999], b"."].concat();
    let middle = good.len() / 2;
    let cases: Vec<Case> = vec![
        ("empty", Vec::new()),
        ("text", b"not an archive".repeat(20)),
        ("a pickle without an archive", b"\x80\x02K\x01.".to_vec()),
        ("cut short", good[..middle].to_vec()),
        ("without its last byte", good[..good.len() - 1].to_vec()),
        ("damaged inside", with(&good, middle, &[0xa5; 16])),
        ("an archive of nothing", archive(&[])),
        ("an archive without a pickle", archive(&[("t/data/0", &[0; 4])])),
        ("an unknown byte order", archive(&[("t/data.pkl", b"\x80\x02K\x01."), ("t/byteorder", b"middle")])),
        ("an empty pickle", pickle(b"")),
        ("a pickle that does not end", pickle(b"\x80\x02K\x01")),
        ("a pickle that ends with nothing", pickle(b"\x80\x02.")),
        ("an open mark", pickle(b"\x80\x02(((((((.")),
        ("a name that was never kept", pickle(b"\x80\x02h\x05.")),
        ("a text of 2 GiB", pickle(b"\x80\x02X\xff\xff\xff\x7f")),
        ("a number of 255 bytes that are not there", pickle(b"\x80\x02\x8a\xff\x01.")),
        ("a text that is not UTF-8", pickle(b"\x80\x02X\x02\x00\x00\x00\xc3\x28.")),
        ("an opcode that there is not", pickle(b"\x80\x02\xfe.")),
        ("a program of the system", pickle(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")),
        ("the same by its other name", pickle(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.")),
        ("an evaluation", pickle(b"\x80\x02cbuiltins\neval\nX\x03\x00\x00\x001+1\x85R.")),
        ("an execution", pickle(b"\x80\x02c__builtin__\nexec\nX\x01\x00\x00\x00x\x85R.")),
        ("a reducer that is no tensor's", pickle(b"\x80\x02ctorch._utils\n_rebuild_qtensor\n)R.")),
        ("an object that is built by a call to nothing", pickle(b"\x80\x02K\x01)R.")),
        ("lists in lists without end", pickle(&deep)),
    ];
    assert_refused("tensor files", "tensor.pt", &cases, |path| torch_file::read(path).map(drop).map_err(|e| e.to_string()));
}

#[test]
fn bad_labels_are_refused_by_name() {
    let dir = tempdir();
    let options = format!(
        r#"{{"mode": "image", "network_type": "cnn", "caps_dir": "/caps", "tsv_path": "{}", "n_fcblocks": 1, "baseline": true,
        "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"],
        "convolutions": {{"conv0": {{"out_channels": 4, "n_conv": 1, "d_reduction": "stride"}}}}}}"#,
        dir.path().display()
    );
    let (options, _) = JobOptions::from_json(&options, "commandline.json", dir.path()).expect("options");
    let row = |participant: &str, diagnosis: &str| format!("{participant}\tses-M00\t{diagnosis}\n");
    let head = "participant_id\tsession_id\tdiagnosis\n";
    for side in ["train", "validation"] {
        fs::create_dir(dir.path().join(side)).expect("made");
        for label in ["AD", "CN"] {
            let text = format!("{head}{}", row(&format!("sub-{side}{label}"), label));
            fs::write(dir.path().join(side).join(format!("{label}_baseline.tsv")), text).expect("written");
        }
    }
    labels::read_fold(&options, 0).expect("good as they are");
    let good = |more: &str| format!("{head}{more}").into_bytes();
    let cases: Vec<Case> = vec![
        ("empty", Vec::new()),
        ("no column of participants", b"session_id\tdiagnosis\nses-M00\tAD\n".to_vec()),
        ("no column of sessions", b"participant_id\tdiagnosis\nsub-0\tAD\n".to_vec()),
        ("no column of diagnoses", b"participant_id\tsession_id\nsub-0\tses-M00\n".to_vec()),
        ("commas for tabs", b"participant_id,session_id,diagnosis\nsub-0,ses-M00,AD\n".to_vec()),
        ("a row too short", good("sub-0\tses-M00\n")),
        ("a row too long", good("sub-0\tses-M00\tAD\tmore\n")),
        ("an unknown diagnosis", good(&row("sub-0", "XX"))),
        ("no participant", good(&row("", "AD"))),
        ("a way out of the folder", good(&row("../../../etc/passwd", "AD"))),
        ("a path for a name", good(&row("sub-0/ses-1", "AD"))),
        ("an image twice", good(&row("sub-0", "AD").repeat(2))),
        ("not UTF-8", [head.as_bytes(), &[0xff, 0xfe, b'\t', b'x', b'\t', b'y', b'\n']].concat()),
        ("bytes of an image", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]),
    ];
    let file = dir.path().join("train/AD_baseline.tsv");
    for (what, bytes) in &cases {
        fs::write(&file, bytes).expect("written");
        let error = labels::read_fold(&options, 0).expect_err(what).to_string();
        assert!(error.contains("AD_baseline.tsv") && !error.chars().any(char::is_control), "{what}: {error:?}");
    }
    figure("hand-made bad tables of labels, each refused by name", cases.len());
}

fn bad_records<T: Record>(name: &str, cases: &[Case]) {
    assert_refused(name, name, cases, |path| record::read::<T>(path).map(drop).map_err(|e| e.to_string()));
}

#[test]
fn bad_records_are_refused_by_name() {
    let cases: Vec<Case> = vec![
        ("empty", Vec::new()),
        ("white", b" \n\t ".to_vec()),
        ("nothing", b"null".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a number", b"1".to_vec()),
        ("no key", b"{}".to_vec()),
        ("a version alone", br#"{"version": 1}"#.to_vec()),
        ("a version of tomorrow", br#"{"version": 2}"#.to_vec()),
        ("a version of nobody", br#"{"version": 4294967296}"#.to_vec()),
        ("a version as text", br#"{"version": "1"}"#.to_vec()),
        ("a version twice", br#"{"version": 1, "version": 1}"#.to_vec()),
        ("a number too large", br#"{"version": 1e400}"#.to_vec()),
        ("half", br#"{"version": 1, "att"#.to_vec()),
        ("two in one", br#"{"version": 1}{"version": 1}"#.to_vec()),
        ("nested without end", [br#"{"version": "#.as_slice(), &[b'['; 100_000]].concat()),
        ("zeros, as a crash of the machine leaves", vec![0; 300]),
        ("not UTF-8", vec![b'{', 0xff, b'}']),
        ("larger than any", vec![b' '; (1 << 20) + 1]),
    ];
    bad_records::<SearchRecord>("search.json", &cases);
    bad_records::<JobRecord>("job.json", &cases);
    bad_records::<TrainerRecord>("trainer.json", &cases);
    bad_records::<Progress>("progress.json", &cases);
    bad_records::<EndRecord>("end.json", &cases);
}
