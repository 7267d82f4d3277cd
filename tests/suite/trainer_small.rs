//! A CAPS of a few voxels, and a network whose answers can be told by hand.

use super::trainer_run::{Job, laid_over, table};
use crate::harness::tempdir;
use neurosearch::domain::words::Preprocessing;
use neurosearch::store::data::caps::{Caps, CapsSession, ImageFile, Names};
use neurosearch::store::formats::torch_tensor::Tensor;
use neurosearch::store::formats::torch_value::Value as Saved;
use neurosearch::store::formats::{nifti, torch_file};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A CAPS, label files and sources of transfers, each test's own.
pub struct Small {
    dir: tempfile::TempDir,
    pub caps: Caps,
    /// What the images' names begin with, after the participant and the session.
    pub entities: &'static str,
    pub names: Names,
}

/// The only session that there is.
pub fn at(participant: &str) -> CapsSession<'_> {
    CapsSession { participant, session: "ses-M00" }
}

/// Makes the folder of `path` too.
fn folder_of(path: &Path) -> &Path {
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    path
}

/// Voxels that are 0 but for some.
pub fn dots(shape: [usize; 3], lit: &[([usize; 3], f32)]) -> Vec<f32> {
    let mut voxels = vec![0.0; shape.iter().product()];
    for ([x, y, z], value) in lit {
        voxels[(x * shape[1] + y) * shape[2] + z] = *value;
    }
    voxels
}

impl Small {
    pub fn new(preprocessing: Preprocessing) -> Self {
        let dir = tempdir();
        let caps = Caps::new(dir.path().join("caps"), preprocessing);
        Small { dir, caps, entities: "_T1w", names: Names::Old }
    }

    /// Images of 2 x 2 x 2 voxels whose first is 0.9 in AD and 0.1 in CN: two of each to train with, one of each to validate.
    pub fn of_two_classes() -> Self {
        let small = Small::new(Preprocessing::T1Linear);
        small.two_classes();
        small
    }

    /// As [`Small::of_two_classes`] in any pipeline's files.
    pub fn two_classes(&self) {
        for (name, value) in [("ad0", 0.9), ("ad1", 0.9), ("ad2", 0.9), ("cn0", 0.1), ("cn1", 0.1), ("cn2", 0.1)] {
            self.image(name, [2; 3], &dots([2; 3], &[([0; 3], value)]));
        }
        self.labels_of_six();
    }

