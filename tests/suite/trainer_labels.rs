//! Who is trained on and what counts as which class: diagnoses, baseline, and the vote of an image's items.

use super::trainer_small::{Small, columns, dots, probe};
use neurosearch::domain::words::Preprocessing;
use serde_json::{Value, json};

/// Participant and true label of every training image, in the order of the table.
fn trained_on(small: &Small, changes: Value) -> Vec<(String, String)> {
    let job = small.job(changes);
    job.train();
    let rows = columns(&job, "train_image_level_prediction.tsv", ["participant_id", "true_label"]);
    rows.into_iter().map(|[participant, label]| (participant, label)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(participant, label)| ((*participant).to_string(), (*label).to_string())).collect()
}

#[test]
fn the_order_of_the_diagnoses_is_the_order_of_the_rows() {
    let small = Small::of_two_classes();
    let forth = pairs(&[("ad0", "1"), ("ad1", "1"), ("cn0", "0"), ("cn1", "0")]);
    let back = pairs(&[("cn0", "0"), ("cn1", "0"), ("ad0", "1"), ("ad1", "1")]);
    assert_eq!(trained_on(&small, json!({ "diagnoses": ["AD", "CN"] })), forth);
    assert_eq!(trained_on(&small, json!({ "diagnoses": ["CN", "AD"] })), back);
}

#[test]
fn every_diagnosis_has_its_class_and_it_is_the_rows_and_not_the_files() {
    let small = Small::new(Preprocessing::T1Linear);
    for name in ["s0", "s1", "p0", "p1", "m0", "b0", "s2", "p2", "odd"] {
        small.image(name, [2; 3], &dots([2; 3], &[([0; 3], 0.5)]));
    }
    small.labels("train/sMCI.tsv", &[("s0", "sMCI"), ("s1", "sMCI")]);
    // A stable one in the file of those who progressed.
    small.labels("train/pMCI.tsv", &[("p0", "pMCI"), ("odd", "sMCI"), ("p1", "pMCI")]);
    small.labels("train/MCI.tsv", &[("m0", "MCI")]);
    small.labels("train/BV.tsv", &[("b0", "BV")]);
    small.labels("validation/sMCI_baseline.tsv", &[("s2", "sMCI")]);
    small.labels("validation/pMCI_baseline.tsv", &[("p2", "pMCI")]);
    small.labels("validation/MCI_baseline.tsv", &[]);
    small.labels("validation/BV_baseline.tsv", &[]);
    let two = trained_on(&small, json!({ "diagnoses": ["sMCI", "pMCI"] }));
    assert_eq!(two, pairs(&[("s0", "0"), ("s1", "0"), ("p0", "1"), ("odd", "0"), ("p1", "1")]));
    let four = trained_on(&small, json!({ "diagnoses": ["BV", "pMCI", "MCI", "sMCI"], "batch_size": 4 }));
    assert_eq!(four, pairs(&[("b0", "1"), ("p0", "1"), ("odd", "0"), ("p1", "1"), ("m0", "1"), ("s0", "0"), ("s1", "0")]));
}

#[test]
fn baseline_trains_on_the_baseline_files_and_validation_is_always_on_them() {
    let small = Small::of_two_classes();
    small.labels("train/AD_baseline.tsv", &[("ad1", "AD")]);
    small.labels("train/CN_baseline.tsv", &[("cn0", "CN")]);
    // Nobody may look at these.
    small.labels("validation/AD.tsv", &[("nobody", "AD")]);
    small.labels("validation/CN.tsv", &[("nobody", "CN")]);
    let all = pairs(&[("ad0", "1"), ("ad1", "1"), ("cn0", "0"), ("cn1", "0")]);
    assert_eq!(trained_on(&small, json!({ "baseline": false })), all);
    assert_eq!(trained_on(&small, json!({ "baseline": true })), pairs(&[("ad1", "1"), ("cn0", "0")]));
}

/// Three patches an image, of which the first voxel of each is given.
fn three_patches(small: &Small, participant: &str, lit: [f32; 3]) {
    let shape = [2, 2, 6];
    small.image(participant, shape, &dots(shape, &[0, 1, 2].map(|patch| ([0, 0, 2 * patch], lit[patch]))));
}

#[test]
fn the_threshold_decides_which_patches_vote() {
    let small = Small::new(Preprocessing::T1Linear);
    // Patch 0 is right about everybody, patch 1 about half, patch 2 about three of four; the training set says otherwise.
    for (participant, lit) in [
        ("ad0", [0.0, 1.0, 0.0]),
        ("cn0", [1.0, 0.0, 1.0]),
        ("ad2", [0.6, 0.0, 0.0]),
        ("ad3", [0.6, 1.0, 1.0]),
        ("cn2", [0.4, 0.0, 0.0]),
        ("cn3", [0.45, 1.0, 0.49]),
    ] {
        three_patches(&small, participant, lit);
    }
    small.labels("train/AD.tsv", &[("ad0", "AD")]);
    small.labels("train/CN.tsv", &[("cn0", "CN")]);
    small.labels("validation/AD_baseline.tsv", &[("ad2", "AD"), ("ad3", "AD")]);
    small.labels("validation/CN_baseline.tsv", &[("cn2", "CN"), ("cn3", "CN")]);
    let source = small.source("source", "cnn", &[("best_loss", probe(1, 10.0)), ("best_balanced_accuracy", probe(1, 10.0))]);
    let voted = |threshold: Value| {
        let job = small.job(json!({
            "mode": "patch", "patch_size": 2, "stride_size": 2, "transfer_learning_path": source, "selection_threshold": threshold
        }));
        job.train();
        columns(&job, "validation_image_level_prediction.tsv", ["predicted_label"]).concat()
    };
    // Images ad2, ad3, cn2 and cn3. Weights 1, 1/2 and 3/4: the sure patches outvote the one that is always right.
    assert_eq!(voted(Value::Null), ["0", "1", "0", "1"]);
    // Half is not greater than half, so patch 1 is silent, and cn3 becomes what the others say.
    assert_eq!(voted(json!(0.5)), ["0", "1", "0", "0"]);
    // Three quarters is not greater than itself: patch 0 decides alone, and is right about everybody.
    assert_eq!(voted(json!(0.75)), ["1", "1", "0", "0"]);
    // Nothing is greater than 1: all weigh the same.
    assert_eq!(voted(json!(1.0)), ["0", "1", "0", "1"]);
}
