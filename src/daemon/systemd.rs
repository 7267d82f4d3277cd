//! Notifies systemd that the daemon is up, reloads or stops.

use sd_notify::NotifyState;
use tracing::warn;

/// Notifies systemd, if it started this process and asked for that.
pub fn tell(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        warn!(error = e.to_string(), "systemd was not told");
    }
}

/// A reload begins. [`NotifyState::Ready`] reports its end.
pub fn tell_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(e) => warn!(error = e.to_string(), "systemd was not told of the reload"),
    }
}
