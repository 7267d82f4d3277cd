//! What systemd is told: that the daemon is up, reloads, stops, and that its actors still answer.

use super::analyzer::AreYouThere;
use super::devices::{Describe, Devices};
use super::http::server::Control;
use super::sampler::AreAllThere;
use super::watcher::{List, Watcher};
use actix::{Addr, MailboxError};
use sd_notify::NotifyState;
use std::time::Duration;
use tracing::warn;

/// How long an actor may take to answer the watchdog.
pub const ALIVE: Duration = Duration::from_secs(5);

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

/// Answers systemd's watchdog, where it asks, each time that every actor has answered.
pub async fn watchdog(watcher: Addr<Watcher>, devices: Addr<Devices>, control: Addr<Control>) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    loop {
        tokio::time::sleep(period / 3).await;
        if every_actor_answers(&watcher, &devices, &control).await {
            tell(&[NotifyState::Watchdog]);
        } else {
            warn!("an actor does not answer");
        }
    }
}

async fn every_actor_answers(watcher: &Addr<Watcher>, devices: &Addr<Devices>, control: &Addr<Control>) -> bool {
    let Ok(searches) = watcher.send(List).timeout(ALIVE).await else { return false };
    // All at once, so that many searches take no longer than one. Each asks its tables' actor and its trainers'.
    let asked: Vec<_> = searches.samplers.values().map(|sampler| sampler.send(AreAllThere).timeout(ALIVE)).collect();
    for answer in asked {
        match answer.await {
            // One that ended with its directory has nobody left to answer.
            Ok(true) | Err(MailboxError::Closed) => {}
            Ok(false) | Err(MailboxError::Timeout) => return false,
        }
    }
    if control.send(AreYouThere).timeout(ALIVE).await.is_err() {
        return false;
    }
    devices.send(Describe).timeout(ALIVE).await.is_ok()
}
