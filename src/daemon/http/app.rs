//! The actors that request handlers ask, and how long they wait for an answer.

use super::refusal::Refused;
use crate::daemon::context::Services;
use crate::daemon::devices::Devices;
use crate::daemon::watcher::Watcher;
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long an actor may take to answer; none of them ever waits for the disk.
pub const ACTOR_PATIENCE: Duration = Duration::from_secs(5);

/// How long a file system may take to answer. One that hangs must hold up only the user who asked.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

/// The actors that handlers ask.
#[derive(Clone)]
pub struct App {
    pub services: Services,
    pub watcher: Addr<Watcher>,
    pub devices: Addr<Devices>,
}

/// An actor's answer, or a refusal if none comes in time.
pub async fn ask<A, M>(actor: &Addr<A>, message: M) -> Result<M::Result, Refused>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actor
        .send(message)
        .timeout(ACTOR_PATIENCE)
        .await
        .map_err(|e| Refused::busy(format!("the daemon is too busy to answer, or is stopping ({e}); ask again")))
}

/// Runs work on the file system off the actors' thread.
///
/// # Errors
/// If it takes too long.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    match timeout(DISK_PATIENCE, spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => Err(Refused::busy(format!("the daemon is ending: {e}"))),
        Err(_) => Err(Refused::busy(format!("the file system has not answered for {} s; ask again", DISK_PATIENCE.as_secs()))),
    }
}
