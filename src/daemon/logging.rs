//! Sends the log to stderr or to systemd's journal, and ends the process after a panic.

use crate::store::settings::values::log_filter;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::panic;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, registry, reload};

/// The filter of the log, which can change while the daemon runs.
#[derive(Debug, Clone)]
pub struct Filter(reload::Handle<EnvFilter, Registry>);

impl Filter {
    /// Uses this filter from now on.
    ///
    /// # Errors
    /// If it is not a filter. The sentence says what it should be, and the old one stays.
    pub fn set(&self, filter: &str) -> Result<(), String> {
        self.0.reload(parse(filter)?).map_err(|e| format!("log: {e}"))
    }
}

#[cfg(test)]
impl Filter {
    /// A filter that no log uses.
    pub fn idle() -> Self {
        Filter(reload::Layer::new(EnvFilter::default()).1)
    }
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    log_filter(filter).map_err(|e| format!("log: {e}"))
}

/// Logs what `filter` allows: to the journal if stderr leads there anyway, else to stderr.
///
/// # Errors
/// If it is not a filter. The sentence says what it should be.
pub fn start(filter: &str) -> Result<Filter, String> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let journal = std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream));
    // If the journal's socket is missing, its stream still takes lines.
    let journal = journal.then(tracing_journald::layer).and_then(Result::ok);
    let lines = journal.is_none().then(|| fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()));
    registry().with(filter).with(journal).with(lines).try_init().map_err(|e| e.to_string())?;
    Ok(Filter(handle))
}

/// Whether `<device>:<inode>` is still our stderr. systemd sets it when it connects a stream to the journal.
fn is_stderr(stream: &str) -> bool {
    rustix::fs::fstat(std::io::stderr().as_fd()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// A panic kills only one actor or thread, and the others would go on with incomplete state. So it ends the process. Trainers
/// continue, and the next daemon adopts them.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic = text, place = place.as_str(), "the daemon ends");
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no test panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_level_changes_while_the_log_is_written_and_a_wrong_one_leaves_it_as_it_was() {
        let (layer, handle) = reload::Layer::new(parse("info").expect("a level"));
        let (kept, filter) = (Kept::default(), Filter(handle));
        let writer = kept.clone();
        let lines = fmt::layer().with_writer(move || writer.clone());
        tracing::subscriber::with_default(registry().with(layer).with(lines), || {
            tracing::debug!("before");
            filter.set("debug").expect("a level");
            tracing::debug!("after");
            assert!(filter.set("neurosearch=loud").expect_err("no level").contains("neurosearch=loud"));
            tracing::debug!("still");
        });
        let text = String::from_utf8(kept.0.lock().expect("no test panicked").clone()).expect("UTF-8");
        assert!(!text.contains("before") && text.contains("after") && text.contains("still"), "{text}");
    }

    #[test]
    fn the_journal_is_used_only_where_stderr_is_its_stream() {
        let stat = rustix::fs::fstat(std::io::stderr().as_fd()).expect("stderr is open");
        assert!(is_stderr(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        for other in ["", "1:1:1", "x", &format!("{}:{}", stat.st_dev, stat.st_ino.wrapping_add(1))] {
            assert!(!is_stderr(other), "{other:?}");
        }
    }
}
