//! The log on stderr, and the rule that a panic anywhere ends the whole process.

use std::io::IsTerminal;
use std::panic;
use tracing_subscriber::EnvFilter;

/// Logs to stderr what `filter` lets through.
///
/// # Errors
/// When the filter is not one, said with what it should be.
pub fn start(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|e| format!("log: {filter:?} is not a level or a list of them ({e}); write for example \"info\""))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|e| e.to_string())
}

/// A panic kills one actor, or one thread, and leaves the others serving half a truth; so it ends the process. Trainers go
/// on, and the next daemon adopts them.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic = text, place = place.as_str(), "the daemon ends");
        std::process::abort();
    }));
}
