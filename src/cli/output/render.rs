//! How answers look: tables that fit the terminal, times that people read, JSON as the daemon gave it.

use super::out::{Out, Tone};
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::control::client::ClientError;
use crate::domain::text::escape::inline;
use crate::store::system::now;
use comfy_table::{ContentArrangement, Row, Table, presets};
use serde::Serialize;

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match &error {
            ClientError::NoDaemon { .. } | ClientError::NotAllowed { .. } | ClientError::TooSlow { .. } => Exit::NoDaemon,
            ClientError::Refused(_) => Exit::Refused,
            ClientError::Garbled { .. } => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    }
}

/// The answer as JSON, for programs.
pub fn json(answer: &impl Serialize, out: &mut Out) -> VerbResult {
    let text = serde_json::to_string_pretty(answer).map_err(|e| Failure::new(Exit::Failed, e.to_string()))?;
    out.raw(&text)?;
    out.raw("\n")?;
    Ok(Exit::Done)
}

/// An empty table under this head, of this many columns of text at most; none: without a bound.
pub fn table(head: &[&str], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    // Without a width of our own it would take that of a terminal that it finds itself.
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

/// A row of a table; with `one_line`, cut where it would not fit.
pub fn row(cells: Vec<String>, one_line: bool) -> Row {
    let mut row = Row::from(cells);
    if one_line {
        row.max_height(1);
    }
    row
}

/// A table's cells hold nothing that could steer the terminal: [`Out::line`] escapes what is left.
pub fn print(table: &Table, out: &mut Out) -> Result<(), Failure> {
    for line in table.lines() {
        out.line(line.trim_end())?;
    }
    Ok(())
}

/// A sentence that begins with its kind, in colour where colours are wanted.
pub fn say(out: &mut Out, tone: Tone, kind: &str, text: &str) -> Result<(), Failure> {
    let line = format!("{}\n", out.paint(tone, &out.wrapped(&format!("{kind}: {}", flat(text)), 2)));
    out.raw(&line)
}

/// Text for one cell or line: whatever breaks a line or steers a terminal is shown, not obeyed, and takes the room that it is
/// seen to take.
pub fn flat(text: &str) -> String {
    inline(text).into_owned()
}

/// A measured figure with this number of decimals. From a million on, they say nothing, and it is a power of ten.
pub fn figure(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e6 { format!("{value:.decimals$e}") } else { format!("{value:.decimals$}") }
}

/// A time as a clock here shows it.
pub fn clock(at: u64) -> String {
    let time = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    time.map_or_else(
        || format!("{at} s after 1970"),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// The time since then, in its two largest units.
pub fn since(at: u64) -> String {
    lasting(now().saturating_sub(at))
}

/// A duration in its two largest units.
pub fn lasting(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_their_two_largest_units() {
        let said = [0, 59, 60, 3599, 3600, 90_000].map(lasting);
        assert_eq!(said, ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h"]);
    }

    #[test]
    fn a_huge_figure_is_a_power_of_ten_and_any_other_has_its_decimals() {
        let said = [0.5, -3.25, 999_999.0, 32_785_823_607_188_791_230_464.0, -1e6, f64::INFINITY].map(|value| figure(value, 3));
        assert_eq!(said, ["0.500", "-3.250", "999999.000", "3.279e22", "-1.000e6", "inf"]);
    }

    #[test]
    fn a_time_is_shown_as_date_and_clock_and_an_impossible_one_is_no_panic() {
        assert_eq!(clock(0).len(), "1970-01-01 00:00:00".len());
        assert!(clock(u64::MAX).contains("1970"));
    }
}
