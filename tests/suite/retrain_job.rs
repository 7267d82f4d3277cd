//! `retrain` and `continue` on folders of ours, of the reference's, and of nobody's.

use crate::harness::tempdir;
use crate::stand_in::{Signal, checkout, json, launch, neurosearch, said, signal};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;

/// Options as the reference writes them, over the quarter-size CAPS.
fn options() -> Value {
    let mut options = json(&checkout("tests/fixtures/golden/training/image/commandline.json"));
    let map = options.as_object_mut().expect("an object");
    map.insert("caps_dir".into(), json!(checkout("tests/fixtures/mni-quarter/caps")));
    map.insert("tsv_path".into(), json!(checkout("tests/fixtures/mni-quarter/labels")));
    map.remove("transfer_learning_path");
    map.insert("use_cpu".into(), json!(true));
    map.insert("n_splits".into(), json!(2));
    map.insert("split".into(), json!([0, 1]));
    options
}

fn write(dir: &Path, options: &Value) -> PathBuf {
    let path = dir.join("commandline.json");
    std::fs::write(&path, options.to_string()).expect("written");
    path
}

fn run(dir: &Path, args: &[&Path]) -> Output {
    neurosearch(dir).args(args).output().expect("the program runs")
}

#[test]
fn the_references_options_are_trained_literally_and_the_drawn_seed_is_recorded() {
    let dir = tempdir();
    let mut given = options();
    given.as_object_mut().expect("an object").remove("seed");
    let out = dir.path().join("again");
    let output = run(dir.path(), &[Path::new("retrain"), &write(dir.path(), &given), &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let written = json(&out.join("commandline.json"));
    for key in ["learning_rate", "batch_size", "convolutions", "epochs", "dropout"] {
        assert_eq!(written[key], given[key], "{key}");
    }
    assert!(written["seed"].is_u64() && said(&output).contains("seed"), "{}", said(&output));
    assert!(out.join("fold-0/cnn_classification").is_dir() && out.join("fold-1/cnn_classification").is_dir());
    assert_eq!(json(&out.join(".neurosearch/job.json"))["state"], json!("done"));
}

#[test]
fn an_unknown_key_is_a_warning_and_a_fixed_architecture_is_refused_by_name() {
    let dir = tempdir();
    let mut given = options();
    given["surprise"] = json!(1);
    let output = run(dir.path(), &[Path::new("retrain"), &write(dir.path(), &given), &dir.path().join("a")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("surprise"), "{}", said(&output));
    let continued = run(dir.path(), &[Path::new("continue"), &dir.path().join("a")]);
    assert!(continued.status.success() && said(&continued).contains("surprise"), "{}", said(&continued));
    given["model"] = json!("Conv5_FC3");
    let output = run(dir.path(), &[Path::new("retrain"), &write(dir.path(), &given), &dir.path().join("b")]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("model") && !dir.path().join("b").exists(), "{}", said(&output));
    given["epochs"] = json!(0);
    let file = write(dir.path(), &given);
    let output = run(dir.path(), &[Path::new("retrain"), &file, &dir.path().join("b")]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let faults: Vec<&str> =
        stderr.lines().filter(|line| line.starts_with(&format!("neurosearch: {}: line ", file.display()))).collect();
    assert!(faults.len() == 2 && faults[0].contains(": epochs: ") != faults[1].contains(": epochs: "), "{stderr}");
}

#[test]
fn an_output_folder_with_anything_in_it_is_refused_and_an_empty_one_is_used() {
    let dir = tempdir();
    let file = write(dir.path(), &options());
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("made");
    let output = run(dir.path(), &[Path::new("retrain"), &file, &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = run(dir.path(), &[Path::new("retrain"), &file, &out]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("neurosearch continue"), "{}", said(&output));
    let output = run(dir.path(), &[Path::new("retrain"), &file, &dir.path().join("no/such/place")]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}

#[test]
fn another_precision_than_the_job_began_with_is_a_wrong_command_line() {
    let dir = tempdir();
    let out = dir.path().join("out");
    let begun = run(dir.path(), &[Path::new("retrain"), &write(dir.path(), &options()), &out]);
    assert_eq!(begun.status.code(), Some(0), "{}", said(&begun));
    let other = run(dir.path(), &[Path::new("continue"), &out, Path::new("--precision"), Path::new("bf16")]);
    assert_eq!(other.status.code(), Some(2), "{}", said(&other));
    assert!(said(&other).contains("was begun in fp32") && said(&other).contains("neurosearch retrain"), "{}", said(&other));
}

#[test]
fn a_file_for_a_folder_and_a_folder_for_a_file_are_answered_by_what_to_name() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    let (space, out) = (launch.join("random_search.json"), dir.path().join("out"));
    let name = Path::new("x");
    let folder_asked: [&[&Path]; 13] = [
        &[Path::new("validate"), &space],
        &[Path::new("sample"), &space],
        &[Path::new("generate"), &space, name],
        &[Path::new("analysis"), &space],
        &[Path::new("init"), &space],
        &[Path::new("make-caps"), &space],
        &[Path::new("continue"), &space],
        &[Path::new("add"), &space],
        &[Path::new("remove"), &space],
        &[Path::new("jobs"), &space],
        &[Path::new("pause"), &space],
        &[Path::new("show"), &space],
        &[Path::new("man"), &space],
    ];
    for arguments in folder_asked {
        let refused = run(dir.path(), arguments);
        let sentence =
            format!("neurosearch: {} is a file; name the folder that it is in, {}\n", space.display(), launch.display());
        assert_eq!((refused.status.code(), String::from_utf8_lossy(&refused.stderr).as_ref()), (Some(3), sentence.as_str()));
    }
    let file_asked: [&[&Path]; 2] = [&[Path::new("retrain"), &launch, &out], &[Path::new("enqueue"), &launch, &launch]];
    for arguments in file_asked {
        let refused = run(dir.path(), arguments);
        assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
        assert!(said(&refused).contains("is a folder; name the file with the options, such as"), "{}", said(&refused));
    }
    assert_eq!(std::fs::read_dir(&launch).expect("listed").count(), 1);
}

#[test]
fn continuing_a_finished_job_does_nothing_and_succeeds() {
    let dir = tempdir();
    let out = dir.path().join("out");
    let output = run(dir.path(), &[Path::new("retrain"), &write(dir.path(), &options()), &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let before = std::fs::read_to_string(out.join(".neurosearch/job.json")).expect("read");
    let output = run(dir.path(), &[Path::new("continue"), &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(out.join(".neurosearch/job.json")).expect("read"), before);
}

#[test]
fn a_failed_job_goes_on_from_its_last_finished_fold() {
    let dir = tempdir();
    let out = dir.path().join("out");
    let file = write(dir.path(), &options());
    let failed = neurosearch(dir.path()).env("STAND_IN", "fail").arg("retrain").arg(&file).arg(&out).output().expect("it runs");
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let fold = out.join("fold-0");
    let put = |path: PathBuf| {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, "kept").expect("written");
    };
    put(fold.join("training.tsv"));
    for selection in ["best_loss", "best_balanced_accuracy"] {
        put(fold.join("models").join(selection).join("model_best.pth.tar"));
        for table in ["train_image_level_prediction", "train_image_level_metrics"] {
            let below = fold.join("cnn_classification").join(selection);
            put(below.join(format!("{table}.tsv")));
            put(below.join(format!("{}.tsv", table.replace("train", "validation"))));
        }
    }
    let output = run(dir.path(), &[Path::new("continue"), &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let epochs = std::fs::read_to_string(out.join(".neurosearch/epochs")).expect("read");
    assert!(epochs.lines().all(|line| line.starts_with("fold-1 ") && line.ends_with("attempt-2")), "{epochs}");
}

#[test]
fn folders_that_are_no_jobs_of_ours_are_not_continued() {
    let dir = tempdir();
    let job = dir.path().join("theirs");
    std::fs::create_dir_all(job.join("fold-0")).expect("made");
    let output = run(dir.path(), &[Path::new("continue"), &job]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    std::fs::write(job.join("commandline.json"), options().to_string()).expect("written");
    let output = run(dir.path(), &[Path::new("continue"), &job]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("neurosearch retrain"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(&job).expect("listed").count(), 2);
}

#[test]
fn a_job_that_is_being_trained_or_that_a_daemon_looks_after_is_left_alone() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"epochs": 100000}));
    let job = launch.join("x");
    let mut command = neurosearch(dir.path());
    command.args(["generate".as_ref(), launch.as_os_str(), "x".as_ref()]).env("STAND_IN_PAUSE", "0.01");
    let mut first = command.stderr(std::process::Stdio::null()).spawn().expect("started");
    crate::stand_in::until("the trainer runs", || job.join(".neurosearch/progress.json").exists());
    let output = run(dir.path(), &[Path::new("continue"), &job]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    // The starter dies, the trainer goes on, and is still not started twice.
    first.kill().expect("killed");
    first.wait().expect("reaped");
    let output = run(dir.path(), &[Path::new("continue"), &job]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let trainer = json(&job.join(".neurosearch/trainer.json"))["run"]["process"]["pid"].as_u64().expect("a process id");
    signal(u32::try_from(trainer).expect("a process id"), Signal::TERM);
    crate::stand_in::until("the trainer ends", || job.join(".neurosearch/end.json").exists());
}
