//! How figures grow: each at three sizes, and the exponent of the power that fits them.

use super::answers::ask;
use super::daemon::{Daemon, until};
use super::data::{decoded, ends};
use super::jobs::{images, options, train};
use super::made::{Made, SPACE};
use super::report::{Figure, Limit, Report, timed};
use super::{analyse, analyse_anew, know_all};
use neurosearch::analysis::Tables;
use neurosearch::domain::space::SearchSpace;
use neurosearch::domain::space::draw::draw;
use neurosearch::store::records::layout::LaunchDir;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Runs at each size, of which the fastest counts: the others had company.
const RUNS: usize = 5;
/// What fits a linear cost with the noise of a shared machine.
const LINEAR: f64 = 1.15;

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    let space = SearchSpace::parse(SPACE, "random_search.json", dir).map_err(|e| e.to_string())?.space;
    // A draw that does not fit its images costs the same.
    let draws = |size: usize| timed(|| Ok((0..size as u64).filter(|index| draw(&space, 1, *index).is_ok()).count()));
    report.add(exponent("growth of draws, 2,000 to 50,000", &[2_000, 10_000, 50_000], draws)?);
    for jobs in [1_000, 3_000, 10_000] {
        Made { jobs, folds: 5, epochs: 5 }.write(&dir.join(jobs.to_string()))?;
    }
    let analysis = |jobs: usize| analyse_anew(&dir.join(jobs.to_string()));
    report.add(exponent("growth of an analysis that reads all, 1,000 to 10,000 jobs", &[1_000, 3_000, 10_000], analysis)?);
    for jobs in [1_000, 3_000, 10_000] {
        know_all(&dir.join(jobs.to_string()), jobs)?;
    }
    let again = |jobs: usize| analyse(&dir.join(jobs.to_string()));
    report.add(exponent("growth of one that finds nothing new, 1,000 to 10,000 jobs", &[1_000, 3_000, 10_000], again)?);
    let change = |jobs: usize| {
        let launch = dir.join(jobs.to_string());
        let mut tables = Tables::new(LaunchDir::new(&launch));
        tables.scan().and_then(|_| tables.write()).map_err(|e| e.to_string())?;
        timed(|| tables.refresh("job-7").and_then(|_| tables.write()).map_err(|e| e.to_string()))
    };
    report.add(exponent("growth of one change, 1,000 to 10,000 jobs", &[1_000, 3_000, 10_000], change)?);
    let epochs = |epochs: usize| {
        let launch = dir.join(format!("epochs-{epochs}"));
        if !launch.exists() {
            Made { jobs: 200, folds: 2, epochs: u32::try_from(epochs).unwrap_or(u32::MAX) }.write(&launch)?;
        }
        analyse_anew(&launch)
    };
    report.add(exponent("growth of an analysis that reads all, 100 to 10,000 epochs", &[100, 1_000, 10_000], epochs)?);
    daemons(dir, report)?;
    trainings(dir, report)?;
    fs::remove_dir_all(dir).map_err(|e| e.to_string())
}

/// What the daemon does with the folders before it: the first look at them, what it weighs then, and its longest answer.
fn daemons(dir: &Path, report: &mut Report) -> Result<(), String> {
    let sizes = [2_000, 6_000, 20_000];
    let place = |folders: usize| dir.join(format!("folders-{folders}"));
    for folders in sizes {
        Made { jobs: folders, folds: 1, epochs: 1 }.write(&place(folders).join("watched/search"))?;
    }
    let known = |folders: usize| -> Result<(Daemon, f64), String> {
        let table = place(folders).join("watched/search/analysis_balanced_accuracy.tsv");
        if table.exists() {
            fs::remove_file(&table).map_err(|e| format!("{}: {e}", table.display()))?;
        }
        let begin = Instant::now();
        let daemon = Daemon::start(&place(folders), "")?;
        until("every folder is tabulated", || table.exists())?;
        Ok((daemon, begin.elapsed().as_secs_f64()))
    };
    let look = |folders: usize| known(folders).map(|(_, seconds)| seconds);
    report.add(exponent("growth of the daemon's first look, 2,000 to 20,000 folders", &sizes, look)?);
    let memory = |folders: usize| known(folders)?.0.resident();
    report.add(exponent("growth of its memory (MB), 2,000 to 20,000 folders", &sizes, memory)?);
    let answer = |folders: usize| {
        let daemon = known(folders)?.0;
        let (socket, search) = (daemon.socket(), format!("launch={}", place(folders).join("watched/search").display()));
        let ranked = format!("\"ranked\":{folders}");
        until("every job is ranked", || {
            ask(&socket, &format!("/v1/best?{search}&most=1")).is_ok_and(|best| best.contains(&ranked))
        })?;
        timed(|| ask(&socket, &format!("/v1/jobs?{search}")))
    };
    report.add(exponent("growth of its answer to jobs, 2,000 to 20,000 folders", &sizes, answer)?);
    Ok(())
}

/// What the trainer does: decoding by the voxels of an image, an epoch by its images, a job by its epochs.
fn trainings(dir: &Path, report: &mut Report) -> Result<(), String> {
    let shapes = [("42x52x45", 98_280), ("84x104x90", 786_240), ("169x208x179", 6_292_208)];
    for (shape, voxels) in shapes {
        images(&dir.join(format!("voxels-{voxels}")), shape, 4)?;
    }
    let decode = |voxels: usize| Ok(decoded(&dir.join(format!("voxels-{voxels}")))?.into_iter().fold(f64::INFINITY, f64::min));
    report.add(exponent("growth of decoding, by voxels", &shapes.map(|(_, voxels)| voxels), decode)?);
    let job = |subjects: usize, epochs: usize| -> Result<f64, String> {
        let (data, folder) = (dir.join(format!("subjects-{subjects}")), dir.join("job"));
        if !data.exists() {
            images(&data, "42x52x45", subjects)?;
        }
        train(&folder, &options("options-1.json", &data, &json!({ "epochs": epochs }))?, None)?;
        let ends = ends(&folder)?;
        fs::remove_dir_all(&folder).map_err(|e| e.to_string())?;
        // The first epoch reads the images as well.
        Ok(ends[ends.len() - 1] - ends[0])
    };
    report.add(exponent("growth of two epochs, 16 to 64 subjects", &[16, 32, 64], |subjects| job(subjects, 3))?);
    report.add(exponent("growth of a job, 4 to 64 epochs", &[4, 16, 64], |epochs| job(8, epochs + 1))?);
    Ok(())
}

/// The slope of the logarithms' line through the fastest of some runs at each size.
fn exponent(name: &'static str, sizes: &[usize], mut run: impl FnMut(usize) -> Result<f64, String>) -> Result<Figure, String> {
    let mut points = Vec::new();
    for size in sizes {
        let runs = (0..RUNS).map(|_| run(*size)).collect::<Result<Vec<_>, _>>()?;
        let fastest = runs.into_iter().fold(f64::INFINITY, f64::min);
        super::report::say(&format!("{name}: {fastest:.4} at {size}"));
        points.push(((*size as f64).ln(), fastest.ln()));
    }
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let slope = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / points.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    Ok(Figure { name, unit: "", values: vec![slope], limit: Limit::Below(LINEAR) })
}
