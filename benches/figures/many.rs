//! Figures of a daemon with very much before it: folders and file events.

use super::answers::ask;
use super::daemon::{Daemon, until};
use super::made::Made;
use super::report::{Figure, Limit, Report, timed};
use super::{NEUROSEARCH, run};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const FOLDERS: usize = 100_000;
const EVENTS_A_SECOND: u32 = 10_000;
const FLOOD: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    folders(&dir.join("folders"), report)?;
    flood(&dir.join("flood"), report)
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
    // It is idle once the jobs are ranked, which comes after the tables.
    until("100,000 jobs are ranked", || {
        let best = format!("/v1/best?launch={}&most=1", launch.display());
        ask(&daemon.socket(), &best).is_ok_and(|answer| answer.contains(&format!("\"ranked\":{FOLDERS}")))
    })?;
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
