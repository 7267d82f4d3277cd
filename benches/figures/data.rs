//! Figures of the data path: epochs with and without the cache, a second job on the same images, and decoding beside nibabel.

use super::jobs::{Trained, images, options, train};
use super::report::{Figure, Limit, Report, timed};
use neurosearch::store::formats::nifti;
use neurosearch::store::formats::tsv::Table;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// More than a process keeps to itself on a small machine would do as well: here each is decoded once by count.
const SUBJECTS: usize = 12;
const EPOCHS: usize = 4;

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    let data = dir.join("epochs");
    images(&data, "169x208x179", SUBJECTS)?;
    // So small a network that an epoch is its data.
    let small = json!({
        "epochs": EPOCHS, "n_fcblocks": 1,
        "convolutions": {"conv0": {"in_channels": null, "out_channels": 1, "n_conv": 1, "d_reduction": "stride"}},
    });
    let options = options("options-2.json", &data, &small)?;
    let cache = dir.join("decoded");
    let first = train(&dir.join("first-job"), &options, Some(&cache))?;
    let second = train(&dir.join("second-job"), &options, Some(&cache))?;
    let without = train(&dir.join("job-without"), &options, None)?;
    for (job, names) in [
        (
            &first,
            [
                "patches, first job: first epoch",
                "patches, first job: later epochs",
                "patches, first job: images decoded",
                "patches, first job: bytes read",
            ],
        ),
        (
            &second,
            [
                "patches, second job: first epoch",
                "patches, second job: later epochs",
                "patches, second job: images decoded",
                "patches, second job: bytes read",
            ],
        ),
        (
            &without,
            [
                "patches, no cache: first epoch",
                "patches, no cache: later epochs",
                "patches, no cache: images decoded",
                "patches, no cache: bytes read",
            ],
        ),
    ] {
        add(job, names, report)?;
    }
    decoding(&data, report)
}

fn add(job: &Trained, names: [&'static str; 4], report: &mut Report) -> Result<(), String> {
    let ends = ends(&job.folder)?;
    let later = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let decoded = job.remark("images:")?;
    let read = job.remark("found in the cache;")? / 1e6;
    let limit = if names[2].contains("second") { 0.5 } else { SUBJECTS as f64 + 0.5 };
    report.add(Figure { name: names[0], unit: "s", values: vec![ends[0]], limit: Limit::None });
    report.add(Figure { name: names[1], unit: "s", values: later, limit: Limit::None });
    report.add(Figure { name: names[2], unit: "", values: vec![decoded], limit: Limit::Below(limit) });
    report.add(Figure { name: names[3], unit: "MB", values: vec![read], limit: Limit::None });
    Ok(())
}

/// Seconds from the start of training to the end of each epoch.
pub fn ends(job: &Path) -> Result<Vec<f64>, String> {
    let table = Table::read(&job.join("fold-0/training.tsv")).map_err(|e| e.to_string())?;
    let column = table.column("time").ok_or("training.tsv has no time")?;
    let times = table.rows.iter().map(|line| line.cells[column].parse().map_err(|_| "a time is no number".to_string()));
    times.collect()
}

/// Our decoding of each image, and nibabel's where this machine's Python has it; both on one core.
fn decoding(data: &Path, report: &mut Report) -> Result<(), String> {
    let files = volumes(&data.join("caps"))?;
    let ours = decoded(data)?;
    let python = std::env::var("NEUROSEARCH_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let Some(theirs) = nibabels(&python, &files) else {
        report.add(Figure { name: "NIfTI: an image decoded", unit: "s", values: ours, limit: Limit::None });
        report.leave_out("NIfTI beside nibabel: python3, or NEUROSEARCH_BENCH_PYTHON, has no nibabel; see docs/performance.md");
        return Ok(());
    };
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    report.add(Figure { name: "NIfTI: an image decoded", unit: "s", values: ours, limit: Limit::None });
    report.add(Figure { name: "NIfTI: the same by nibabel, to float32", unit: "s", values: theirs, limit: Limit::None });
    report.add(Figure { name: "NIfTI: ours / nibabel's", unit: "", values: ratios, limit: Limit::Below(1.0) });
    Ok(())
}

/// Seconds for each image under `data/caps`, on this thread.
pub fn decoded(data: &Path) -> Result<Vec<f64>, String> {
    let files = volumes(&data.join("caps"))?;
    files.iter().map(|file| timed(|| nifti::read(file).map_err(|e| e.to_string()))).collect()
}

fn volumes(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            found.extend(volumes(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// nibabel's seconds for each file; none where it is not there.
fn nibabels(python: &str, files: &[PathBuf]) -> Option<Vec<f64>> {
    const PROGRAM: &str = "import sys, time, numpy, nibabel\n\
        for path in sys.argv[1:]:\n    \
            begin = time.perf_counter()\n    \
            numpy.ascontiguousarray(nibabel.load(path).get_fdata(dtype='float32'))\n    \
            print(time.perf_counter() - begin)";
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM]).args(files).stdin(Stdio::null()).stderr(Stdio::null()).env("OMP_NUM_THREADS", "1");
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()?.lines().map(|line| line.parse().ok()).collect()
}
