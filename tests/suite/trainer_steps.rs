//! When a training steps, evaluates and stops: accumulation, evaluation steps, TensorBoard's steps, patience, a loss gone wrong.

use super::event_files::curve;
use super::stand_in::{Signal, signal};
use super::trainer_run::{Job, table, wait_until};
use super::trainer_small::{Small, dots, probe, tensors};
use neurosearch::domain::words::Preprocessing;
use neurosearch::store::formats::torch_file;
use neurosearch::store::formats::torch_value::Value as Saved;
use serde_json::{Value, json};
use std::fs;

/// The cells of some columns of fold 0's `training.tsv`, row by row.
fn rows<const N: usize>(job: &Job, names: [&str; N]) -> Vec<[String; N]> {
    let table = table(&job.fold(0).join("training.tsv"));
    let columns = names.map(|name| table.column(name).expect("a column"));
    table.rows.iter().map(|row| columns.map(|column| row.cells[column].clone())).collect()
}

/// Epoch and batch of every row of a job over four training images in batches of one.
fn places(small: &Small, changes: Value) -> Vec<(u32, u32)> {
    let job = small.job(changes);
    job.train();
    let number = |cell: &String| cell.parse().expect("a number");
    rows(&job, ["epoch", "iteration"]).iter().map(|[epoch, iteration]| (number(epoch), number(iteration))).collect()
}

#[test]
fn tensorboards_steps_count_batches_and_its_rows_are_the_tables() {
    let small = Small::of_two_classes();
    let job = small.job(json!({ "batch_size": 1, "epochs": 2, "evaluation_steps": 2, "learning_rate": 0.01 }));
    job.train();
    for (set, suffix) in [("train", "train"), ("validation", "valid")] {
        let folder = job.fold(0).join("tensorboard_logs").join(set);
        for name in ["loss", "balanced_accuracy"] {
            let curve = curve(&folder, name);
            // i + epoch x 4 within an epoch, (epoch + 1) x 4 at its end; the inner evaluation on the last batch has its own.
            assert_eq!(curve.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 3, 4, 5, 7, 8], "{set} {name}");
            let column = format!("{name}_{suffix}");
            let number = |[cell]: &[String; 1]| cell.parse::<f64>().expect("a number") as f32;
            let written: Vec<f32> = rows(&job, [&column]).iter().map(number).collect();
            assert_eq!(curve.iter().map(|(_, value)| *value).collect::<Vec<_>>(), written, "{set} {name}");
            assert_eq!((curve[1].1, curve[4].1), (curve[2].1, curve[5].1), "the same figures twice");
        }
    }
    let losses: Vec<String> = rows(&job, ["loss_train"]).concat();
    assert!(losses[0] != losses[1] && losses[2] != losses[3], "it learns from one evaluation to the next: {losses:?}");
}

#[test]
fn inner_evaluations_come_after_whole_steps_only() {
    let small = Small::of_two_classes();
    let with = |evaluation: u32, accumulation: u32| json!({ "batch_size": 1, "evaluation_steps": evaluation, "accumulation_steps": accumulation });
    assert_eq!(places(&small, with(1, 1)), [(0, 0), (0, 1), (0, 2), (0, 3), (0, 3)]);
    // One is rounded up to the two batches of a step, three to four.
    assert_eq!(places(&small, with(1, 2)), [(0, 1), (0, 3), (0, 3)]);
    assert_eq!(places(&small, with(3, 2)), [(0, 3), (0, 3)]);
    assert_eq!(places(&small, with(0, 2)), [(0, 3)]);
    // Without accumulation it may be any number, one that does not divide an epoch's batches too.
    assert_eq!(places(&small, with(3, 1)), [(0, 2), (0, 3)]);
}

/// Four training images of both classes, the one of `spoilt` another than usual; a job of two epochs in which three batches of
/// one image make a step, so that the fourth image of an epoch's order comes too late for one. Gives its validation losses.
fn losses_without_the_fourth(spoilt: Option<&str>) -> Vec<String> {
    let small = Small::new(Preprocessing::T1Linear);
    let names = [("ad0", 0.9), ("ad1", 0.8), ("ad2", 0.7), ("cn0", 0.1), ("cn1", 0.2), ("cn2", 0.3)];
    for (name, value) in names {
        let value = if spoilt == Some(name) { 0.55 } else { value };
        small.image(name, [2; 3], &dots([2; 3], &[([0; 3], value), ([1; 3], 1.0 - value)]));
    }
    small.labels_of_six();
    let job = small.job(json!({ "batch_size": 1, "accumulation_steps": 3, "epochs": 2, "learning_rate": 0.05, "seed": SEED }));
    job.train();
    rows(&job, ["loss_valid"]).concat()
}

