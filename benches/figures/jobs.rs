//! Figures of whole jobs: beside the same network's steps on tensors in memory, and from a trainer's start to its first step.

use super::report::{Figure, Limit, Report};
use super::{NEUROSEARCH, run};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub const TRAINER: &str = env!("CARGO_BIN_EXE_neurosearch-trainer");
/// Jobs, each between two measurements of its limit, so that both see the same machine.
const TURNS: usize = 5;
const SUBJECTS: usize = 8;
/// Added to a tenth more than the limit: start, first images, outputs and records.
const APART: f64 = 1.5;

/// One of the documentation's option sets.
struct Set {
    file: &'static str,
    items_per_image: usize,
    item: &'static str,
    /// Seconds that the reference took for the whole job, and the part of them that is allowed.
    reference: f64,
    part: f64,
    names: [&'static str; 4],
}

const SETS: [Set; 2] = [
    Set {
        file: "options-1.json",
        items_per_image: 1,
        item: "1x169x208x179",
        reference: 52.5,
        part: 1.0 / 5.0,
        names: [
            "Options #1: whole job",
            "Options #1: its steps on tensors in memory",
            "Options #1: job / (1.1 x steps + 1.5 s)",
            "Options #1: job beside the reference's 52.5 s",
        ],
    },
    Set {
        file: "options-2.json",
        items_per_image: 36,
        item: "1x50x50x50",
        reference: 37.4,
        part: 1.0 / 4.0,
        names: [
            "Options #2: whole job",
            "Options #2: its steps on tensors in memory",
            "Options #2: job / (1.1 x steps + 1.5 s)",
            "Options #2: job beside the reference's 37.4 s",
        ],
    },
];

/// A job that ended: its folder, its seconds, and what its trainer said.
pub struct Trained {
    pub folder: PathBuf,
    pub seconds: f64,
    pub said: String,
    started: f64,
}

impl Trained {
    /// The number before `unit` in the trainer's remark that begins so.
    pub fn remark(&self, beginning: &str) -> Result<f64, String> {
        let rest = self.said.lines().find_map(|line| line.split_once(beginning).map(|(_, rest)| rest.trim()));
        let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| format!("{} does not say {beginning:?}: {}", self.folder.display(), self.said))
    }

    /// Seconds from the program's start to the end of its first training step.
    pub fn to_first_step(&self) -> Result<f64, String> {
        let beginning = "the first step ended at";
        let rest = self.said.lines().find_map(|line| line.split_once(beginning)).map(|(_, rest)| rest.trim());
        let time = rest
            .ok_or_else(|| format!("{} does not say {beginning:?}: {}", self.folder.display(), self.said))?
            .parse::<jiff::Timestamp>()
            .map_err(|e| e.to_string())?;
        Ok(time.as_millisecond() as f64 / 1000.0 - self.started)
    }
}

/// Images of the given sizes with labels of two folds, in `folder`.
pub fn images(folder: &Path, shape: &str, subjects: usize) -> Result<(), String> {
    let subjects = subjects.to_string();
    let more = ["--shape", shape, "--subjects", &subjects, "--folds", "2", "--seed", "1"];
    run(Command::new(NEUROSEARCH).arg("make-caps").arg(folder).args(more)).map(drop)
}

/// The options of a file in `benches`, on fold 0 of the images in `data`, with `more` laid over them.
pub fn options(file: &str, data: &Path, more: &Value) -> Result<Value, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(file);
    let fail = |error: String| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
    let mut options: Value = serde_json::from_str(&text).map_err(|e| fail(e.to_string()))?;
    let place = json!({
        "caps_dir": data.join("caps"), "tsv_path": data.join("labels"), "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"],
        "epochs": 1, "batch_size": 2, "nproc": 2, "use_cpu": true, "seed": 1, "n_splits": 2, "split": [0],
    });
    for layer in [&place, more] {
        for (key, value) in layer.as_object().into_iter().flatten() {
            options[key] = value.clone();
        }
    }
    Ok(options)
}

/// Trains `options` in the new folder, with decoded images shared in `cache` or not at all.
pub fn train(folder: &Path, options: &Value, cache: Option<&Path>) -> Result<Trained, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    fs::create_dir_all(folder).map_err(fail)?;
    fs::write(folder.join("commandline.json"), options.to_string()).map_err(fail)?;
    let mut command = Command::new(TRAINER);
    command.arg(folder).env("NEUROSEARCH_CACHE_DIR", cache.unwrap_or(Path::new(""))).stdin(Stdio::null());
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| e.to_string())?.as_secs_f64();
    let begin = Instant::now();
    let output = command.output().map_err(|e| format!("{TRAINER}: {e}"))?;
    let seconds = begin.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{}: the trainer ended with {}: {said}", folder.display(), output.status));
    }
    Ok(Trained { folder: folder.to_path_buf(), seconds, said, started })
}

/// Both option sets: whole job, limit and their ratio, then the start to the first step.
pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    let data = dir.join("images");
    images(&data, "169x208x179", SUBJECTS)?;
    for set in &SETS {
        let options = options(set.file, &data, &json!({}))?;
        let asked = dir.join(set.file);
        fs::write(&asked, options.to_string()).map_err(|e| format!("{}: {e}", asked.display()))?;
        let (mut jobs, mut limits) = (Vec::new(), vec![limit(&asked, set)?]);
        for turn in 0..TURNS {
            jobs.push(train(&dir.join(format!("{}-{turn}", set.file)), &options, None)?.seconds);
            limits.push(limit(&asked, set)?);
        }
        let around = limits.windows(2).map(|two| (two[0] + two[1]) / 2.0);
        let ratios = jobs.iter().zip(around).map(|(job, limit)| job / (1.1 * limit + APART)).collect();
        let beside = jobs.iter().map(|job| job / set.reference).collect();
        report.add(Figure { name: set.names[0], unit: "s", values: jobs, limit: Limit::None });
        report.add(Figure { name: set.names[1], unit: "s", values: limits, limit: Limit::None });
        report.add(Figure { name: set.names[2], unit: "", values: ratios, limit: Limit::Below(1.0) });
        report.add(Figure { name: set.names[3], unit: "", values: beside, limit: Limit::Below(set.part) });
    }
    report.add(first_step(dir)?);
    Ok(())
}

/// Seconds that an epoch's steps and evaluations take on tensors in memory.
fn limit(commandline: &Path, set: &Set) -> Result<f64, String> {
    let mut command = Command::new(TRAINER);
    command.arg("bench").arg(commandline).args(["--item", set.item, "--batch", "2", "--steps", "5"]).stdin(Stdio::null());
    let output = command.output().map_err(|e| format!("{TRAINER}: {e}"))?;
    let line: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("bench: {e}: {}", String::from_utf8_lossy(&output.stderr)))?;
    let seconds = |key: &str| line[key].as_f64().ok_or_else(|| format!("bench does not say {key}"));
    let half = (SUBJECTS / 2 * set.items_per_image) as f64;
    Ok(half * seconds("training_median")? + 2.0 * half * seconds("evaluation_median")?)
}

fn first_step(dir: &Path) -> Result<Figure, String> {
    let data = dir.join("small");
    images(&data, "42x52x45", SUBJECTS)?;
    let options = options("options-1.json", &data, &json!({}))?;
    let values = (0..7).map(|turn| train(&dir.join(format!("first-{turn}")), &options, None)?.to_first_step());
    let values = values.collect::<Result<_, _>>()?;
    Ok(Figure { name: "a trainer's start to its first step's end", unit: "s", values, limit: Limit::Below(1.5) })
}
