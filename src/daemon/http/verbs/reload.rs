//! `reload`: reads the configuration again and scans everything.

use crate::daemon::http::app::{App, ask, off_thread};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;
use crate::daemon::systemd;
use crate::daemon::watcher::{AddRoot, ListSearches, LookAtAll};
use sd_notify::NotifyState;
use std::path::PathBuf;

pub async fn handle(app: &App, peer: &Peer) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    reload(app).await
}

/// Applies the new configuration as far as a running daemon can, and reports what it did.
///
/// # Errors
/// If the configuration has a fault or names no directory to watch, nothing changes. A directory with running jobs is not left,
/// but everything else is applied.
pub async fn reload(app: &App) -> Result<Vec<String>, Refused> {
    systemd::tell_reloading();
    let done = take_over(app).await;
    systemd::tell(&[NotifyState::Ready]);
    done
}

async fn take_over(app: &App) -> Result<Vec<String>, Refused> {
    let configuration = app.services.configuration.clone();
    let read = tokio::task::spawn_blocking(move || configuration.again()).await;
    let change = read.map_err(|e| Refused::busy(format!("the daemon is ending: {e}")))?.map_err(Refused::bad)?;
    let mut done = Vec::new();
    if let Some(filter) = change.log {
        app.services.log.set(&filter).map_err(Refused::bad)?;
        done.push(format!("the log lets {filter:?} through"));
        app.services.configuration.set_log(filter);
    }
    for directory in change.added {
        ask(&app.watcher, AddRoot(directory.clone())).await?;
        done.push(format!("{} is watched now", directory.display()));
        let written = directory.clone();
        done.extend(off_thread(move || crate::daemon::permissions::how_to_write(&written)).await?);
        app.services.configuration.set_watched(directory, true);
    }
    for directory in change.gone {
        leave(app, directory, &mut done).await?;
    }
    if !change.later.is_empty() {
        let keys = change.later.join(", ");
        done.push(format!("the new values of these hold after a restart, which running jobs outlive: {keys}"));
    }
    ask(&app.watcher, LookAtAll).await?;
    done.push("everything is looked at again".to_string());
    Ok(done)
}

/// Stops watching a directory that the configuration no longer names, unless `remove` already did.
async fn leave(app: &App, directory: PathBuf, done: &mut Vec<String>) -> Result<(), Refused> {
    if ask(&app.watcher, ListSearches).await?.roots.contains(&directory) {
        super::remove::remove(app, directory.clone()).await?;
        done.push(format!("{} is no longer watched", directory.display()));
    }
    app.services.configuration.set_watched(directory, false);
    Ok(())
}
