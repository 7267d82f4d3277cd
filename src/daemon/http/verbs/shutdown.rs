//! `shutdown`: ends the daemon. Its trainers continue or stop.

use crate::control::request::Shutdown;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;
use crate::daemon::sampler::commands::StopTrainers;
use crate::daemon::sampler::describe::DescribeSearch;
use crate::daemon::watcher::{ListSearches, Searches};
use rustix::process::{Signal, getpid, kill_process};
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// Pause between two looks at stopping trainers.
const LOOK: Duration = Duration::from_millis(50);

pub fn handle(app: &App, peer: &Peer, request: &Shutdown) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    tokio::spawn(end(app.clone(), request.stop_trainers));
    let trainers = if request.stop_trainers { "its trainers keep their last epoch and stop" } else { "its trainers go on" };
    Ok(vec![format!("the daemon stops; {trainers}")])
}

/// Stops the trainers if requested, and then the daemon, as SIGTERM would.
async fn end(app: App, stop_trainers: bool) {
    if stop_trainers {
        let grace = Duration::from_secs(app.services.settings().stop_grace_seconds);
        // The kill follows the grace time, and takes a moment too.
        let deadline = Instant::now() + grace + Duration::from_secs(10);
        stop_all(&app).await;
        while running(&app).await > 0 {
            if Instant::now() >= deadline {
                warn!("not every trainer has stopped; the next start finds them");
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    if let Err(e) = kill_process(getpid(), Signal::TERM) {
        error!(error = e.to_string(), "cannot stop");
    }
}

async fn stop_all(app: &App) {
    if let Ok(Searches { samplers, .. }) = ask(&app.watcher, ListSearches).await {
        for sampler in samplers.values() {
            // A sampler that is gone has no trainers.
            let _ = ask(sampler, StopTrainers).await;
        }
    }
}

async fn running(app: &App) -> usize {
    let Ok(Searches { samplers, .. }) = ask(&app.watcher, ListSearches).await else { return 0 };
    let mut running = 0;
    for sampler in samplers.values() {
        running += ask(sampler, DescribeSearch).await.map_or(0, |search| search.running.len());
    }
    running
}
