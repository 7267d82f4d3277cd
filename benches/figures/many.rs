//! Figures of a daemon with very much before it: folders, file events, and small jobs by the hundred.

use super::daemon::{Daemon, until};
use super::jobs::images;
use super::made::Made;
use super::report::{Figure, Limit, Report, timed};
use super::{NEUROSEARCH, run};
use neurosearch::store::layout::{JobDir, LaunchDir};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDERS: usize = 100_000;
const TINY: usize = 100;
const SLOTS: usize = 2;
const EVENTS_A_SECOND: u32 = 10_000;
const FLOOD: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    folders(&dir.join("folders"), report)?;
    flood(&dir.join("flood"), report)?;
    tiny_jobs(&dir.join("tiny"), report)
}

/// The first scan of 100,000 job folders, and what the daemon weighs and answers with them before it; then left alone.
fn folders(dir: &Path, report: &mut Report) -> Result<(), String> {
    let launch = dir.join("watched/search");
    Made { jobs: FOLDERS, folds: 1, epochs: 1 }.write(&launch)?;
    let table = launch.join("analysis_balanced_accuracy.tsv");
    let begin = Instant::now();
    let daemon = Daemon::start(dir, "")?;
    until("100,000 folders are tabulated", || table.exists())?;
    let scan = begin.elapsed().as_secs_f64();
    report.add(Figure { name: "100,000 job folders: first scan", unit: "s", values: vec![scan], limit: Limit::Below(30.0) });
    report.add(daemon.memory("100,000 job folders: daemon's memory", 300.0)?);
    report.add(daemon.status("100,000 job folders: status", 0.1)?);
    report.add(daemon.idle("100,000 job folders: idle daemon, part of a core", IDLE)?);
    Ok(())
}

/// 10,000 file events a second, of job folders that change places with others of the same names and other results: how often
/// the tables are made anew meanwhile, and whether they are right at the end.
fn flood(dir: &Path, report: &mut Report) -> Result<(), String> {
    let (launch, others) = (dir.join("watched/search"), dir.join("others"));
    let made = Made { jobs: 200, folds: 2, epochs: 2 };
    for (place, accuracy) in [(&launch, 0.6), (&others, 0.8)] {
        made.write(place)?;
        (0..2 * made.jobs).try_for_each(|i| made.finish(place, i / 2, i as u32 % 2, accuracy))?;
    }
    let table = launch.join("analysis_balanced_accuracy.tsv");
    let _daemon = Daemon::start(dir, "")?;
    until("the tables are there", || table.exists())?;
    let inode = || fs::metadata(&table).map(|found| found.ino()).unwrap_or_default();
    let (mut seen, mut regenerations, mut events) = (inode(), 0u32, 0u32);
    let begin = Instant::now();
    while begin.elapsed() < FLOOD {
        // When the time is over, some have changed places once more than the others.
        swap(&launch, &others, &dir.join("hand"), events as usize / 2 % made.jobs)?;
        // One that it went, and one that another came.
        events += 2;
        let due = begin + Duration::from_secs(1) * events / EVENTS_A_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = inode();
        if now != seen {
            (seen, regenerations) = (now, regenerations + 1);
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let expected = || -> Result<String, String> {
        // Of a copy, which the daemon does not watch.
        run(Command::new("cp").arg("-r").arg(&launch).arg(dir.join("anew")))?;
        run(Command::new(NEUROSEARCH).arg("analysis").arg(dir.join("anew")))?;
        fs::read_to_string(dir.join("anew/analysis_balanced_accuracy.tsv")).map_err(|e| e.to_string())
    };
    let expected = expected()?;
    let right =
        timed(|| until("the tables are right after the flood", || fs::read_to_string(&table).is_ok_and(|t| t == expected)))?;
    let name = "10,000 events a second: sent a second";
    report.add(Figure { name, unit: "", values: vec![f64::from(events) / seconds], limit: Limit::None });
    let name = "10,000 events a second: regenerations a second";
    report.add(Figure { name, unit: "", values: vec![f64::from(regenerations) / seconds], limit: Limit::Below(2.0) });
    report.add(Figure { name: "10,000 events a second: right after", unit: "s", values: vec![right], limit: Limit::None });
    Ok(())
}

/// Two folders of one name change places.
fn swap(launch: &Path, others: &Path, hand: &Path, job: usize) -> Result<(), String> {
    let (here, there) = (launch.join(format!("job-{job}")), others.join(format!("job-{job}")));
    let moves = [(&here, hand), (&there, &here), (&hand.to_path_buf(), &there)];
    moves.iter().try_for_each(|(from, to)| fs::rename(from, to)).map_err(|e| format!("{}: {e}", here.display()))
}

/// A search of 100 tiny jobs: what the slots stood empty, as a part of the time that trainers lived.
fn tiny_jobs(dir: &Path, report: &mut Report) -> Result<(), String> {
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
