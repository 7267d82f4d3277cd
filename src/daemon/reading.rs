//! What the control socket shows from the disk: the ranking of a search's jobs, and their trainers' logs.

use super::router::{Desk, Refused, described, sampler, split};
use crate::analysis;
use crate::control::types::{Best, BestFold, BestJob, Log, VERSION};
use crate::store::attempt_log;
use crate::store::error::StoreError;
use crate::store::layout::LaunchDir;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::path::PathBuf;
use tokio::task::spawn_blocking;

/// No piece of a log is larger.
const PIECE: u64 = 1 << 18;

/// A launch directory, by its path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestQuery {
    launch: PathBuf,
}

/// A job's folder, by its path; the last attempt and its beginning unless something else is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    path: PathBuf,
    attempt: Option<u32>,
    #[serde(default)]
    from: u64,
}

/// `GET /v1/best?launch=PATH`.
pub async fn best(State(desk): State<Desk>, query: Result<Query<BestQuery>, QueryRejection>) -> Result<Json<Best>, Refused> {
    let Query(BestQuery { launch }) = query.map_err(|e| Refused::bad(e.body_text()))?;
    // Only what the daemon serves is read for others.
    sampler(&desk, &launch).await?;
    let directory = LaunchDir::new(&launch);
    let work = spawn_blocking(move || analysis::ranking(&directory));
    let ranked = work.await.map_err(|e| Refused::busy(e.to_string()))?;
    let jobs = match ranked {
        Ok(ranked) => ranked.into_iter().map(job).collect(),
        Err(e) if e.is_missing() => Vec::new(),
        Err(e) => return Err(Refused::conflict(e.to_string())),
    };
    Ok(Json(Best { version: VERSION, launch: launch.display().to_string(), jobs }))
}

fn job(ranked: analysis::Ranked) -> BestJob {
    let fold = |(fold, [best_loss, best_balanced_accuracy]): (u32, [Option<f64>; 2])| BestFold {
        fold,
        best_loss,
        best_balanced_accuracy,
    };
    let [best_loss, best_balanced_accuracy] = ranked.means;
    let folds = ranked.folds.into_iter().map(fold).collect();
    BestJob { job: ranked.job, state: ranked.state, best_loss, best_balanced_accuracy, folds }
}

/// `GET /v1/logs?path=PATH&attempt=N&from=BYTE`.
pub async fn logs(State(desk): State<Desk>, query: Result<Query<LogQuery>, QueryRejection>) -> Result<Json<Log>, Refused> {
    let Query(LogQuery { path, attempt, from }) = query.map_err(|e| Refused::bad(e.body_text()))?;
    let (launch, name) = split(&path)?;
    let job = described(&desk, launch, &name).await?.job;
    let attempt = attempt.unwrap_or(job.attempts);
    if attempt == 0 {
        return Err(Refused::not_found(format!("{name} was never started, so it has no log; `neurosearch explain` says why")));
    }
    let directory = LaunchDir::new(launch);
    let work = spawn_blocking(move || attempt_log::read(&directory, &name, attempt, from, PIECE));
    let piece =
        work.await.map_err(|e| Refused::busy(e.to_string()))?.map_err(|e: StoreError| Refused::not_found(e.to_string()))?;
    let text = String::from_utf8_lossy(&piece.bytes).into_owned();
    Ok(Json(Log { version: VERSION, attempt, text, next: piece.next, running: job.state == "running" }))
}
