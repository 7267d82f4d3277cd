//! Figures and how they are printed: median, extremes, number of runs, limit.

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What a figure must hold.
#[derive(Debug, Clone, Copy)]
pub enum Limit {
    None,
    /// The median stays below.
    Below(f64),
}

/// One thing measured, some times over.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub values: Vec<f64>,
    pub limit: Limit,
}

/// Every figure, in the order of the table.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
    /// What could not be measured here, and why.
    left_out: Vec<String>,
    /// Stages that did not come to their end.
    failed: bool,
}

impl Figure {
    fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn row(&self) -> String {
        let extreme = |pick: fn(f64, f64) -> f64| self.values.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        let (limit, verdict) = match self.limit {
            Limit::None => (String::new(), ""),
            Limit::Below(limit) => (format!("< {limit}"), if self.median() < limit { "holds" } else { "MISSED" }),
        };
        let [median, least, most] = [self.median(), extreme(f64::min), extreme(f64::max)].map(number);
        let count = self.values.len();
        format!("{:<48} {median:>10} {least:>10} {most:>10} {:<4} {count:>5}  {limit:<8} {verdict}\n", self.name, self.unit)
    }
}

fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.4}") }
}

impl Report {
    pub fn add(&mut self, figure: Figure) {
        // Whoever ends a long run early has what it found until then.
        say(figure.row().trim_end());
        self.figures.push(figure);
    }

    pub fn leave_out(&mut self, why: &str) {
        self.left_out.push(why.to_string());
    }

    pub fn fail(&mut self, why: &str) {
        say(&format!("bench: {why}"));
        self.failed = true;
        self.leave_out(why);
    }

    /// Prints the table; fails where it cannot be written, or where a stage failed.
    pub fn print(&self) -> ExitCode {
        let head = ["FIGURE", "MEDIAN", "LEAST", "MOST", "UNIT", "RUNS", "LIMIT"];
        let mut text = format!(
            "{:<48} {:>10} {:>10} {:>10} {:<4} {:>5}  {}\n",
            head[0], head[1], head[2], head[3], head[4], head[5], head[6]
        );
        for figure in &self.figures {
            text.push_str(&figure.row());
        }
        for why in &self.left_out {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "left out: {why}");
        }
        match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) if !self.failed => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

/// A line about the work, on stderr; one that cannot be written has nowhere else to go.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Seconds that `work` takes.
pub fn timed<T>(work: impl FnOnce() -> Result<T, String>) -> Result<f64, String> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
