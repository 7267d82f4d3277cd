//! `enqueue`: a job of somebody's own choosing joins a search's queue.

use crate::check;
use crate::control::reply::Order;
use crate::daemon::http::change::{may_change_there, target};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::router::{Desk, Refused, ask};
use crate::daemon::http::target;
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::effects::Task;
use crate::domain::job::JobName;
use crate::domain::network::footprint::Footprint;
use crate::domain::options::JobOptions;
use crate::store::records::create_job::{self, Made};
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::LaunchDir;
use crate::store::system;
use actix::{Handler, Message, ResponseFuture};
use std::path::Path;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Begins the names of such jobs.
const PREFIX: &str = "chosen";

/// A job's options, checked: the text of its `commandline.json`, and what training it takes.
#[derive(Debug)]
pub struct Chosen {
    text: String,
    footprint: Footprint,
}

/// Put this job into the queue.
#[derive(Debug, Message)]
#[rtype(result = "Result<JobName, String>")]
pub struct Enqueue(Chosen);

impl Handler<Enqueue> for Sampler {
    type Result = ResponseFuture<Result<JobName, String>>;

    fn handle(&mut self, Enqueue(chosen): Enqueue, ctx: &mut Self::Context) -> Self::Result {
        let (answer, wait) = oneshot::channel();
        if self.locked.is_some() {
            self.add_task(Task::Enqueue { chosen, answer }, ctx);
        } else {
            // Whoever holds the lock is the only one to write here.
            let _ = answer.send(Err(format!("not served: {}", self.alarms.join("; "))));
        }
        Box::pin(async { wait.await.unwrap_or_else(|_| Err("the daemon is stopping; ask again once it is back".to_string())) })
    }
}

pub async fn obey(desk: &Desk, peer: &Peer, order: &Order) -> Result<Vec<String>, Refused> {
    let place = target::search(desk, target(order)?).await?;
    may_change_there(peer, &place.launch).await?;
    let text = order.commandline.clone().ok_or_else(|| Refused::bad("commandline is missing: the text of the file"))?;
    let file = order.file.clone().unwrap_or_else(|| "commandline.json".to_string());
    let base = order.base.clone().unwrap_or_else(|| "/".to_string());
    // Reads the data that the options name, so it may take a while.
    let checked = spawn_blocking(move || check(&text, &file, &base)).await.map_err(|e| Refused::busy(e.to_string()))?;
    let (chosen, mut done) = checked.map_err(Refused::conflict)?;
    let name = ask(&place.sampler, Enqueue(chosen)).await?.map_err(Refused::conflict)?;
    done.push(format!("{name} waits for a slot"));
    Ok(done)
}

/// The options in full, as the job's file is to hold them, and notices about them; faults say where in `file` they stand.
fn check(text: &str, file: &str, base: &str) -> Result<(Chosen, Vec<String>), String> {
    let (mut options, notices) = JobOptions::from_json(text, file, Path::new(base)).map_err(|faults| faults.to_string())?;
    if options.seed.is_none() {
        options.seed = Some(system::new_seed().map_err(|sentence| format!("{sentence}; write one into the file"))?);
    }
    let (options, footprint) =
        check::weighed(&options).map_err(|fault| format!("{file}: {}: {}", fault.class, fault.sentence))?;
    let text = serde_json::to_string_pretty(&options.to_json()).map_err(|e| e.to_string())? + "\n";
    Ok((Chosen { text, footprint }, notices.iter().map(ToString::to_string).collect()))
}

/// Makes the job's folder under the first name that is free.
pub fn make(launch: &LaunchDir, chosen: &Chosen) -> Result<JobName, String> {
    let record = JobRecord { footprint: Some(chosen.footprint), ..JobRecord::queued(Starter::Daemon) };
    for number in 0..u64::MAX {
        let name = JobName::numbered(PREFIX, number).map_err(|e| e.to_string())?;
        if launch.job(&name).path().symlink_metadata().is_ok() {
            continue;
        }
        match create_job::make(launch, &name, &chosen.text, &record).map_err(|e| e.to_string())? {
            Made::Made(_) => return Ok(name),
            Made::NameTaken => {}
        }
    }
    Err("every name is taken".to_string())
}
