//! Figures of many small jobs: what a slot stands empty between two of them.

use super::daemon::{Daemon, until};
use super::jobs::images;
use super::report::{Figure, Limit, Report};
use neurosearch::store::records::layout::{JobDir, LaunchDir};
use serde_json::json;
use std::fs;
use std::path::Path;

const TINY: usize = 100;
const SLOTS: usize = 2;

/// A search of 100 tiny jobs: what the slots stood empty, as a part of the time that trainers lived.
pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    images(dir, "42x52x45", 8)?;
    let daemon = Daemon::start(dir, "slots_per_device = 2\n")?;
    let launch = LaunchDir::new(dir.join("watched/search"));
    fs::create_dir_all(launch.path()).map_err(|e| e.to_string())?;
    let space = json!({
        "mode": "image", "network_type": "cnn", "caps_dir": dir.join("caps"), "tsv_path": dir.join("labels"),
        "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"], "epochs": 3, "use_cpu": true, "nproc": 0,
        "n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1, "neurosearch": {"n_jobs": TINY, "seed": 1},
    });
    let half = launch.path().join("half");
    fs::write(&half, space.to_string()).and_then(|()| fs::rename(&half, launch.space())).map_err(|e| e.to_string())?;
    let job = |index: usize| JobDir::new(launch.path().join(format!("job-{index}")));
    until("every tiny job has ended", || (0..TINY).all(|index| job(index).end().exists()))?;
    drop(daemon);
    // From each trainer's record of itself to its last word.
    let when = |path: &Path| {
        let modified = fs::metadata(path).and_then(|found| found.modified()).map_err(|e| format!("{}: {e}", path.display()))?;
        modified.duration_since(std::time::UNIX_EPOCH).map(|age| age.as_secs_f64()).map_err(|e| e.to_string())
    };
    let lives = (0..TINY).map(|index| Ok((when(&job(index).trainer_record())?, when(&job(index).end())?)));
    let lives: Vec<(f64, f64)> = lives.collect::<Result<_, String>>()?;
    let first = lives.iter().map(|life| life.0).fold(f64::INFINITY, f64::min);
    let last = lives.iter().map(|life| life.1).fold(0.0, f64::max);
    let lived: f64 = lives.iter().map(|(begin, end)| end - begin).sum();
    let overhead = (SLOTS as f64 * (last - first) - lived) / lived;
    report.add(Figure {
        name: "100 tiny jobs on 2 slots: all of them",
        unit: "s",
        values: vec![last - first],
        limit: Limit::None,
    });
    report.add(Figure {
        name: "100 tiny jobs on 2 slots: overhead",
        unit: "",
        values: vec![overhead],
        limit: Limit::Below(0.05),
    });
    Ok(())
}
