//! What the control socket shows of a search's results: the ranking of its jobs, and their trainers' logs.

use super::analyzer::Rank;
use super::places::{self, Place, off_thread};
use super::router::{Desk, Refused, ask, described};
use super::sampler::Sampler;
use super::view::WhoTabulates;
use super::written::{self, Written};
use crate::analysis::{Ranked, Ranking};
use crate::control::types::{Best, BestJob, Log, VERSION};
use crate::domain::job::JobName;
use crate::store::attempt_log::{self, Piece};
use crate::store::error::StoreError;
use actix::Addr;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// No piece of a log is larger.
const PIECE: u64 = 1 << 18;

/// A launch directory, by its path, and how many jobs of each kind; all unless something is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestQuery {
    launch: PathBuf,
    most: Option<usize>,
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

/// `GET /v1/best?launch=PATH&most=N`.
pub async fn best(
    State(desk): State<Desk>,
    query: Result<Query<BestQuery>, QueryRejection>,
) -> Result<Json<Best<Written>>, Refused> {
    let Query(BestQuery { launch, most }) = query.map_err(|e| Refused::bad(e.body_text()))?;
    let Place { launch, sampler } = places::search(&desk, &launch).await?;
    let ranking = ranking(&sampler).await?;
    let first = |jobs: &[Arc<Ranked>]| jobs.iter().take(most.unwrap_or(usize::MAX)).cloned().map(Written).collect();
    Ok(Json(Best {
        version: VERSION,
        launch: launch.path().display().to_string(),
        jobs: first(&ranking.by_accuracy),
        autoencoders: first(&ranking.by_loss),
        ranked: (ranking.by_accuracy.len() + ranking.by_loss.len()) as u64,
    }))
}

async fn ranking(sampler: &Addr<Sampler>) -> Result<Arc<Ranking>, Refused> {
    let analyzer = ask(sampler, WhoTabulates).await?;
    ask(&analyzer, Rank).await
}

/// What the ranking holds of one job; none before its first fold has results.
pub async fn result(sampler: &Addr<Sampler>, name: &JobName) -> Result<Option<BestJob>, Refused> {
    let ranking = ranking(sampler).await?;
    let found = ranking.by_accuracy.iter().chain(&ranking.by_loss).find(|ranked| ranked.job == name.as_str());
    Ok(found.map(|ranked| written::job(ranked)))
}

/// `GET /v1/logs?path=PATH&attempt=N&from=BYTE`.
pub async fn logs(State(desk): State<Desk>, query: Result<Query<LogQuery>, QueryRejection>) -> Result<Json<Log>, Refused> {
    let Query(LogQuery { path, attempt, from }) = query.map_err(|e| Refused::bad(e.body_text()))?;
    let (place, name) = places::job(&desk, &path).await?;
    // Asked before the log is read: what the trainer wrote before its end is then in this piece or a later one.
    let job = described(&place, &name).await?.job;
    let attempt = attempt.unwrap_or(job.attempts);
    if attempt == 0 {
        return Err(Refused::not_found(format!("{name} was never started, so it has no log; `neurosearch explain` says why")));
    }
    let running = job.state == "running" && attempt == job.attempts;
    let read = off_thread(move || attempt_log::read(&place.launch, &name, attempt, from, PIECE)).await?;
    let piece = piece(read, running, from)?;
    let text = String::from_utf8_lossy(&piece.bytes).into_owned();
    Ok(Json(Log { version: VERSION, attempt, text, next: piece.next, running, attempts: job.attempts, state: job.state }))
}

/// What was read; nothing yet where the attempt runs and its trainer is only being started.
fn piece(read: Result<Piece, StoreError>, running: bool, from: u64) -> Result<Piece, Refused> {
    match read {
        Err(e) if running && e.is_missing() => Ok(Piece { bytes: Vec::new(), next: from }),
        read => read.map_err(|e| Refused::not_found(e.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;

    #[test]
    fn the_log_of_an_attempt_that_is_only_being_started_is_empty_and_another_that_is_not_there_is_refused() {
        let missing = |kind: io::ErrorKind| Err(StoreError::io("read", Path::new("/x/attempt-4.log"), kind.into()));
        let nothing = piece(missing(io::ErrorKind::NotFound), true, 0).map_err(|refused| refused.sentence().to_string());
        assert!(nothing.is_ok_and(|piece| piece.bytes.is_empty() && piece.next == 0));
        for (kind, running) in [(io::ErrorKind::NotFound, false), (io::ErrorKind::PermissionDenied, true)] {
            let refused = piece(missing(kind), running, 0).map(|_| ()).expect_err("refused");
            assert!(refused.sentence().contains("attempt-4.log"), "{kind}: {}", refused.sentence());
        }
    }
}
