//! `remove`: stops watching a directory until the daemon ends.

use crate::control::request::Remove;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;
use crate::daemon::http::target::{path, same};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::commands::{Leave, Stay};
use crate::daemon::sampler::describe::DescribeSearch;
use crate::daemon::watcher::{AddRoot, ListSearches, RemoveRoot, Searches};
use actix::Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a search is asked to let go while something short is under way, and the pause between.
const ASKED: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

pub async fn handle(app: &App, peer: &Peer, request: &Remove) -> Result<Vec<String>, Refused> {
    let directory = path(request.subject())?.to_path_buf();
    master_only(peer)?;
    let roots = ask(&app.watcher, ListSearches).await?.roots;
    match same(roots.clone(), peer, &directory).await? {
        Some(directory) => remove(app, directory).await,
        None => {
            let watched: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
            Err(Refused::not_found(format!("{} is not watched; watched: {}", directory.display(), watched.join(", "))))
        }
    }
}

/// Leaves every search below the watched directory that no other watched directory holds. Leaves none if one of them has running jobs.
pub(super) async fn remove(app: &App, directory: PathBuf) -> Result<Vec<String>, Refused> {
    let Searches { samplers, roots, .. } = ask(&app.watcher, ListSearches).await?;
    let below = |launch: &Path, root: &Path| launch == root || launch.parent() == Some(root);
    let others: Vec<&PathBuf> = roots.iter().filter(|root| **root != directory).collect();
    let mut leaving = Vec::new();
    for (launch, sampler) in &samplers {
        let path = launch.path();
        if below(path, &directory) && !others.iter().any(|root| below(path, root)) {
            let running = ask(sampler, DescribeSearch).await?.running.len();
            if running > 0 {
                let jobs = if running == 1 { "1 job runs".to_string() } else { format!("{running} jobs run") };
                let sentence = format!("{jobs} in {}; pause or cancel first", path.display());
                return Err(Refused::conflict(sentence));
            }
            leaving.push(sampler);
        }
    }
    ask(&app.watcher, RemoveRoot(directory.clone())).await?;
    for sampler in leaving {
        if let Err(sentence) = left(sampler).await? {
            // A job has just begun, so everything is served as before.
            ask(&app.watcher, AddRoot(directory)).await?;
            return Err(Refused::conflict(sentence));
        }
    }
    let said = format!("{} is no longer watched", directory.display());
    Ok(vec![said, format!("to leave it out after a restart too, take {directory:?} out of watch in the configuration")])
}

/// Asks the search to let go. Repeats this while something short is under way.
async fn left(sampler: &Addr<Sampler>) -> Result<Result<(), String>, Refused> {
    for _ in 1..ASKED {
        match ask(sampler, Leave).await? {
            Err(Stay::Moment(_)) => tokio::time::sleep(BETWEEN).await,
            Err(Stay::Job(sentence)) => return Ok(Err(sentence)),
            Ok(()) => return Ok(Ok(())),
        }
    }
    Ok(ask(sampler, Leave).await?.map_err(|(Stay::Moment(sentence) | Stay::Job(sentence))| sentence))
}
