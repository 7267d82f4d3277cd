//! The tables of searches, running jobs and devices that `status` and `watch` share.

use super::render::{figure, flat, lasting, row, since};
use crate::control::reply::{Counts, Device, Running, Search, SearchState, Status};
use crate::domain::progress::Progress;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of columns, and what stands below them.
pub struct Listing {
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// What searches are called where space is short: by the shortest end of their paths that no other shares.
pub fn names(searches: &[Search]) -> Vec<String> {
    let end = |launch: &str, parts: usize| {
        let parts: Vec<&str> = launch.rsplit('/').take(parts).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    };
    let name = |search: &Search| {
        let depth = search.launch.split('/').count();
        let alone = |name: &String| searches.iter().filter(|other| other.launch.ends_with(&format!("/{name}"))).count() <= 1;
        (1..depth).map(|parts| end(&search.launch, parts)).find(alone).unwrap_or_else(|| search.launch.clone())
    };
    searches.iter().map(|search| flat(&name(search))).collect()
}

/// The path of the search, or of the job in one, that is named by an end of its path: of one search's alone.
pub fn meant(searches: &[Search], named: &Path) -> Option<String> {
    let alone = |end: &Path| {
        let mut found = searches.iter().filter(|search| !end.as_os_str().is_empty() && Path::new(&search.launch).ends_with(end));
        found.next().filter(|_| found.next().is_none())
    };
    let job = || Some(format!("{}/{}", alone(named.parent()?)?.launch, named.file_name()?.to_str()?));
    alone(named).map(|search| search.launch.clone()).or_else(job)
}

/// Searches under these names, in the order of the answer.
pub fn searches(searches: &[Search], names: &[String]) -> Listing {
    let cells = |(search, name): (&Search, &String)| {
        let left = search.left_seconds.map(|seconds| format!("about {}", lasting(seconds)));
        vec![name.clone(), word(search.state).to_string(), jobs_in_words(&search.counts), left.unwrap_or_default()]
    };
    Listing { head: vec!["SEARCH", "STATE", "JOBS", "LEFT"], rows: searches.iter().zip(names).map(cells).collect() }
}

/// Searches under their paths, or under these names where the paths take more than the width.
pub fn searches_by_path(all: &[Search], names: &[String], width: Option<u16>) -> Listing {
    let paths: Vec<String> = all.iter().map(|search| flat(&search.launch)).collect();
    let listing = searches(all, &paths);
    if width.is_some_and(|width| listing.width() > usize::from(width)) { searches(all, names) } else { listing }
}

/// The jobs that run, with their searches under these names.
pub fn running(status: &Status, names: &[String]) -> Listing {
    let devices: BTreeMap<&str, String> = status.devices.iter().map(|device| (device.id.as_str(), called(device))).collect();
    let jobs = status.searches.iter().zip(names).flat_map(|(search, name)| search.running.iter().map(move |job| (name, job)));
    let rows = jobs.map(|(search, job)| running_row(search, job, devices.get(job.device.as_str()))).collect();
    Listing {
        head: vec!["RUNNING JOB", "ON", "FOR", "FOLD", "EPOCH", "TRAIN LOSS", "VALID LOSS", "VALID ACC.", "DONE", "LEFT"],
        rows,
    }
}

fn running_row(search: &str, job: &Running, device: Option<&String>) -> Vec<String> {
    let of = |show: &dyn Fn(&Progress) -> String| job.progress.as_ref().map_or_else(|| "-".to_string(), show);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_string(), |value| figure(value, 3));
    vec![
        flat(&format!("{search}/{}", job.job)),
        device.cloned().unwrap_or_else(|| flat(&job.device)),
        since(job.since),
        of(&|p| format!("{} of {}", (p.folds_done + 1).min(p.folds), p.folds)),
        of(&|p| format!("{} of {}", p.epoch + 1, p.epochs)),
        of(&|p| number(p.loss_train)),
        of(&|p| number(p.loss_valid)),
        of(&|p| number(p.balanced_accuracy_valid)),
        of(&|p| format!("{:.0} %", 100.0 * p.fraction())),
        job.left_seconds.map(lasting).unwrap_or_else(|| "-".to_string()),
    ]
}

