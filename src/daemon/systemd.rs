//! What systemd is told: that the daemon is up, reloads or stops.

use sd_notify::NotifyState;
use tracing::warn;

/// Tells systemd, where it started this process and asked to be told.
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        warn!(error = e.to_string(), "systemd was not told");
    }
}

/// A reload begins; [`NotifyState::Ready`] says that it is over.
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => warn!(error = e.to_string(), "systemd was not told of the reload"),
    }
}
