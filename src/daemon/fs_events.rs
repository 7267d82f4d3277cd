//! Watches directories through the kernel. Events are hints to scan. Watches stand where a space file may appear, and are renewed
//! after a directory was replaced.

use crate::store::fs::atomic;
use crate::store::fs::failpoint::{self, Point};
use crate::store::records::layout::LaunchDir;
use notify::event::{ModifyKind, RenameMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long events are collected before they count as one.
const GATHER: Duration = Duration::from_millis(100);

/// The summary of a short burst of events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Where something changed.
    pub paths: Vec<PathBuf>,
    /// Paths that were moved or removed. Their watches, if any, went with them.
    pub dropped: Vec<PathBuf>,
    /// Events were lost: everything must be scanned.
    pub all: bool,
}

/// What placing watches needs beyond the list of directories.
#[derive(Debug, Clone, Default)]
pub struct WatchContext {
    /// Every watched root.
    pub roots: BTreeSet<PathBuf>,
    /// Paths that were moved or removed. Their watches may be gone, so they are placed again if the paths are back.
    pub dropped: BTreeSet<PathBuf>,
}

/// The result of placing watches.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WatchesKept {
    /// A directory is watched that was not before: what happened there until just now, no event tells.
    pub placed: bool,
    /// Why some directory is not watched. The timer finds changes there. `None` if all are watched.
    pub problem: Option<String>,
}

/// Watches on directories. What lies below them is not watched.
#[derive(Default)]
pub struct Watches {
    debouncer: Option<Debouncer<RecommendedWatcher, NoCache>>,
    /// Device and inode of each watched directory.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// The directories to watch for each watched root.
    wanted: HashMap<PathBuf, HashSet<PathBuf>>,
    /// Why nothing can be watched at all. `None` if watching works.
    broken: Option<String>,
}

impl Watches {
    /// Calls `on_hints` on a separate thread.
    pub fn new(on_hints: impl Fn(Hints) + Send + 'static) -> Self {
        let handler = move |result: DebounceEventResult| {
            let hints = hints(result);
            if hints != Hints::default() {
                on_hints(hints);
            }
        };
        let made = new_debouncer_opt(GATHER, Some(GATHER), handler, NoCache::new(), Config::default());
        match made {
            Ok(debouncer) => Watches { debouncer: Some(debouncer), ..Watches::default() },
            Err(e) => Watches { broken: Some(told(&e)), ..Watches::default() },
        }
    }

    /// Watches exactly these directories of `root`, and stops watching those of roots that were left. May block as long as their
    /// file systems do.
    pub fn keep(&mut self, root: &Path, directories: &[PathBuf], changes: &WatchContext) -> WatchesKept {
        self.wanted.retain(|root, _| changes.roots.contains(root));
        self.wanted.insert(root.to_path_buf(), directories.iter().cloned().collect());
        let dropped = &changes.dropped;
        self.forget_unwanted(dropped);
        let mut kept = WatchesKept { placed: false, problem: self.broken.clone() };
        let Some(debouncer) = &mut self.debouncer else { return kept };
        for path in directories {
            let Ok(meta) = std::fs::metadata(path) else { continue };
            let identity = (meta.dev(), meta.ino());
            if self.watched.get(path) == Some(&identity) {
                continue;
            }
            if self.watched.remove(path).is_some() {
                let _ = debouncer.unwatch(path);
            }
            let allowed = failpoint::pass(Point::Watch, path).map_err(notify::Error::io);
            match allowed.and_then(|()| debouncer.watch(path, RecursiveMode::NonRecursive)) {
                Ok(()) => {
                    self.watched.insert(path.clone(), identity);
                    kept.placed = true;
                }
                Err(e) => kept.problem = Some(told(&e)),
            }
        }
        kept
    }

    fn forget_unwanted(&mut self, dropped: &BTreeSet<PathBuf>) {
        let wanted = |path: &PathBuf| !dropped.contains(path) && self.wanted.values().any(|wanted| wanted.contains(path));
        let stale: Vec<PathBuf> = self.watched.keys().filter(|path| !wanted(path)).cloned().collect();
        for path in stale {
            // It may be gone, and its watch with it.
            if let Some(debouncer) = &mut self.debouncer {
                let _ = debouncer.unwatch(&path);
            }
            self.watched.remove(&path);
        }
    }
}

