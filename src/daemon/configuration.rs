//! Holds the current configuration, and reads it again while the daemon runs.

use crate::domain::text::escape::escape;
use crate::store::settings::Settings;
use crate::store::settings::keys::{Changes, KEYS};
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Reads the file, then applies flags and environment, the same way each time.
type Read = dyn Fn() -> Result<Settings, String> + Send + Sync;

/// Prints on stderr what keeps the daemon from starting, one sentence a line.
pub fn complain(sentences: &str) {
    for sentence in sentences.lines() {
        // If stderr cannot be written, there is nowhere left to say so.
        let _ = writeln!(std::io::stderr(), "neurosearchd: {}", escape(sentence));
    }
}

/// Cheap to clone: all clones share the current settings.
#[derive(Clone)]
pub struct Configuration {
    read: Arc<Read>,
    current: Arc<Mutex<Arc<Settings>>>,
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("current", &self.current).finish_non_exhaustive()
    }
}

/// How a newly read configuration differs from the current one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigurationChange {
    /// Directories to watch from now on.
    pub added: Vec<PathBuf>,
    /// Directories to stop watching.
    pub gone: Vec<PathBuf>,
    /// A new filter for the log. `None` if it is unchanged.
    pub log: Option<String>,
    /// Keys whose new values take effect only after a restart.
    pub later: Vec<&'static str>,
}

impl Configuration {
    /// Reads the configuration for the first time.
    ///
    /// # Errors
    /// One sentence that names file, line and column.
    pub fn first(read: impl Fn() -> Result<Settings, String> + Send + Sync + 'static) -> Result<Self, String> {
        let settings = read()?;
        Ok(Configuration { read: Arc::new(read), current: Arc::new(Mutex::new(Arc::new(settings))) })
    }

    /// The settings that are in force. `reload` replaces `watch` and `log`; all others are as at the start.
    pub fn settings(&self) -> Arc<Settings> {
        self.lock().clone()
    }

    /// Reads what the file asks for now. Waits for the disk.
    ///
    /// # Errors
    /// One sentence that names file, line and column, or that no directory is left to watch; nothing has changed.
    pub fn again(&self) -> Result<ConfigurationChange, String> {
        let new = (self.read)()?;
        ConfigurationChange::between(&self.settings(), &new)
    }

    /// Records that the configuration's `watch` now has this directory, or no longer.
    pub fn set_watched(&self, directory: PathBuf, watched: bool) {
        let mut current = self.lock();
        let watch = &mut Arc::make_mut(&mut current).watch;
        watch.retain(|other| *other != directory);
        if watched {
            watch.push(directory);
        }
    }

    /// Records the current filter of the log.
    pub fn set_log(&self, filter: String) {
        Arc::make_mut(&mut self.lock()).log = filter;
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Settings>> {
        // A panic ends the process, so a poisoned lock is never seen; its content would still be whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigurationChange {
    /// What differs in `new`.
    ///
    /// # Errors
    /// If every directory would be left. A file that is still being written can look like that.
    fn between(old: &Settings, new: &Settings) -> Result<Self, String> {
        if new.watch.is_empty() && !old.watch.is_empty() {
            let sentence = "watch: the configuration names no directory any more, as one that is empty or half written does, so \
                            nothing is changed; name a directory, or leave the last one with `neurosearch remove DIR`";
            return Err(sentence.to_string());
        }
        let lacking = |from: &[PathBuf], in_: &[PathBuf]| from.iter().filter(|path| !in_.contains(path)).cloned().collect();
        let later = KEYS.iter().filter(|key| key.changes == Changes::AfterRestart && !(key.same)(old, new));
        Ok(ConfigurationChange {
            added: lacking(&new.watch, &old.watch),
            gone: lacking(&old.watch, &new.watch),
            log: (new.log != old.log).then(|| new.log.clone()),
            later: later.map(|key| key.name).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_directories_to_add_and_leave_the_log_and_what_needs_a_restart() {
        let old = Settings { watch: vec!["/a".into(), "/b".into()], ..Settings::default() };
        assert_eq!(ConfigurationChange::between(&old, &old), Ok(ConfigurationChange::default()));
        let new = Settings {
            watch: vec!["/b".into(), "/c".into()],
            log: "debug".to_string(),
            slots_per_device: 2,
            stall_seconds: 7,
            search_seed: Some(1),
            ..old.clone()
        };
        let change = ConfigurationChange::between(&old, &new).expect("a change");
        assert_eq!((change.added, change.gone), (vec!["/c".into()], vec!["/a".into()]));
        assert_eq!(change.log.as_deref(), Some("debug"));
        assert_eq!(change.later, ["slots_per_device", "stall_seconds", "search.seed"]);
    }

    #[test]
    fn only_the_directories_and_the_log_change_without_a_restart() {
        let at_once = KEYS.iter().filter(|key| key.changes == Changes::AtOnce);
        assert_eq!(at_once.map(|key| key.name).collect::<Vec<_>>(), ["watch", "log"]);
    }

    #[test]
    fn a_reload_may_not_leave_every_directory_but_may_go_on_without_any() {
        let (none, some) = (Settings::default(), Settings { watch: vec!["/a".into()], ..Settings::default() });
        let sentence = ConfigurationChange::between(&some, &none).expect_err("it would leave /a");
        assert!(sentence.contains("watch") && sentence.contains("nothing is changed"), "{sentence}");
        assert_eq!(ConfigurationChange::between(&none, &none), Ok(ConfigurationChange::default()));
        assert_eq!(ConfigurationChange::between(&none, &some).expect("a change").added, some.watch);
    }

    #[test]
    fn a_reading_that_fails_changes_nothing() {
        let readings = Mutex::new(vec![Err("line 1".to_string()), Ok(Settings::default())]);
        let read = move || readings.lock().unwrap().pop().expect("read twice");
        let configuration = Configuration::first(read).expect("the first reading");
        assert_eq!(configuration.again(), Err("line 1".to_string()));
        assert_eq!(*configuration.settings(), Settings::default());
    }

    #[test]
    fn what_a_reload_took_over_is_in_force_and_not_asked_for_again() {
        let old = || Settings { watch: vec!["/a".into(), "/b".into()], slots_per_device: 1, ..Settings::default() };
        let new = || Settings { watch: vec!["/b".into(), "/c".into()], log: "debug".to_string(), slots_per_device: 2, ..old() };
        let readings = Mutex::new(vec![new(), new(), old()]);
        let configuration = Configuration::first(move || readings.lock().unwrap().pop().ok_or_else(String::new)).expect("read");
        let elsewhere = configuration.clone();
        let ConfigurationChange { added, gone, log, later } = configuration.again().expect("a change");
        added.into_iter().for_each(|directory| configuration.set_watched(directory, true));
        gone.into_iter().for_each(|directory| configuration.set_watched(directory, false));
        configuration.set_log(log.expect("another filter"));
        let in_force = elsewhere.settings();
        assert_eq!((&in_force.watch, &in_force.log, in_force.slots_per_device), (&new().watch, &new().log, 1));
        assert_eq!(configuration.again(), Ok(ConfigurationChange { later, ..ConfigurationChange::default() }));
    }
}