/// With it `LAST` comes last in both epochs.
const SEED: u64 = 12;
const LAST: &str = "ad0";

#[test]
fn gradients_that_wait_at_the_end_of_an_epoch_are_dropped() {
    let usual = losses_without_the_fourth(None);
    assert_ne!(usual[0], usual[1], "it learns");
    for name in ["ad0", "ad1", "cn0", "cn1"] {
        let now = losses_without_the_fourth(Some(name));
        if name == LAST {
            assert_eq!(now, usual, "what {LAST} would teach is dropped at the end of each epoch, and reaches no other");
        } else {
            assert_ne!(now[0], usual[0], "{name} is among the three of the first step");
        }
    }
}

#[test]
fn an_epoch_too_short_for_a_single_step_is_refused() {
    let (class, sentence) = Small::of_two_classes().job(json!({ "batch_size": 1, "accumulation_steps": 5 })).failure();
    assert_eq!(class, "bad_options");
    assert!(sentence.contains("accumulation_steps"), "{sentence}");
}

#[test]
fn patience_counts_the_epochs_that_are_not_better_by_the_tolerance() {
    let small = Small::of_two_classes();
    // So small a step makes every epoch a little better, by far less than a half.
    let epochs = |patience: u32, tolerance: f64| {
        let job = small.job(json!({ "epochs": 6, "learning_rate": 1e-3, "patience": patience, "tolerance": tolerance }));
        job.train();
        let losses: Vec<f64> = rows(&job, ["loss_valid"]).iter().map(|[cell]| cell.parse().expect("a number")).collect();
        assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
        losses.len()
    };
    assert_eq!(epochs(1, 0.5), 2);
    assert_eq!(epochs(3, 0.5), 4);
    assert_eq!(epochs(1, 0.0), 6);
    assert_eq!(epochs(0, 0.5), 6);
}

#[test]
fn as_many_loaders_run_as_nproc_says() {
    for nproc in [0, 1, 3] {
        let small = Small::of_two_classes();
        let job = small.job(json!({ "nproc": nproc, "epochs": 100_000 }));
        let mut child = job.start();
        wait_until("the training", || job.folder.join("fold-0/training.tsv").exists());
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
        let names = tasks.filter_map(|task| fs::read_to_string(task.expect("an entry").path().join("comm")).ok());
        let loaders = names.filter(|name| name.starts_with("loader-")).count();
        signal(child.id(), Signal::KILL);
        child.wait().expect("reaped");
        assert_eq!(loaders, nproc);
    }
}

#[test]
fn a_loss_that_is_not_finite_keeps_the_best_models_of_the_epochs_before() {
    let small = Small::new(Preprocessing::T1Linear);
    // From the probe's weights the first step is the right one; then nothing is left to learn, and Adam's momentum carries every
    // weight on, by 0.67 and 0.52 of that step. Two of them are multiplied, and an f32 ends at 3.4e38.
    for (name, value) in [("ad0", 2.0), ("ad1", 2.0), ("ad2", 2.0), ("cn0", 0.4), ("cn1", 0.4), ("cn2", 0.4)] {
        small.image(name, [2; 3], &dots([2; 3], &[([0; 3], value)]));
    }
    small.labels_of_six();
    let source = small.source("source", "cnn", &[("best_loss", probe(1, 1.0))]);
    for (batch_size, evaluation_steps, learning_rate) in [(4, 0, 1.2e19), (2, 1, 1e19)] {
        let job = small.job(json!({
            "transfer_learning_path": source, "learning_rate": learning_rate, "epochs": 4, "batch_size": batch_size,
            "evaluation_steps": evaluation_steps
        }));
        let (class, sentence) = job.failure();
        assert_eq!(class, "bad_options");
        assert!(sentence.contains("epoch 1") && sentence.contains("not finite"), "{sentence}");
        let rows = rows(&job, ["epoch", "iteration", "loss_valid"]);
        assert_eq!(rows.last().expect("rows").each_ref().map(String::as_str), ["1", "0", ""]);
        assert!(rows[..rows.len() - 1].iter().all(|[epoch, _, loss]| epoch == "0" && !loss.is_empty()), "{rows:?}");
        for selection in ["best_loss", "best_balanced_accuracy"] {
            let path = job.fold(0).join("models").join(selection).join("model_best.pth.tar");
            let model = torch_file::read(&path).expect("the best model is kept");
            assert!(matches!(model.get("epoch"), Some(Saved::Int(0))), "{model:?}");
            assert!(tensors(&job, selection).values().flatten().all(|weight| weight.is_finite()));
        }
        assert_eq!(job.run().status.code(), Some(10), "and again when it is tried again");
    }
}
