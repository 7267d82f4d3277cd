//! `make bench`: the product's figures, measured on the real programs and printed as a table with the limit of each;
//! `make bench-all`: those as well that take long, whole jobs and very many folders, events and jobs.

mod answers;
mod daemon;
mod data;
mod growth;
mod jobs;
mod made;
mod many;
mod report;
mod tiny;

use made::Made;
use neurosearch::analysis::Tables;
use neurosearch::domain::space::SearchSpace;
use neurosearch::domain::space::draw::draw;
use neurosearch::store::records::layout::LaunchDir;
use report::{Figure, Limit, Report, rate, timed};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;
use std::{fs, thread};

/// The command line's program.
const NEUROSEARCH: &str = env!("CARGO_BIN_EXE_neurosearch");

fn main() -> ExitCode {
    let made = tempfile::tempdir().map_err(|e| e.to_string());
    match made.and_then(|dir| measure(dir.path())) {
        Ok(report) => report.print(),
        Err(sentence) => {
            report::say(&format!("bench: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

type Stage = fn(&Path, &mut Report) -> Result<(), String>;

/// By name; those that `make bench` measures when it is not told what, and those that take long.
const SHORT: [(&str, Stage); 3] = [("basics", basics), ("answers", answers::measure), ("growth", growth::measure)];
const LONG: [(&str, Stage); 4] =
    [("jobs", jobs::measure), ("data", data::measure), ("tiny", tiny::measure), ("many", many::measure)];

fn measure(dir: &Path) -> Result<Report, String> {
    // cargo itself adds an option.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let known = |name: &String| name == "all" || SHORT.iter().chain(&LONG).any(|(known, _)| known == name);
    if let Some(unknown) = asked.iter().find(|name| !known(name)) {
        return Err(format!("{unknown:?} is no stage; there are basics, answers, growth, jobs, data, tiny, many, and all"));
    }
    let wanted = |name: &str, short: bool| {
        if asked.is_empty() { short } else { asked.iter().any(|asked| asked == name || asked == "all") }
    };
    let mut report = Report::default();
    for ((name, stage), short) in SHORT.iter().map(|stage| (stage, true)).chain(LONG.iter().map(|stage| (stage, false))) {
        // One that fails costs its own figures, not those of an hour before it.
        if !wanted(name, short) {
            report.leave_out(&format!("{name}: `make bench STAGES={name}` measures it, `make bench-all` everything"));
        } else if let Err(sentence) = stage(&dir.join(name), &mut report) {
            report.fail(&format!("{name}: {sentence}"));
        }
    }
    Ok(report)
}

/// What is measured within a minute.
fn basics(dir: &Path, report: &mut Report) -> Result<(), String> {
    report.add(draws(dir)?);
    analysis(dir, report)?;
    report.add(one_change(dir)?);
    report.add(version()?);
    daemon::measure(dir, report)
}

/// Jobs drawn from the documentation's own space.
fn draws(dir: &Path) -> Result<Figure, String> {
    const DRAWS: u64 = 20_000;
    let parsed = SearchSpace::parse(made::SPACE, "random_search.json", dir).map_err(|e| e.to_string())?;
    let rates = (0..7)
        .map(|run| {
            let start = Instant::now();
            let drawn = (0..DRAWS).filter(|&index| draw(&parsed.space, run, index).is_ok()).count();
            rate(drawn, start.elapsed())
        })
        .collect();
    Ok(Figure { name: "jobs drawn a second", unit: "", values: rates, limit: Limit::None })
}

/// The analysis once it knows all jobs from the one before; and one that reads everything, in turn with what that cannot do
/// without: its files opened and read, on as many cores.
fn analysis(dir: &Path, report: &mut Report) -> Result<(), String> {
    let launch = dir.join("thousand");
    let made = Made { jobs: 1000, folds: 5, epochs: 50 };
    made.write(&launch)?;
    let files = made.files(&launch);
    let (mut all, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..9 {
        reads.push(timed(|| read_all(&files))?);
        all.push(analyse_anew(&launch)?);
    }
    know_all(&launch, made.jobs)?;
    let again = (0..15).map(|_| analyse(&launch)).collect::<Result<_, _>>()?;
    let ratios = all.iter().zip(&reads).map(|(whole, read)| whole / read).collect();
    let figure = |name, unit, values, limit| Figure { name, unit, values, limit };
    report.add(figure("1,000 jobs x 5 folds analysed again, warm", "s", again, Limit::Below(0.1)));
    report.add(figure("the same with every file read (--anew)", "s", all, Limit::Below(0.2)));
    report.add(figure("its 17,000 files read, and nothing done with them", "s", reads, Limit::None));
    report.add(figure("--anew / its files read", "", ratios, Limit::None));
    Ok(())
}

/// Seconds of an analysis, which reads what is not known from an earlier one.
fn analyse(launch: &Path) -> Result<f64, String> {
    run(Command::new(NEUROSEARCH).arg("analysis").arg(launch))
}

/// The same of one that reads everything.
fn analyse_anew(launch: &Path) -> Result<f64, String> {
    run(Command::new(NEUROSEARCH).args(["analysis", "--anew"]).arg(launch))
}

/// Lets an analysis write down what holds of all the jobs, which it does once the last of their files is some seconds old.
fn know_all(launch: &Path, jobs: usize) -> Result<(), String> {
    let known = || {
        let text = fs::read(launch.join(".analysis")).unwrap_or_default();
        let written: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        written["rows"].as_object().is_some_and(|rows| rows.len() == jobs)
    };
    daemon::until("every job is known", || analyse(launch).is_ok() && known())
}

fn read_all(files: &[PathBuf]) -> Result<(), String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let read = |file: &PathBuf| fs::read(file).map(drop).map_err(|e| format!("{}: {e}", file.display()));
    thread::scope(|scope| {
        let shares = files.chunks(files.len().div_ceil(threads));
        let workers: Vec<_> = shares.map(|share| scope.spawn(move || share.iter().try_for_each(read))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a reader panicked".to_string())?)
    })
}

/// What the daemon does for one changed job: read it anew, and replace the tables of all.
fn one_change(dir: &Path) -> Result<Figure, String> {
    let launch = dir.join("ten-thousand");
    let made = Made { jobs: 10_000, folds: 1, epochs: 2 };
    made.write(&launch)?;
    let mut tables = Tables::new(LaunchDir::new(&launch));
    tables.scan().and_then(|_| tables.write()).map_err(|e| e.to_string())?;
    let mut values = Vec::new();
    for index in 0..15 {
        made.finish(&launch, index * 600, 0, 0.5 + index as f64 / 40.0)?;
        let name = format!("job-{}", index * 600);
        values.push(timed(|| tables.refresh(&name).and_then(|_| tables.write()).map_err(|e| e.to_string()))?);
    }
    Ok(Figure { name: "one changed job among 10,000: tables replaced", unit: "s", values, limit: Limit::Below(0.05) })
}

fn version() -> Result<Figure, String> {
    let values = (0..31).map(|_| run(Command::new(NEUROSEARCH).arg("--version"))).collect::<Result<_, _>>()?;
    Ok(Figure { name: "neurosearch --version", unit: "s", values, limit: Limit::Below(0.02) })
}

/// Seconds from start to end of a command that succeeds.
fn run(command: &mut Command) -> Result<f64, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    timed(|| match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(e) => Err(format!("{command:?}: {e}")),
    })
}