/// The devices; without their UUIDs where space is short.
pub fn devices(devices: &[Device], whole: bool) -> Listing {
    let cells = |device: &Device| {
        let memory = device.memory_total.zip(device.memory_free).map(|(total, free)| {
            let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
            format!("{:.1} of {:.1} GiB free", gib(free), gib(total))
        });
        let mut cells = vec![
            called(device),
            flat(&device.name),
            format!("{} of {}", device.busy, device.slots),
            memory.unwrap_or_default(),
            device.utilization.map(|percent| format!("{percent} %")).unwrap_or_default(),
            flat(device.out_of_use.as_deref().unwrap_or_default()),
        ];
        cells.extend(whole.then(|| flat(&device.id)));
        cells
    };
    let mut head = vec!["DEVICE", "NAME", "SLOTS IN USE", "MEMORY", "USE", "NOTE"];
    head.extend(whole.then_some("ID"));
    // As `nvidia-smi` lists them; what has no number comes last.
    let mut ordered: Vec<&Device> = devices.iter().collect();
    ordered.sort_by_key(|device| device.index.unwrap_or(u32::MAX));
    Listing { head, rows: ordered.into_iter().map(cells).collect() }
}

/// The devices, with as much of what they are called as the width has room for: a UUID that is broken cannot be copied.
pub fn devices_within(all: &[Device], width: Option<u16>) -> Listing {
    let listing = devices(all, true);
    match width {
        Some(width) => listing.narrowed(usize::from(width), &["ID", "NAME"]),
        None => listing,
    }
}

/// `cpu`, or a GPU by the number that `nvidia-smi` gives it, else the beginning of its UUID.
fn called(device: &Device) -> String {
    match device.index {
        Some(index) => format!("GPU {index}"),
        None => flat(&device.id.chars().take(12).collect::<String>()),
    }
}

/// As `3 done, 1 running`, without what there is none of.
fn jobs_in_words(counts: &Counts) -> String {
    let all = [
        (counts.running, "running"),
        (counts.queued, "queued"),
        (counts.undrawn, "to draw"),
        (counts.paused, "paused"),
        (counts.done, "done"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.unrecorded, "made elsewhere"),
    ];
    let some: Vec<String> =
        all.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    if some.is_empty() { "none".to_string() } else { some.join(", ") }
}

const fn word(state: SearchState) -> &'static str {
    match state {
        SearchState::Settling => "settling",
        SearchState::Refused => "refused",
        SearchState::Active => "active",
        SearchState::Paused => "paused",
        SearchState::Held => "held",
        SearchState::Finished => "finished",
    }
}

/// Columns that running jobs can be shown without, the first of them first.
pub const DISPENSABLE: [&str; 7] = ["FOR", "FOLD", "ON", "VALID ACC.", "TRAIN LOSS", "EPOCH", "LEFT"];

impl Listing {
    /// Without as many of these columns, the first of them first, as it takes to fit into the width.
    pub fn narrowed(mut self, width: usize, dispensable: &[&str]) -> Self {
        for name in dispensable {
            if self.width() <= width {
                break;
            }
            if let Some(at) = self.head.iter().position(|column| column == name) {
                self.head.remove(at);
                self.rows.iter_mut().for_each(|cells| drop(cells.remove(at)));
            }
        }
        self
    }

    /// Characters of the widest line, a space on each side of a cell.
    fn width(&self) -> usize {
        let cell = |at: usize| {
            let below = self.rows.iter().filter_map(|cells| cells.get(at)).map(|cell| cell.chars().count()).max();
            below.unwrap_or_default().max(self.head[at].len()) + 2
        };
        (0..self.head.len()).map(cell).sum()
    }

