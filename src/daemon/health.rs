//! Answers systemd's watchdog as long as every actor answers.

use super::devices::{Describe, Devices};
use super::http::server::ControlServer;
use super::messages::{ALIVE, AreYouThere};
use super::sampler::AreAllThere;
use super::systemd::tell;
use super::watcher::{ListSearches, Watcher};
use actix::{Addr, MailboxError};
use sd_notify::NotifyState;
use tracing::warn;

/// Answers systemd's watchdog, where it asks, each time that every actor has answered.
pub async fn watchdog(watcher: Addr<Watcher>, devices: Addr<Devices>, control: Addr<ControlServer>) {
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

async fn every_actor_answers(watcher: &Addr<Watcher>, devices: &Addr<Devices>, control: &Addr<ControlServer>) -> bool {
    let Ok(searches) = watcher.send(ListSearches).timeout(ALIVE).await else { return false };
    // All at once, so that many searches take no longer than one. Each asks its tables' actor and its trainers'.
    let asked: Vec<_> = searches.samplers.values().map(|sampler| sampler.send(AreAllThere).timeout(ALIVE)).collect();
    for answer in asked {
        match answer.await {
            // A search that ended with its directory has no actor left to answer.
            Ok(true) | Err(MailboxError::Closed) => {}
            Ok(false) | Err(MailboxError::Timeout) => return false,
        }
    }
    if control.send(AreYouThere).timeout(ALIVE).await.is_err() {
        return false;
    }
    devices.send(Describe).timeout(ALIVE).await.is_ok()
}
