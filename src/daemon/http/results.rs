//! Shows the results of a search: the ranking of its jobs, and the logs of their trainers.

use super::app::{App, ask, off_thread};
use super::extract::{QueryOf, QueryPairs, QueryParams};
use super::peer::Peer;
use super::refusal::Refused;
use super::target::{self, Target, described};
use crate::analysis::{Ranked, Ranking};
use crate::control::reply::{Best, BestJob, Log, VERSION};
use crate::daemon::analyzer::Rank;
use crate::daemon::ranking_json::{self, RankingEntryJson};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::describe::WhoTabulates;
use crate::domain::job::JobName;
use crate::store::fs::error::StoreError;
use crate::store::records::attempt_log::{self, KEPT, Piece};
use actix::Addr;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use std::path::PathBuf;
use std::sync::Arc;

/// Largest piece of a log, in bytes.
const PIECE: u64 = 1 << 18;

/// A launch directory, by its path, and how many jobs of each kind. Without a number, all.
#[derive(Debug)]
pub struct BestQuery {
    launch: PathBuf,
    most: Option<usize>,
}

impl QueryParams for BestQuery {
    const PARAMETERS: &[(&str, &str)] = &[("launch", "the launch directory"), ("most", "a number of jobs")];

    fn read(given: &QueryPairs) -> Result<Self, String> {
        Ok(BestQuery { launch: given.path("launch")?, most: given.number("most")? })
    }
}

/// A job's folder, by its path. By default, the last attempt from its beginning.
#[derive(Debug)]
pub struct LogQuery {
    path: PathBuf,
    attempt: Option<u32>,
    from: u64,
}

impl QueryParams for LogQuery {
    const PARAMETERS: &[(&str, &str)] =
        &[("path", "the job's folder"), ("attempt", "the number of an attempt, from 1"), ("from", "a number of bytes")];

    fn read(given: &QueryPairs) -> Result<Self, String> {
        let from = given.number("from")?.unwrap_or(0);
        Ok(LogQuery { path: given.path("path")?, attempt: given.number("attempt")?, from })
    }
}

/// `GET /v1/best?launch=PATH&most=N`.
pub async fn best(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    QueryOf(BestQuery { launch, most }): QueryOf<BestQuery>,
) -> Result<Json<Best<RankingEntryJson>>, Refused> {
    let Target { launch, sampler } = target::search(&app, &peer, &launch).await?;
    let ranking = ranking(&sampler).await?;
    let first = |jobs: &[Arc<Ranked>]| jobs.iter().take(most.unwrap_or(usize::MAX)).cloned().map(RankingEntryJson).collect();
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

/// One job in the ranking. `None` before its first fold has results.
pub async fn result(sampler: &Addr<Sampler>, name: &JobName) -> Result<Option<BestJob>, Refused> {
    let ranking = ranking(sampler).await?;
    let found = ranking.by_accuracy.iter().chain(&ranking.by_loss).find(|ranked| ranked.job == name.as_str());
    Ok(found.map(|ranked| ranking_json::job(ranked)))
}

/// `GET /v1/logs?path=PATH&attempt=N&from=BYTE`.
pub async fn logs(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    QueryOf(LogQuery { path, attempt, from }): QueryOf<LogQuery>,
) -> Result<Json<Log>, Refused> {
    let (target, name) = target::job(&app, &peer, &path).await?;
    // Asked before the log is read. What the trainer wrote before its end is then in this piece or a later one.
    let job = described(&target, &name).await?.job;
    let attempt = chosen(&name, attempt, job.attempts).map_err(Refused::not_found)?;
    let running = job.state == "running" && attempt == job.attempts;
    let read = off_thread(move || attempt_log::read(&target.launch, &name, attempt, from, PIECE)).await?;
    let piece = piece(read, running, from)?;
    let text = String::from_utf8_lossy(&piece.bytes).into_owned();
    Ok(Json(Log { version: VERSION, attempt, text, next: piece.next, running, attempts: job.attempts, state: job.state }))
}

/// The attempt whose log is requested, out of the `made` ones. By default the last.
///
/// # Errors
/// One sentence: that there is no such log, and which logs exist.
fn chosen(name: &JobName, asked: Option<u32>, made: u32) -> Result<u32, String> {
    let oldest = made.saturating_sub(KEPT) + 1;
    let attempt = asked.unwrap_or(made);
    let there = match made {
        0 => return Err(format!("{name} was never started, so it has no log; `neurosearch explain` says why")),
        1 => "attempt 1 is its only one".to_string(),
        _ => format!("there are those of attempts {oldest} to {made}"),
    };
    match attempt {
        _ if attempt == 0 || attempt > made => Err(format!("{name} has had no attempt {attempt}, so there is no log; {there}")),
        _ if attempt < oldest => Err(format!("the log of attempt {attempt} of {name} is kept no longer; {there}")),
        _ => Ok(attempt),
    }
}

/// The piece that was read. Empty if the attempt runs and its trainer is only being started.
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
    fn an_attempt_without_a_log_is_refused_with_those_that_have_one() {
        let name = JobName::numbered("job", 0).expect("a name");
        let cases = [
            (None, 1, Ok(1)),
            (Some(2), 3, Ok(2)),
            (None, 0, Err("never started")),
            (Some(1), 0, Err("never started")),
            (Some(0), 1, Err("no attempt 0, so there is no log; attempt 1 is its only one")),
            (Some(9), 1, Err("attempt 1 is its only one")),
            (Some(4), 3, Err("attempts 1 to 3")),
            (Some(3), KEPT + 2, Ok(3)),
            (Some(2), KEPT + 2, Err("kept no longer; there are those of attempts 3 to 52")),
        ];
        for (asked, made, wanted) in cases {
            match (chosen(&name, asked, made), wanted) {
                (Ok(attempt), Ok(wanted)) => assert_eq!(attempt, wanted),
                (Err(said), Err(words)) => assert!(said.contains(words), "{asked:?} of {made}: {said}"),
                (got, wanted) => panic!("{asked:?} of {made}: {got:?} in target of {wanted:?}"),
            }
        }
    }

    #[test]
    fn the_log_of_a_starting_attempt_is_empty_and_any_other_missing_one_refused() {
        let missing = |kind: io::ErrorKind| Err(StoreError::io("read", Path::new("/x/attempt-4.log"), kind.into()));
        let nothing = piece(missing(io::ErrorKind::NotFound), true, 0).map_err(|refused| refused.sentence().to_string());
        assert!(nothing.is_ok_and(|piece| piece.bytes.is_empty() && piece.next == 0));
        for (kind, running) in [(io::ErrorKind::NotFound, false), (io::ErrorKind::PermissionDenied, true)] {
            let refused = piece(missing(kind), running, 0).map(|_| ()).expect_err("refused");
            assert!(refused.sentence().contains("attempt-4.log"), "{kind}: {}", refused.sentence());
        }
    }
}
