//! Helpers that make jobs over the quarter-size CAPS, train them with the real trainer, and read what it left.

use crate::harness::tempdir;
use neurosearch::store::formats::tsv::Table;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the tests read.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A job's folder in a launch directory of its own.
pub struct Job {
    pub launch: TempDir,
    pub folder: PathBuf,
}

impl Job {
    /// A small CNN on whole images, two epochs, over eight participants; `changes` are laid over its options.
    pub fn new(changes: Value) -> Self {
        let job = Job::empty();
        let labels = job.labels(&[2, 3, 6, 7], &[0, 1, 4, 5]);
        job.write(laid_over(base(&labels), changes));
        job
    }

    /// A folder that has no options yet.
    pub fn empty() -> Self {
        let launch = tempdir();
        let folder = launch.path().join("job-0");
        fs::create_dir(&folder).expect("made");
        Job { launch, folder }
    }

    pub fn write(&self, options: Value) {
        fs::write(self.folder.join("commandline.json"), options.to_string()).expect("written");
    }

    /// A single split over these participants of the quarter-size CAPS: even ones have AD, odd ones are CN.
    pub fn labels(&self, train: &[usize], validation: &[usize]) -> PathBuf {
        let labels = self.launch.path().join("labels");
        for (folder, participants, baseline) in
            [("train", train, false), ("train", train, true), ("validation", validation, true)]
        {
            fs::create_dir_all(labels.join(folder)).expect("made");
            for (diagnosis, odd) in [("AD", 0), ("CN", 1)] {
                let suffix = if baseline { "_baseline" } else { "" };
                let mut text = String::from("participant_id\tsession_id\tdiagnosis\n");
                for participant in participants.iter().filter(|participant| **participant % 2 == odd) {
                    text.push_str(&format!("sub-MNI{participant:04}\tses-M00\t{diagnosis}\n"));
                }
                fs::write(labels.join(folder).join(format!("{diagnosis}{suffix}.tsv")), text).expect("written");
            }
        }
        labels
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch-trainer"));
        command.arg(&self.folder).env("NEUROSEARCH_THREADS", "2").stdin(Stdio::null());
        for name in ["DEVICE", "ATTEMPT", "PRECISION", "CACHE_DIR", "CACHE_GIGABYTES", "READS_AS"] {
            command.env_remove(format!("NEUROSEARCH_{name}"));
        }
        command.env_remove("CACHE_DIRECTORY").env("XDG_CACHE_HOME", self.folder.with_file_name("cache-home"));
        command
    }

    /// Trains to the end, whatever that is.
    pub fn run(&self) -> Output {
        self.command().output().expect("the trainer starts")
    }

    /// Trains to the end, which must be that it is done.
    pub fn train(&self) -> &Self {
        let output = self.run();
        assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.end()["ended"], "done");
        self
    }

    pub fn start(&self) -> Child {
        self.command().stderr(Stdio::piped()).spawn().expect("the trainer starts")
    }

    /// Trains and gives the class and the sentence with which it failed.
    pub fn failure(&self) -> (String, String) {
        let output = self.run();
        let end = self.end();
        assert_eq!(end["ended"], "failed", "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success());
        let text = |key: &str| end[key].as_str().expect("a text").to_string();
        assert!(!self.fold(0).join("cnn_classification").exists(), "a failed fold does not look finished");
        (text("class"), text("sentence"))
    }

    pub fn end(&self) -> Value {
        json_of(&self.folder.join(".neurosearch/end.json"))
    }

    pub fn fold(&self, index: u32) -> PathBuf {
        self.folder.join(format!("fold-{index}"))
    }

    /// `training.tsv` of fold 0 without its times.
    pub fn losses(&self) -> Vec<Vec<String>> {
        timeless(&self.fold(0).join("training.tsv"))
    }
}

/// The options of [`Job::new`].
pub fn base(labels: &Path) -> Value {
    let caps = fixtures().join("mni-quarter/caps");
    json!({
        "mode": "image", "network_type": "cnn", "preprocessing": "t1-linear",
        "caps_dir": caps, "tsv_path": labels, "diagnoses": ["AD", "CN"],
        "epochs": 2, "batch_size": 3, "nproc": 2, "use_cpu": true, "seed": 7, "learning_rate": 0.001, "weight_decay": 0.001,
        "dropout": 0.0, "network_normalization": "BatchNorm", "n_fcblocks": 2,
        "convolutions": {
            "conv0": { "in_channels": null, "out_channels": 4, "n_conv": 1, "d_reduction": "MaxPooling" },
            "conv1": { "in_channels": 4, "out_channels": 6, "n_conv": 1, "d_reduction": "stride" },
            "conv2": { "in_channels": 6, "out_channels": 8, "n_conv": 1, "d_reduction": "MaxPooling" }
        }
    })
}

/// `changes` over `options`, key by key; null takes a key away.
pub fn laid_over(mut options: Value, changes: Value) -> Value {
    let entries = options.as_object_mut().expect("an object");
    let changes: Map<String, Value> = changes.as_object().cloned().expect("an object");
    for (key, value) in changes {
        if value.is_null() {
            entries.remove(&key);
        } else {
            entries.insert(key, value);
        }
    }
    options
}

pub fn json_of(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn table(path: &Path) -> Table {
    Table::read(path).unwrap_or_else(|e| panic!("{e}"))
}

/// The cells of a table without the column `time`.
pub fn timeless(path: &Path) -> Vec<Vec<String>> {
    let table = table(path);
    let time = table.column("time").expect("a column of times");
    let cells = |line: &Vec<String>| line.iter().enumerate().filter(|(i, _)| *i != time).map(|(_, cell)| cell.clone()).collect();
    std::iter::once(cells(&table.header)).chain(table.rows.iter().map(|row| cells(&row.cells))).collect()
}

/// Waits until `done`, which must happen within a minute.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Every file below `folder` with its content, by its path there.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = fs::read(&path).expect("read");
                found.push((path.strip_prefix(folder).expect("below").to_path_buf(), content));
            }
        }
    }
    found.sort();
    found
}

/// What a fold left behind, comparable between runs: models and tables byte for byte, training tables without times, and of
/// TensorBoard's files, which carry times, nothing.
pub fn results(fold: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let kept = files(fold).into_iter().filter(|(path, _)| !path.to_string_lossy().contains("tfevents"));
    kept.map(|(path, content)| {
        let training = path.file_name().is_some_and(|name| name == "training.tsv");
        let content = if training { format!("{:?}", timeless(&fold.join(&path))).into_bytes() } else { content };
        (path, content)
    })
    .collect()
}

/// Two folds hold the same files with the same results; says which file differs.
pub fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (results(one), results(other));
    let names = |results: &[(PathBuf, Vec<u8>)]| results.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for ((path, a), (_, b)) in one.iter().zip(&other) {
        assert!(a == b, "{} differs", path.display());
    }
}
