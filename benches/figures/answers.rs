//! How soon the daemon answers over its socket while it knows 10,000 jobs: each question, without the asking program's own time.

use super::daemon::{Daemon, until};
use super::made::Made;
use super::report::{Figure, Limit, Report, timed};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

const JOBS: usize = 10_000;
const RUNS: usize = 31;

pub fn measure(dir: &Path, report: &mut Report) -> Result<(), String> {
    let launch = dir.join("watched/search");
    Made { jobs: JOBS, folds: 5, epochs: 2 }.write(&launch)?;
    let daemon = Daemon::start(dir, "")?;
    let search = format!("launch={}", launch.display());
    let last = format!("path={}/job-{}", launch.display(), JOBS - 1);
    until("10,000 jobs are known and ranked", || {
        let whole = |target: &str| ask(daemon.socket().as_path(), target).unwrap_or_default();
        whole(&format!("/v1/job?{last}")).contains("\"state\":\"done\"")
            && whole(&format!("/v1/best?{search}&most=1")).contains(&format!("\"ranked\":{JOBS}"))
    })?;
    let questions = [
        ("10,000 jobs: answer to status", "/v1/status".to_string()),
        ("10,000 jobs: answer to jobs", format!("/v1/jobs?{search}")),
        ("10,000 jobs: answer to best", format!("/v1/best?{search}&most=10")),
        ("10,000 jobs: answer to best --json, all of them", format!("/v1/best?{search}")),
        ("10,000 jobs: answer to show and explain", format!("/v1/job?{last}")),
        ("10,000 jobs: answer to devices", "/v1/devices".to_string()),
    ];
    for (name, target) in questions {
        let values = (0..RUNS).map(|_| timed(|| ask(&daemon.socket(), &target))).collect::<Result<_, _>>()?;
        report.add(Figure { name, unit: "s", values, limit: Limit::Below(0.05) });
    }
    Ok(())
}

/// The daemon's whole answer.
pub fn ask(socket: &Path, target: &str) -> Result<String, String> {
    let fail = |e: std::io::Error| format!("{target}: {e}");
    let mut stream = UnixStream::connect(socket).map_err(fail)?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(fail)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(fail)?;
    if answer.starts_with("HTTP/1.1 200") {
        Ok(answer)
    } else {
        Err(format!("{target}: {}", answer.lines().next().unwrap_or_default()))
    }
}
