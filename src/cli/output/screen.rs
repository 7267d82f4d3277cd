//! What `watch` puts on a screen of a given size: running jobs first, and how many of what does not fit.

use super::listing::{self, Listing};
use super::out::Tone;
use super::render::flat;
use crate::cli::verbs::status::headline;
use crate::control::reply::{Search, SearchState, Status};

/// Most alarms and faults that are shown, so that they leave room for what runs.
const ALARMS: usize = 4;

/// One line, with the colour it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub tone: Option<Tone>,
    pub text: String,
}

impl Line {
    fn plain(text: impl Into<String>) -> Self {
        Line { tone: None, text: text.into() }
    }

    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Line { tone: Some(tone), text: text.into() }
    }
}

/// At most `height` lines of at most `width` characters. `message` comes first, where there is something to say.
pub fn lines(status: &Status, message: Option<&str>, width: u16, height: u16) -> Vec<Line> {
    let (width, height) = (usize::from(width.max(20)), usize::from(height.max(1)));
    let mut lines = vec![Line::new(Tone::Strong, headline(status))];
    lines.extend(message.map(|message| Line::new(Tone::Warning, message)));
    lines.extend(alarms(status));
    if status.searches.is_empty() {
        lines
            .push(Line::plain("no search yet: put a random_search.json into a watched directory, or into one directly below it"));
    }
    let tables = tables(status);
    // A table costs an empty line, its head, and perhaps a line for what does not fit; the last line tells the keys.
    let room = height.saturating_sub(lines.len() + 1);
    let wanted: Vec<usize> = tables.iter().map(|table| table.rows.len()).collect();
    let rows = allot(room, &wanted);
    for (table, shown) in tables.into_iter().zip(rows) {
        if shown > 0 {
            let table = table.narrowed(width, &["MEMORY", "NAME"]).narrowed(width, &listing::DISPENSABLE);
            lines.extend(section(table, shown, width));
        }
    }
    lines.truncate(height.saturating_sub(1));
    lines.push(Line::new(Tone::Quiet, "q ends"));
    for line in &mut lines {
        line.text = cut(&line.text, width);
    }
    lines
}

/// What is wrong anywhere, the first few.
fn alarms(status: &Status) -> Vec<Line> {
    let own = status.alarms.iter().map(|alarm| Line::new(Tone::Bad, format!("alarm: {}", flat(alarm))));
    let names = listing::names(&status.searches);
    let of_search = |(search, name): (&Search, String)| {
        // What is wrong would else often stand beyond the right edge.
        let short = |fault: &String| fault.strip_prefix(&search.launch).map_or(fault.clone(), |rest| format!("{name}{rest}"));
        let faults = search.faults.iter().map(|fault| Line::new(Tone::Bad, format!("fault: {}", flat(&short(fault)))));
        let alarms = search.alarms.iter().map(|alarm| Line::new(Tone::Warning, format!("alarm: {name}: {}", flat(alarm))));
        faults.chain(alarms).collect::<Vec<_>>()
    };
    let mut all: Vec<Line> = own.chain(status.searches.iter().zip(names).flat_map(of_search)).collect();
    if all.len() > ALARMS {
        let more = all.len() - (ALARMS - 1);
        all.truncate(ALARMS - 1);
        all.push(Line::new(Tone::Warning, format!("and {more} more; `neurosearch status` shows them all")));
    }
    all
}

/// Running jobs, searches with those first that do something, and devices.
fn tables(status: &Status) -> [Listing; 3] {
    let names = listing::names(&status.searches);
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&at| match status.searches[at].state {
        SearchState::Active => 0,
        SearchState::Finished => 2,
        _ => 1,
    });
    let searches: Vec<Search> = order.iter().map(|&at| status.searches[at].clone()).collect();
    let sorted: Vec<String> = order.iter().map(|&at| names[at].clone()).collect();
    [listing::running(status, &names), listing::searches(&searches, &sorted), listing::devices(&status.devices, false)]
}

