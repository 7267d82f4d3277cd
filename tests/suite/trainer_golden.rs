//! Whole trainings of the reference, from the same weights over the same images: every loss, prediction, metric and weight.

use super::trainer_run::{Job, fixtures, table};
use neurosearch::store::formats::torch_file;
use neurosearch::store::formats::torch_tensor::TensorData;
use neurosearch::store::formats::torch_value::Value;
use neurosearch::store::formats::tsv::Table;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The job of `golden/training/<name>`, trained.
fn trained(name: &str) -> Job {
    let golden = fixtures().join("golden/training").join(name);
    let mut text = fs::read_to_string(golden.join("commandline.json")).expect("read");
    let data = fixtures().join("mni-quarter");
    for (placeholder, path) in [("CAPS", data.join("caps")), ("LABELS", data.join("labels")), ("SOURCE", golden.join("source"))] {
        text = text.replace(&format!("\"{placeholder}\""), &format!("{:?}", path.display().to_string()));
    }
    let job = Job::empty();
    fs::write(job.folder.join("commandline.json"), text).expect("written");
    job.train();
    job
}

fn agree(ours: f64, golden: f64, tolerance: f64) -> bool {
    (ours - golden).abs() <= tolerance * golden.abs().max(1.0)
}

/// Rows by participant, session and, where there is one, item.
fn keyed(table: &Table, id: &str) -> BTreeMap<Vec<String>, Vec<String>> {
    let keys: Vec<usize> = ["participant_id", "session_id", id].iter().filter_map(|name| table.column(name)).collect();
    let key = |cells: &Vec<String>| keys.iter().map(|column| cells[*column].clone()).collect();
    table.rows.iter().map(|row| (key(&row.cells), row.cells.clone())).collect()
}

/// Numbers agree as the golden data's tolerance says, other cells are equal.
fn cells_agree(ours: &[String], golden: &[String], exact: bool) -> bool {
    ours.len() == golden.len()
        && ours.iter().zip(golden).all(|(a, b)| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) if !exact => agree(a, b, 1e-4),
            _ => a == b,
        })
}

fn compare_tables(job: &Job, name: &str) {
    let golden = fixtures().join("golden/training").join(name).join("expected");
    let (ours, theirs) = (table(&job.fold(0).join("training.tsv")), table(&golden.join("training.tsv")));
    assert_eq!(ours.header, theirs.header);
    assert_eq!(ours.rows.len(), theirs.rows.len());
    let time = ours.column("time").expect("times");
    for (a, b) in ours.rows.iter().zip(&theirs.rows) {
        for column in (0..ours.header.len()).filter(|column| *column != time) {
            assert!(cells_agree(&a.cells[column..=column], &b.cells[column..=column], false), "{:?} {:?}", a.cells, b.cells);
        }
    }
    let below = golden.join("cnn_classification");
    let mut compared = 0;
    for selection in ["best_loss", "best_balanced_accuracy"] {
        for entry in fs::read_dir(below.join(selection)).expect("listed") {
            let file = entry.expect("an entry").path();
            let file_name = file.file_name().expect("a name").to_string_lossy().into_owned();
            let ours = table(&job.fold(0).join("cnn_classification").join(selection).join(&file_name));
            compare(&ours, &table(&file), &format!("{name}_id"), &format!("{selection}/{file_name}"));
            compared += 1;
        }
        let count = fs::read_dir(job.fold(0).join("cnn_classification").join(selection)).expect("listed").count();
        assert_eq!(count, fs::read_dir(below.join(selection)).expect("listed").count(), "no table more, none fewer");
    }
    assert!(compared >= 8);
}

fn compare(ours: &Table, golden: &Table, id: &str, what: &str) {
    assert_eq!(ours.header, golden.header, "{what}");
    let (ours, golden) = (keyed(ours, id), keyed(golden, id));
    assert_eq!(ours.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>(), "{what}");
    let exact = id != "image_id" && what.contains("image_level");
    for (key, row) in &golden {
        assert!(cells_agree(&ours[key], row, exact), "{what}: {:?} {row:?}", ours[key]);
    }
}

fn tensors(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let file = torch_file::read(path).unwrap_or_else(|e| panic!("{e}"));
    let Some(Value::Dict(pairs)) = file.get("model") else { panic!("no model") };
    let named = |(key, value): &(Value, Value)| match (key, value) {
        (Value::Str(name), Value::Tensor(tensor)) => {
            let values = match &tensor.data {
                TensorData::I64(values) => values.iter().map(|v| *v as f64).collect(),
                data => data.clone().into_f32().into_iter().map(f64::from).collect(),
            };
            (name.clone(), values)
        }
        other => panic!("{other:?}"),
    };
    pairs.iter().map(named).collect()
}

/// `without_bias` are the convolutions that a normalisation follows: the gradient of their bias is rounding noise.
fn compare_weights(job: &Job, name: &str, without_bias: &[&str]) {
    let golden = fixtures().join("golden/training").join(name).join("expected/models/best_loss/model_best.pth.tar");
    let ours = tensors(&job.fold(0).join("models/best_loss/model_best.pth.tar"));
    let golden = tensors(&golden);
    assert_eq!(ours.keys().collect::<Vec<_>>(), golden.keys().collect::<Vec<_>>());
    for (tensor, values) in &golden {
        if without_bias.contains(&tensor.as_str()) {
            continue;
        }
        assert_eq!(ours[tensor].len(), values.len());
        for (a, b) in ours[tensor].iter().zip(values) {
            assert!(agree(*a, *b, 1e-2), "{tensor}: {a} {b}");
        }
    }
}

#[test]
fn a_training_on_images_agrees_with_the_references() {
    let job = trained("image");
    compare_tables(&job, "image");
    let biases = ["features.conv0.0.bias", "features.conv1.0.bias", "features.conv1.3.bias", "features.conv2.0.bias"];
    compare_weights(&job, "image", &biases);
}

#[test]
fn a_training_on_patches_agrees_with_the_references() {
    let job = trained("patch");
    compare_tables(&job, "patch");
    compare_weights(&job, "patch", &["features.conv0.0.bias", "features.conv0.3.bias", "features.conv1.0.bias"]);
}
