//! `enqueue`: a job of somebody's own choosing joins a search's queue.

use super::super::change::{may_change, target};
use super::super::listener::Peer;
use super::super::router::{Desk, Refused, sampler};
use super::super::sampler::LookNow;
use crate::check;
use crate::control::types::Order;
use crate::domain::job::JobName;
use crate::domain::options::JobOptions;
use crate::store::job::{JobRecord, Starter};
use crate::store::layout::LaunchDir;
use crate::store::new_job::{self, Made};
use rand::TryRngCore;
use std::path::Path;
use tokio::task::spawn_blocking;

/// Begins the names of such jobs.
const PREFIX: &str = "chosen";

pub async fn obey(desk: &Desk, peer: Peer, order: &Order) -> Result<Vec<String>, Refused> {
    let launch = target(order)?.to_path_buf();
    let sampler = sampler(desk, &launch).await?;
    may_change(peer, &launch).map_err(Refused::forbidden)?;
    let text = order.commandline.clone().ok_or_else(|| Refused::bad("commandline is missing: the text of the file"))?;
    let base = order.base.clone().unwrap_or_else(|| "/".to_string());
    // Reads the data that the options name, so it may take a while.
    let work = spawn_blocking(move || make(&LaunchDir::new(launch), &text, &base));
    let made = work.await.map_err(|e| Refused::busy(e.to_string()))?;
    let (name, notices) = made.map_err(Refused::conflict)?;
    // A scan finds it all the same.
    let _ = sampler.try_send(LookNow::Hint);
    let mut done = notices;
    done.push(format!("{name} waits for a slot"));
    Ok(done)
}

/// Makes the job's folder; its name, and notices about its options.
fn make(launch: &LaunchDir, text: &str, base: &str) -> Result<(JobName, Vec<String>), String> {
    let (mut options, notices) =
        JobOptions::from_json(text, "commandline.json", Path::new(base)).map_err(|faults| faults.to_string())?;
    if options.seed.is_none() {
        let bits = rand::rngs::OsRng.try_next_u64().map_err(|e| format!("cannot draw a seed: {e}; write one into the file"))?;
        // 53 bits, so that every JSON reader keeps it whole.
        options.seed = Some(bits >> 11);
    }
    let (options, footprint) = check::weighed(&options).map_err(|fault| format!("{}: {}", fault.class, fault.sentence))?;
    let text = serde_json::to_string_pretty(&options.to_json()).map_err(|e| e.to_string())? + "\n";
    let record = JobRecord { footprint: Some(footprint), ..JobRecord::queued(Starter::Daemon) };
    for number in 0..u64::MAX {
        let name = JobName::numbered(PREFIX, number).map_err(|e| e.to_string())?;
        if launch.job(&name).path().symlink_metadata().is_ok() {
            continue;
        }
        match new_job::make(launch, &name, &text, &record).map_err(|e| e.to_string())? {
            Made::Made(_) => return Ok((name, notices.iter().map(ToString::to_string).collect())),
            Made::NameTaken => {}
        }
    }
    Err("every name is taken".to_string())
}
