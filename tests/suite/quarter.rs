//! A launch directory over the quarter-size CAPS, each test's own, in which any file can be replaced.

use crate::harness::tempdir;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Folder of the CAPS `caps`, the labels `labels` and the launch directory `launch`; gone when dropped.
pub struct Quarter {
    dir: tempfile::TempDir,
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mni-quarter")
}

/// Links for images, which are large; copies for the rest, which tests edit.
fn mirror(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            mirror(&path, &target);
        } else if path.extension().is_some_and(|e| e == "gz") {
            std::os::unix::fs::symlink(&path, &target).expect("linked");
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

impl Quarter {
    pub fn new() -> Self {
        let dir = tempdir();
        mirror(&fixtures(), dir.path());
        fs::create_dir(dir.path().join("launch")).expect("made");
        Quarter { dir }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn launch(&self) -> PathBuf {
        self.path("launch")
    }

    /// The volume of participant `sub-MNI<number>`.
    pub fn image(&self, number: u32) -> PathBuf {
        let name = format!("sub-MNI{number:04}");
        let file = format!("{name}_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz");
        self.path("caps/subjects").join(name).join("ses-M00/t1_linear").join(file)
    }

    /// Puts `bytes` where the link to a fixture was.
    pub fn replace(&self, path: &Path, bytes: &[u8]) {
        fs::remove_file(path).expect("removed");
        fs::write(path, bytes).expect("written");
    }

    /// Writes random_search.json: a small space over the CAPS, with these changes.
    pub fn space(&self, changes: Value) -> String {
        let mut space: Map<String, Value> = json!({
            "mode": "image", "network_type": "cnn", "caps_dir": "../caps", "tsv_path": "../labels", "preprocessing": "t1-linear",
            "diagnoses": ["AD", "CN"], "epochs": 2, "n_convblocks": [2, 3], "first_conv_width": [4, 8], "n_fcblocks": [1, 2], "use_cpu": true
        })
        .as_object()
        .expect("an object")
        .clone();
        space.extend(changes.as_object().expect("an object").clone());
        let text = Value::Object(space).to_string();
        fs::write(self.launch().join("random_search.json"), &text).expect("written");
        text
    }
}

/// Runs the command line.
pub fn neurosearch(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_neurosearch")).args(args).output().expect("the program runs")
}

/// Gives the volume at `path`, whatever wrote it, this affine without its translation.
pub fn reorient(path: &Path, affine: [[f32; 3]; 3]) {
    let mut bytes = Vec::new();
    // A volume need not be compressed.
    GzDecoder::new(fs::File::open(path).expect("opened")).read_to_end(&mut bytes).expect("unpacked");
    bytes[254..256].copy_from_slice(&1_i16.to_le_bytes());
    for (row, values) in affine.iter().enumerate() {
        for (column, value) in values.iter().enumerate() {
            let at = 280 + 16 * row + 4 * column;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }
    fs::remove_file(path).expect("removed");
    fs::write(path, bytes).expect("written");
}
