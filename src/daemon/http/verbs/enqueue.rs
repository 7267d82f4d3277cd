//! `enqueue`: adds a job chosen by the user to a search's queue.

use crate::check;
use crate::control::request;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::may_change_there;
use crate::daemon::http::target;
use crate::daemon::sampler::chosen_job::Chosen;
use crate::daemon::sampler::commands::EnqueueJob;
use crate::domain::device::Need;
use crate::domain::options::JobOptions;
use crate::store::fs::rights::Rights;
use crate::store::system;
use std::path::Path;
use tokio::task::spawn_blocking;

pub async fn handle(app: &App, peer: &Peer, request: &request::Enqueue) -> Result<Vec<String>, Refused> {
    let target = target::search(app, peer, target::path(request.subject())?).await?;
    may_change_there(peer, &target.launch).await?;
    let text = request.commandline.clone().ok_or_else(|| Refused::bad("commandline is missing: the text of the file"))?;
    let file = request.file.clone().unwrap_or_else(|| "commandline.json".to_string());
    let base = request.base.clone().unwrap_or_else(|| "/".to_string());
    // Reads the data that the options name, with the rights of the search's owner, so it may take a while.
    let launch = target.launch.clone();
    let check = move || {
        let rights = Rights::of_owner(launch.path()).map_err(|e| e.to_string())?;
        rights.read(|| check(&text, &file, &base))
    };
    let checked = spawn_blocking(check).await.map_err(|e| Refused::busy(e.to_string()))?;
    let (chosen, mut done) = checked.map_err(Refused::conflict)?;
    let name = ask(&target.sampler, EnqueueJob(chosen)).await?.map_err(Refused::conflict)?;
    done.push(format!("{name} waits for a slot"));
    Ok(done)
}

/// The complete options for the job's file, and notices about them. Faults give their position in `file`.
fn check(text: &str, file: &str, base: &str) -> Result<(Chosen, Vec<String>), String> {
    let (mut options, notices) = JobOptions::from_json(text, file, Path::new(base)).map_err(|faults| faults.to_string())?;
    if options.seed.is_none() {
        options.seed = Some(system::new_seed().map_err(|sentence| format!("{sentence}; write one into the file"))?);
    }
    let (options, footprint) =
        check::weighed(&options).map_err(|fault| format!("{file}: {}: {}", fault.class, fault.sentence))?;
    let text = serde_json::to_string_pretty(&options.to_json()).map_err(|e| e.to_string())? + "\n";
    Ok((Chosen { text, need: Need::of(options.use_cpu), footprint }, notices.iter().map(ToString::to_string).collect()))
}
