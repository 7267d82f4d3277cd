//! Ctrl-C and its kin, taken as a request that the verb answers in its own time.

use super::exit::{Exit, Failure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// From its making on, SIGINT, SIGTERM and SIGHUP no longer end the program.
pub struct Interrupt {
    signals: Signals,
}

impl Interrupt {
    /// # Errors
    /// When the signals cannot be taken over.
    pub fn watch() -> Result<Self, Failure> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
        let signals = signals.map_err(|e| Failure::new(Exit::Failed, format!("cannot watch for Ctrl-C: {e}")))?;
        Ok(Interrupt { signals })
    }

    /// Whether somebody has asked to stop since the last call. Never waits.
    pub fn asked(&mut self) -> bool {
        // All of them are taken, so that several at once count as one.
        self.signals.pending().count() > 0
    }
}
