//! What the control socket shows of a search's results: the ranking of its jobs, and their trainers' logs.

use super::analyzer::Rank;
use super::places::{self, Place, off_thread};
use super::router::{Desk, Refused, ask, described};
use super::sampler::Sampler;
use super::view::WhoTabulates;
use crate::analysis::{Ranked, RankedFold, Ranking};
use crate::control::types::{Best, BestFold, BestJob, Log, VERSION};
use crate::domain::job::JobName;
use crate::store::attempt_log::{self, Piece};
use crate::store::error::StoreError;
use actix::Addr;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::ser::Error;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::to_raw_value;
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
    Ok(found.map(|ranked| job(ranked)))
}

/// A [`BestJob`], whose text is written once for as long as its figures hold.
pub struct Written(Arc<Ranked>);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Written(ranked) = self;
        let text = match ranked.text.0.get() {
            Some(text) => text,
            None => {
                let text = to_raw_value(&job(ranked)).map_err(S::Error::custom)?;
                ranked.text.0.get_or_init(|| text)
            }
        };
        text.serialize(serializer)
    }
}

fn job(ranked: &Ranked) -> BestJob {
    let fold = |fold: &RankedFold| {
        let [best_loss, best_balanced_accuracy] = fold.accuracy;
        BestFold { fold: fold.index, best_loss, best_balanced_accuracy, loss: fold.loss }
    };
    let [best_loss, best_balanced_accuracy] = ranked.accuracy;
    let (job, state, loss) = (ranked.job.clone(), ranked.state.to_string(), ranked.loss);
    BestJob { job, state, best_loss, best_balanced_accuracy, loss, folds: ranked.folds.iter().map(fold).collect() }
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
    use crate::analysis::Text;

    #[test]
    fn a_ranked_job_is_written_as_the_protocol_says_the_second_time_as_the_first() {
        let fold = RankedFold { index: 2, accuracy: [Some(0.25), None], loss: Some(0.1 + 0.2) };
        let (job, accuracy, folds) = ("job-\"3\"".to_string(), [Some(0.25), Some(1.0 / 3.0)], vec![fold]);
        let ranked = Arc::new(Ranked { job, state: "done", accuracy, loss: None, folds, text: Text::default() });
        let answer = || serde_json::to_string(&[Written(ranked.clone())]).expect("JSON");
        let (first, second) = (answer(), answer());
        assert_eq!(serde_json::from_str::<Vec<BestJob>>(&first).expect("the protocol's"), [super::job(&ranked)]);
        assert_eq!(first, second);
    }
}