fn told(error: &notify::Error) -> String {
    let cure = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "raise fs.inotify.max_user_watches or fs.inotify.max_user_instances; ",
        _ => "",
    };
    format!("not every directory can be watched ({error}); {cure}until then the regular scan finds new files, later than usual")
}

fn hints(result: DebounceEventResult) -> Hints {
    let Ok(events) = result else { return Hints { all: true, ..Hints::default() } };
    let mut hints = Hints::default();
    for event in events {
        hints.all |= event.need_rescan();
        if !matches!(event.kind, EventKind::Access(_)) && !is_own(&event) {
            hints.paths.extend(event.paths.iter().cloned());
        }
        if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
            hints.dropped.extend(event.paths.iter().cloned());
        }
    }
    hints.paths.sort_unstable();
    hints.paths.dedup();
    hints
}

/// Whether the event only concerns files that this product itself replaces beside a search space, such as the tables. These need
/// no scan, which takes seconds for 100,000 jobs. The removal of any other file is never ignored, since nothing else reports it.
fn is_own(event: &Event) -> bool {
    let went = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)));
    let temporary = |path: &Path| path.file_name().is_some_and(|name| atomic::is_temporary(&name.to_string_lossy()));
    let own = |path: &PathBuf| temporary(path) || (!went && LaunchDir::replaces(path));
    !event.paths.is_empty() && event.paths.iter().all(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, EventAttributes, Flag, RemoveKind};
    use notify_debouncer_full::DebouncedEvent;
    use std::time::Instant;

    fn event(kind: EventKind, path: &str) -> DebouncedEvent {
        let event = Event { kind, paths: vec![PathBuf::from(path)], attrs: EventAttributes::new() };
        DebouncedEvent { event, time: Instant::now() }
    }

    #[test]
    fn an_overflow_is_a_hint_to_look_at_everything() {
        let mut lost = event(EventKind::Other, "/x");
        lost.event.attrs.set_flag(Flag::Rescan);
        assert!(hints(Ok(vec![lost])).all);
        assert!(hints(Err(vec![notify::Error::generic("read")])).all);
    }

    #[test]
    fn what_was_moved_or_removed_is_told_apart_so_that_it_is_watched_anew() {
        let moved = event(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/moved");
        let removed = event(EventKind::Remove(RemoveKind::Folder), "/removed");
        let written = event(EventKind::Modify(ModifyKind::Any), "/written");
        let hints = hints(Ok(vec![moved, removed, written]));
        assert_eq!(hints.dropped, ["/moved", "/removed"].map(PathBuf::from));
        assert_eq!(hints.paths.len(), 3);
    }

    #[test]
    fn a_table_that_was_replaced_is_no_hint_and_one_that_went_is() {
        let replaced = |from: &str, to: &str| {
            let mut both = event(EventKind::Modify(ModifyKind::Name(RenameMode::Both)), from);
            both.event.paths.push(PathBuf::from(to));
            both
        };
        let written = event(EventKind::Create(CreateKind::File), "/a/.jobs.tsv.12-3.tmp");
        let own = [
            written,
            replaced("/a/.jobs.tsv.12-3.tmp", "/a/jobs.tsv"),
            event(EventKind::Modify(ModifyKind::Name(RenameMode::To)), "/a/analysis_loss.tsv"),
            event(EventKind::Remove(RemoveKind::File), "/a/.random_search.error.12-4.tmp"),
            replaced("/a/..analysis.12-5.tmp", "/a/.analysis"),
        ];
        assert!(hints(Ok(own.to_vec())).paths.is_empty());
        let others = [
            event(EventKind::Remove(RemoveKind::File), "/a/jobs.tsv"),
            event(EventKind::Modify(ModifyKind::Name(RenameMode::From)), "/a/analysis_loss.tsv"),
            replaced("/a/jobs.tsv", "/a/mine.tsv"),
            replaced("/a/.half.tmp", "/a/random_search.json"),
            event(EventKind::Create(CreateKind::Folder), "/a/job-0"),
        ];
        for other in others {
            assert!(!hints(Ok(vec![other.clone()])).paths.is_empty(), "{other:?}");
        }
    }
}