    /// As lines, the head first; with `one_line`, a row that does not fit is cut instead of wrapped.
    pub fn lines(self, width: Option<u16>, one_line: bool) -> Vec<String> {
        let mut table = super::render::table(&self.head, width);
        for cells in self.rows {
            table.add_row(row(cells, one_line));
        }
        table.lines().map(|line| line.trim_end().to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(launch: &str) -> Search {
        Search { launch: launch.to_string(), ..Search::default() }
    }

    #[test]
    fn a_search_is_called_by_the_shortest_end_of_its_path_that_is_its_own() {
        let called = |launches: &[&str]| names(&launches.iter().map(|launch| search(launch)).collect::<Vec<_>>());
        assert_eq!(called(&["/data/first", "/data/second"]), ["first", "second"]);
        assert_eq!(called(&["/a/x/first", "/a/y/first"]), ["x/first", "y/first"]);
        assert_eq!(called(&["/first", "/a/first"]), ["/first", "a/first"]);
    }

    #[test]
    fn a_name_means_one_search_or_job_and_never_two() {
        let searches = ["/a/x/first", "/a/y/first", "/a/second"].map(search);
        let meant = |named: &str| meant(&searches, Path::new(named));
        assert_eq!(meant("second").as_deref(), Some("/a/second"));
        assert_eq!(meant("second/job-3").as_deref(), Some("/a/second/job-3"));
        assert_eq!(meant("x/first/job-3/").as_deref(), Some("/a/x/first/job-3"));
        for unclear in ["first", "first/job-3", "job-3", "cond", "third", "second/job-3/fold-0"] {
            assert_eq!(meant(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn searches_are_listed_by_path_where_a_line_holds_it_and_by_name_where_it_does_not() {
        let all = [search("/data/of/the/laboratory/first")];
        let listed = |width| searches_by_path(&all, &names(&all), width).rows[0][0].clone();
        assert_eq!(listed(None), all[0].launch);
        assert_eq!(listed(Some(80)), all[0].launch);
        assert_eq!(listed(Some(30)), "first");
    }

    #[test]
    fn a_name_with_what_steers_a_terminal_stands_in_line_with_the_others() {
        let all = [search("/data/a\u{1b}[2J\u{202e}b"), search("/data/first")];
        let lines = searches(&all, &names(&all)).lines(None, false);
        assert!(lines[1].contains("a\\u{1b}[2J\\u{202e}b"), "{lines:?}");
        let at = |line: &String, word: &str| line.find(word).expect("its column");
        assert_eq!((at(&lines[0], "STATE"), at(&lines[1], "settling")), (at(&lines[2], "settling"), at(&lines[2], "settling")));
    }

    #[test]
    fn devices_stand_by_number_and_a_uuid_stands_whole_or_not_at_all() {
        let device = |id: &str, index| Device {
            id: id.to_string(),
            index,
            name: "NVIDIA H100 80GB HBM3".to_string(),
            slots: 1,
            busy: 0,
            memory_total: Some(80 << 30),
            memory_free: Some(79 << 30),
            utilization: Some(7),
            out_of_use: None,
        };
        let (first, second) = ("GPU-8f5d0a12-1111-2222-3333-444455556666", "GPU-03c1ffff-1111-2222-3333-444455556666");
        let all = [device("cpu", None), device(second, Some(1)), device(first, Some(0))];
        let shown = |width: Option<u16>| devices_within(&all, width).lines(width, false).join("\n");
        let wide = shown(None);
        let at = |text: &str| wide.find(text).expect("shown");
        assert!(at(first) < at(second) && at(second) < at(" cpu "), "{wide}");
        let narrow = shown(Some(80));
        assert!(
            narrow.lines().all(|line| line.len() <= 80) && narrow.lines().count() == 4 && !narrow.contains("8f5d"),
            "{narrow}"
        );
    }

    #[test]
    fn jobs_are_counted_in_words_and_what_was_cancelled_is_not_called_failed() {
        let counts = Counts { done: 3, failed: 1, cancelled: 2, ..Counts::default() };
        assert_eq!(jobs_in_words(&counts), "3 done, 1 failed, 2 cancelled");
        assert_eq!(jobs_in_words(&Counts::default()), "none");
    }

    #[test]
    fn columns_that_can_be_spared_go_first_where_space_is_short() {
        let heads = |width| {
            let listing =
                Listing { head: vec!["JOB", "FOR", "LEFT"], rows: vec![["job-0", "2 h", "1 h"].map(String::from).to_vec()] };
            let narrowed = listing.narrowed(width, &["FOR", "LEFT"]);
            assert_eq!(narrowed.rows[0].len(), narrowed.head.len());
            narrowed.head
        };
        assert_eq!(heads(18), ["JOB", "FOR", "LEFT"]);
        assert_eq!(heads(17), ["JOB", "LEFT"]);
        assert_eq!(heads(4), ["JOB"]);
    }

    #[test]
    fn a_row_that_does_not_fit_is_wrapped_or_cut() {
        let one = || Listing { head: vec!["A", "B"], rows: vec![vec!["x".repeat(30), "y".into()]] };
        assert!(one().lines(Some(20), false).len() > 2);
        assert_eq!(one().lines(Some(20), true).len(), 2);
    }
}
