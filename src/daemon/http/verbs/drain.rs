//! `drain`, `resume` without a search, `restore`, `reload` and `shutdown`: the daemon and its devices as a whole.

use super::reload;
use crate::control::reply::Order;
use crate::daemon::devices::{Drain, DrainAll};
use crate::daemon::http::change::master_only;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::router::{Desk, Refused, ask};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::describe::DescribeSearch;
use crate::daemon::watcher::{List, Searches};
use crate::engine::command;
use actix::{Handler, Message};
use rustix::process::{Signal, getpid, kill_process};
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// The daemon stops: every trainer keeps its last epoch and ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopTrainers;

impl Handler<StopTrainers> for Sampler {
    type Result = ();

    fn handle(&mut self, _: StopTrainers, ctx: &mut Self::Context) {
        let effects = command::on_shutdown(&mut self.search);
        self.perform(effects, ctx);
    }
}

/// Between two looks at trainers that are stopping.
const LOOK: Duration = Duration::from_millis(50);

/// Does what the verb says; the caller has checked that it is one of these.
pub async fn obey(desk: &Desk, peer: &Peer, verb: &str, order: &Order) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    let done = match verb {
        "drain" if order.device.is_none() => {
            ask(&desk.devices, DrainAll(true)).await?;
            "nothing new is started, running jobs go on; `neurosearch resume` ends that".to_string()
        }
        "resume" => {
            ask(&desk.devices, DrainAll(false)).await?;
            "new jobs are started again".to_string()
        }
        "drain" | "restore" => drain_device(desk, order, verb == "drain").await?,
        "reload" => return reload::obey(desk).await,
        _ => {
            tokio::spawn(end(desk.clone(), order.stop_trainers));
            let trainers = if order.stop_trainers { "its trainers keep their last epoch and stop" } else { "its trainers go on" };
            format!("the daemon stops; {trainers}")
        }
    };
    Ok(vec![done])
}

async fn drain_device(desk: &Desk, order: &Order, drain: bool) -> Result<String, Refused> {
    let missing = || Refused::bad("device is missing: `cpu`, a GPU's number, or the beginning of its UUID or model");
    let device = order.device.clone().ok_or_else(missing)?;
    ask(&desk.devices, Drain { device, drain }).await?.map_err(Refused::not_found)
}

/// Stops the trainers, if they are to stop, and then the daemon, as SIGTERM would.
async fn end(desk: Desk, stop_trainers: bool) {
    if stop_trainers {
        let grace = Duration::from_secs(desk.services.settings.stop_grace_seconds);
        // After the grace comes the kill, which takes a moment too.
        let deadline = Instant::now() + grace + Duration::from_secs(10);
        stop_all(&desk).await;
        while running(&desk).await > 0 {
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

async fn stop_all(desk: &Desk) {
    if let Ok(Searches { samplers, .. }) = ask(&desk.watcher, List).await {
        for sampler in samplers.values() {
            // One that is gone has no trainers.
            let _ = ask(sampler, StopTrainers).await;
        }
    }
}

async fn running(desk: &Desk) -> usize {
    let Ok(Searches { samplers, .. }) = ask(&desk.watcher, List).await else { return 0 };
    let mut running = 0;
    for sampler in samplers.values() {
        running += ask(sampler, DescribeSearch).await.map_or(0, |search| search.running.len());
    }
    running
}