/// How many rows of each table are shown in `room` lines: a few of each, and then as many as fit, the first table first.
fn allot(room: usize, wanted: &[usize]) -> Vec<usize> {
    const FRAME: usize = 3;
    let mut rows = vec![0; wanted.len()];
    let mut left = room;
    for share in [2, usize::MAX] {
        for (has, &wanted) in rows.iter_mut().zip(wanted) {
            let frame = if *has == 0 { FRAME } else { 0 };
            let more = (wanted - *has).min(share).min(left.saturating_sub(frame));
            if more > 0 {
                left -= more + frame;
                *has += more;
            }
        }
    }
    rows
}

fn section(mut table: Listing, shown: usize, width: usize) -> Vec<Line> {
    let more = table.rows.len() - shown;
    table.rows.truncate(shown);
    let mut lines = vec![Line::plain("")];
    let text = table.lines(u16::try_from(width).ok(), true);
    lines.extend(text.into_iter().enumerate().map(|(at, text)| match at {
        0 => Line::new(Tone::Strong, text),
        _ => Line::plain(text),
    }));
    if more > 0 {
        lines.push(Line::new(Tone::Quiet, format!(" and {more} more")));
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width { text.to_string() } else { text.chars().take(width - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::reply::{Daemon, Running};

    fn status(running: usize, searches: usize) -> Status {
        let job = |n| Running {
            job: format!("job-{n}"),
            device: "cpu".into(),
            since: 0,
            attempt: 1,
            progress: None,
            left_seconds: Some(90),
        };
        let search = |n| Search {
            launch: format!("/data/search-{n}"),
            running: if n == 0 { (0..running).map(job).collect() } else { Vec::new() },
            ..Search::default()
        };
        let daemon = Daemon { program: "neurosearchd".into(), pid: 1, host: "here".into(), started_at: 0 };
        Status { version: 1, daemon, searches: (0..searches).map(search).collect(), devices: Vec::new(), alarms: Vec::new() }
    }

    fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("{}\n", line.text)).collect()
    }

    #[test]
    fn every_screen_holds_what_it_is_given_and_no_more() {
        let mut status = status(30, 20);
        status.alarms = (0..9).map(|n| format!("alarm number {n} that is longer than a narrow screen is wide")).collect();
        for (width, height) in [(20, 1), (40, 8), (80, 24), (80, 25), (120, 40), (200, 100), (1, 0)] {
            let lines = lines(&status, Some("no daemon answers"), width, height);
            assert!(lines.len() <= usize::from(height.max(1)), "{width}x{height}: {}", text(&lines));
            let widest = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or_default();
            assert!(widest <= usize::from(width.max(20)), "{width}x{height}: {}", text(&lines));
        }
    }

    #[test]
    fn a_fault_is_told_of_the_search_by_its_name() {
        let mut status = status(0, 1);
        status.searches[0].faults = vec!["/data/search-0/random_search.json: line 2, column 3: foo: unknown key".into()];
        let all = text(&lines(&status, None, 80, 24));
        assert!(all.contains("fault: search-0/random_search.json: line 2, column 3: foo: unknown key\n"), "{all}");
    }

    #[test]
    fn running_jobs_come_first_and_what_does_not_fit_is_counted() {
        let all = text(&lines(&status(3, 2), None, 100, 40));
        assert!(all.contains("job-2") && all.contains("search-1") && !all.contains(" more"), "{all}");
        assert!(all.contains("1 min 30 s"), "{all}");
        let few = text(&lines(&status(30, 20), None, 100, 24));
        assert!(few.contains("job-9") && few.contains("and 16 more") && few.contains("search-0"), "{few}");
    }

    #[test]
    fn each_table_has_a_few_rows_before_the_first_takes_the_rest() {
        let cases: [(usize, &[usize], &[usize]); 6] = [
            (30, &[4, 4, 1], &[4, 4, 1]),
            (20, &[30, 20, 1], &[8, 2, 1]),
            (10, &[30, 20, 1], &[2, 2, 0]),
            (4, &[30, 20, 1], &[1, 0, 0]),
            (0, &[30, 20, 1], &[0, 0, 0]),
            (9, &[0, 20, 1], &[0, 2, 1]),
        ];
        for (room, wanted, rows) in cases {
            assert_eq!(allot(room, wanted), rows, "{room} {wanted:?}");
        }
    }
}
