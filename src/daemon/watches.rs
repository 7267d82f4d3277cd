//! The kernel's watches on directories: hints to look, placed where a space file may appear and renewed where a directory was replaced.

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long events are gathered before they count as one.
const GATHER: Duration = Duration::from_millis(50);

/// What the events of a moment amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Where something changed.
    pub paths: Vec<PathBuf>,
    /// Events were lost: everything has to be looked at.
    pub all: bool,
}

/// Watches on directories, not on what lies below them.
pub struct Watches {
    debouncer: Option<Debouncer<RecommendedWatcher, NoCache>>,
    /// Device and inode of each watched directory.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// Why some directory is not watched; the timer finds what happens there.
    pub problem: Option<String>,
}

impl Watches {
    /// `on_hints` is called on a thread of its own.
    pub fn new(on_hints: impl Fn(Hints) + Send + 'static) -> Self {
        let handler = move |result: DebounceEventResult| {
            let hints = hints(result);
            if hints != Hints::default() {
                on_hints(hints);
            }
        };
        let made = new_debouncer_opt(GATHER, Some(GATHER), handler, NoCache::new(), Config::default());
        match made {
            Ok(debouncer) => Watches { debouncer: Some(debouncer), watched: HashMap::new(), problem: None },
            Err(e) => Watches { debouncer: None, watched: HashMap::new(), problem: Some(told(&e)) },
        }
    }

    /// Watches exactly these directories. May block as long as their file systems do.
    pub fn keep(&mut self, directories: &[PathBuf]) {
        let Some(debouncer) = &mut self.debouncer else { return };
        let wanted: HashSet<&Path> = directories.iter().map(PathBuf::as_path).collect();
        let stale: Vec<PathBuf> = self.watched.keys().filter(|path| !wanted.contains(path.as_path())).cloned().collect();
        for path in stale {
            // It may be gone, and its watch with it.
            let _ = debouncer.unwatch(&path);
            self.watched.remove(&path);
        }
        self.problem = None;
        for path in directories {
            let Ok(meta) = std::fs::metadata(path) else { continue };
            let identity = (meta.dev(), meta.ino());
            if self.watched.get(path) == Some(&identity) {
                continue;
            }
            if self.watched.remove(path).is_some() {
                let _ = debouncer.unwatch(path);
            }
            match debouncer.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path.clone(), identity);
                }
                Err(e) => self.problem = Some(told(&e)),
            }
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
    let Ok(events) = result else { return Hints { paths: Vec::new(), all: true } };
    let mut hints = Hints::default();
    for event in events {
        hints.all |= event.need_rescan();
        if !matches!(event.kind, EventKind::Access(_)) {
            hints.paths.extend(event.paths.iter().cloned());
        }
    }
    hints.paths.sort_unstable();
    hints.paths.dedup();
    hints
}