    /// Participants ad0, ad1, cn0 and cn1 to train with, ad2 and cn2 to validate.
    pub fn labels_of_six(&self) {
        for (file, rows) in [
            ("train/AD.tsv", &[("ad0", "AD"), ("ad1", "AD")][..]),
            ("train/CN.tsv", &[("cn0", "CN"), ("cn1", "CN")]),
            ("validation/AD_baseline.tsv", &[("ad2", "AD")]),
            ("validation/CN_baseline.tsv", &[("cn2", "CN")]),
        ] {
            self.labels(file, rows);
        }
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// The image as the pipeline leaves it: a NIfTI volume, or a tensor where there is none.
    pub fn image(&self, participant: &str, shape: [usize; 3], voxels: &[f32]) {
        match self.caps.nifti(at(participant)).first() {
            Some(file) => nifti::write_f32(folder_of(&self.file(participant, file)), shape, voxels).expect("written"),
            None => self.tensor(
                &self.file(participant, &self.caps.tensor(at(participant))),
                &[1, shape[0], shape[1], shape[2]],
                voxels,
            ),
        }
    }

    /// Where a file of the image lies under this CAPS's names.
    pub fn file(&self, participant: &str, file: &ImageFile) -> PathBuf {
        let usual = self.caps.prefix(at(participant), Names::Today);
        let path = file.of(&usual);
        if self.caps.preprocessing() != Preprocessing::T1Linear {
            return path;
        }
        let name = path.file_name().expect("a name").to_string_lossy();
        path.with_file_name(name.replacen("ses-M00", &format!("ses-M00{}", self.entities), 1))
    }

    pub fn tensor(&self, path: &Path, shape: &[usize], values: &[f32]) {
        let tensor = Saved::Tensor(Tensor::f32(shape, values.to_vec()));
        torch_file::write(folder_of(path), "item", &tensor).expect("written");
    }

    pub fn mask(&self, region: &str, shape: [usize; 3], voxels: &[f32]) {
        nifti::write_f32(folder_of(&self.caps.mask(region, self.names)), shape, voxels).expect("written");
    }

    /// Writes a label file: participants and their diagnoses.
    pub fn labels(&self, file: &str, rows: &[(&str, &str)]) {
        let mut text = String::from("participant_id\tsession_id\tdiagnosis\n");
        rows.iter().for_each(|(participant, diagnosis)| text.push_str(&format!("{participant}\tses-M00\t{diagnosis}\n")));
        fs::write(folder_of(&self.path("labels").join(file)), text).expect("written");
    }

    /// A job folder that trained a `network_type`; `models` are its files below `fold-0/models`.
    pub fn source(&self, name: &str, network_type: &str, models: &[(&str, Saved)]) -> PathBuf {
        let folder = self.path(name);
        let text = json!({ "mode": "image", "network_type": network_type }).to_string();
        fs::write(folder_of(&folder.join("commandline.json")), text).expect("written");
        for (below, model) in models {
            let path = folder.join("fold-0/models").join(below).join("model_best.pth.tar");
            torch_file::write(folder_of(&path), "model_best", model).expect("written");
        }
        folder
    }

    /// A job of one block and one layer over the small CAPS, whose learning rate changes nothing; with these changes.
    pub fn job(&self, changes: Value) -> Job {
        let job = Job::empty();
        let options = json!({
            "mode": "image", "network_type": "cnn", "preprocessing": self.caps.preprocessing().to_string(),
            "caps_dir": self.caps.root(), "tsv_path": self.path("labels"), "diagnoses": ["AD", "CN"],
            "epochs": 1, "batch_size": 2, "nproc": 0, "use_cpu": true, "seed": 7, "learning_rate": 1e-30, "weight_decay": 0.0,
            "network_normalization": "None", "n_fcblocks": 1, "unnormalize": true, "transfer_learning_selection": "best_loss",
            "convolutions": { "conv0": { "in_channels": null, "out_channels": 1, "n_conv": 1, "d_reduction": "stride" } }
        });
        job.write(laid_over(options, changes));
        job
    }
}

/// A best model of one block and one layer that looks at an item's first voxel alone: where that is x, the odds of class 1 are
/// e to the power `slope` (x - 1/2). `features` are the values that reach the layer: an eighth of the voxels.
pub fn probe(features: usize, slope: f32) -> Saved {
    looking(&[1, 1, 3, 3, 3], 13, features, slope)
}

/// As [`probe`], of slices: it looks at the first pixel of the first channel.
pub fn flat_probe(slope: f32) -> Saved {
    looking(&[1, 3, 3, 3], 4, 112 * 112, slope)
}

fn looking(shape: &[usize], middle: usize, features: usize, slope: f32) -> Saved {
    let mut kernel = vec![0.0; 27];
    kernel[middle] = 1.0;
    let mut weight = vec![0.0; 2 * features];
    weight[features] = slope;
    model(&[
        ("features.conv0.0.weight", shape, kernel),
        ("features.conv0.0.bias", &[1], vec![0.0]),
        ("classifier.FC0.0.weight", &[2, features], weight),
        ("classifier.FC0.0.bias", &[2], vec![0.0, -slope / 2.0]),
    ])
}

/// A best model's file with these tensors.
pub fn model(tensors: &[(&str, &[usize], Vec<f32>)]) -> Saved {
    let text = |word: &str| Saved::Str(word.to_string());
    let state = tensors.iter().map(|(name, shape, values)| (text(name), Saved::Tensor(Tensor::f32(shape, values.clone()))));
    Saved::Dict(vec![
        (text("model"), Saved::Dict(state.collect())),
        (text("epoch"), Saved::Int(0)),
        (text("valid_loss"), Saved::Float(0.5)),
        (text("valid_acc"), Saved::Float(0.5)),
    ])
}

/// The probability of class 1 that [`probe`] gives an item whose first voxel is `x`.
pub fn odds(slope: f64, x: f64) -> f64 {
    1.0 / (1.0 + (-slope * (x - 0.5)).exp())
}

/// Columns of a table of fold 0's `cnn_classification/best_loss`, row by row.
pub fn columns<const N: usize>(job: &Job, file: &str, names: [&str; N]) -> Vec<[String; N]> {
    let table = table(&job.fold(0).join("cnn_classification/best_loss").join(file));
    let columns = names.map(|name| table.column(name).unwrap_or_else(|| panic!("{file} has no column {name}")));
    table.rows.iter().map(|row| columns.map(|column| row.cells[column].clone())).collect()
}

/// Holds an item table of fold 0 against these participants, items and probabilities of class 1.
pub fn assert_says(job: &Job, file: &str, id: &str, expected: &[(&str, usize, f64)]) {
    let rows = columns(job, file, ["participant_id", id, "proba1"]);
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for ([participant, item, probability], (name, index, says)) in rows.iter().zip(expected) {
        assert_eq!((participant.as_str(), item.as_str()), (*name, index.to_string().as_str()));
        let probability: f64 = probability.parse().expect("a number");
        assert!((probability - says).abs() < 1e-5, "{name} {index}: {probability}, not {says}");
    }
}

/// The tensors of a best model of fold 0, by name.
pub fn tensors(job: &Job, below: &str) -> BTreeMap<String, Vec<f32>> {
    let path = job.fold(0).join("models").join(below).join("model_best.pth.tar");
    let file = torch_file::read(&path).unwrap_or_else(|e| panic!("{e}"));
    let Some(Saved::Dict(state)) = file.get("model") else { panic!("no model in {}", path.display()) };
    let named = |(name, tensor): &(Saved, Saved)| match (name, tensor) {
        (Saved::Str(name), Saved::Tensor(tensor)) => (name.clone(), tensor.data.clone().into_f32()),
        other => panic!("{other:?}"),
    };
    state.iter().map(named).collect()
}

/// A file in PyTorch's format whose pickle would make `marker` if it were executed.
pub fn spoilt_tensor(path: &Path, marker: &Path) {
    let words = format!("touch {}", marker.display());
    let length = u32::try_from(words.len()).expect("it fits").to_le_bytes();
    let pickled = [b"\x80\x02cposix\nsystem\n(X", &length[..], words.as_bytes(), b"tR."].concat();
    let mut writer = ZipWriter::new(fs::File::create(folder_of(path)).expect("made"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("item/data.pkl", pickled.as_slice()), ("item/byteorder", b"little")] {
        writer.start_file(name, options).expect("started");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("finished");
}
