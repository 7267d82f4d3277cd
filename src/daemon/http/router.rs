//! What each path of the control socket answers.

use super::change::change;
use super::extract::{Asked, Given, Question};
use super::results;
use super::target::{self, Place};
use crate::control::reply::{self, Jobs, Needs, OneJob, Pong, Refusal, SearchState, Status, VERSION};
use crate::daemon::context::Services;
use crate::daemon::devices::{Describe, Devices, Line};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::describe::{DescribeJob, DescribeJobs, DescribeSearch, Described};
use crate::daemon::watcher::{List, Searches, Watcher};
use crate::domain::device::Need;
use crate::domain::job::JobName;
use crate::store::records::list_jobs;
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long an actor may take to answer; none of them ever waits for the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// No request is larger.
const LARGEST_BODY: usize = 1 << 20;

/// Whom to ask.
#[derive(Clone)]
pub struct Desk {
    pub services: Services,
    pub watcher: Addr<Watcher>,
    pub devices: Addr<Devices>,
}

/// Every path.
pub fn router(desk: Desk) -> Router {
    Router::new()
        .route("/v1/ping", get(ping))
        .route("/v1/status", get(status))
        .route("/v1/jobs", get(jobs))
        .route("/v1/job", get(job))
        .route("/v1/devices", get(devices))
        .route("/v1/best", get(results::best))
        .route("/v1/logs", get(results::logs))
        .route("/v1/{verb}", post(change))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(desk)
}

/// A refusal with the HTTP status that goes with it.
#[derive(Debug)]
pub struct Refused(StatusCode, String);

impl Refused {
    pub fn not_found(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::NOT_FOUND, sentence.into())
    }

    /// The request makes no sense.
    pub fn bad(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::BAD_REQUEST, sentence.into())
    }

    /// The request is larger than any may be.
    pub fn too_large(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::PAYLOAD_TOO_LARGE, sentence.into())
    }

    /// Whoever asks may not.
    pub fn forbidden(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::FORBIDDEN, sentence.into())
    }

    /// As things stand, it cannot be done.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::CONFLICT, sentence.into())
    }

    /// Why.
    pub fn sentence(&self) -> &str {
        &self.1
    }

    /// Not now.
    pub fn busy(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, sentence.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Refusal { version: VERSION, error: self.1 })).into_response()
    }
}

type Reply<T> = Result<Json<T>, Refused>;

/// An actor's answer, or a refusal where it does not come.
pub async fn ask<A, M>(actor: &Addr<A>, message: M) -> Result<M::Result, Refused>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    actor.send(message).timeout(PATIENCE).await.map_err(|e| {
        Refused(StatusCode::SERVICE_UNAVAILABLE, format!("the daemon is too busy to answer, or is stopping ({e}); ask again"))
    })
}

async fn ping(State(desk): State<Desk>) -> Json<Pong> {
    Json(Pong { version: VERSION, daemon: (*desk.services.daemon).clone() })
}

async fn status(State(desk): State<Desk>) -> Reply<Status> {
    let Searches { samplers, mut alarms, roots } = ask(&desk.watcher, List).await?;
    let (devices, more) = ask(&desk.devices, Describe).await?;
    alarms.extend(more);
    if roots.is_empty() {
        alarms.push(
            "no directory is watched; `neurosearch add DIR` adds one until the next start, the configuration's watch for good"
                .to_string(),
        );
    }
    // Asked all at once, answered in their order.
    let asked: Vec<_> = samplers.values().map(|sampler| sampler.send(DescribeSearch).timeout(PATIENCE)).collect();
    let mut searches = Vec::with_capacity(asked.len());
    for answer in asked {
        // One that ended just now has nothing to show.
        searches.extend(answer.await);
    }
    Ok(Json(Status { version: VERSION, daemon: (*desk.services.daemon).clone(), searches, devices, alarms }))
}

async fn devices(State(desk): State<Desk>) -> Reply<reply::Devices> {
    let (devices, alarms) = ask(&desk.devices, Describe).await?;
    Ok(Json(reply::Devices { version: VERSION, devices, alarms }))
}

/// A launch directory, by its path.
#[derive(Debug)]
struct LaunchQuery {
    launch: PathBuf,
}

impl Question for LaunchQuery {
    const PARAMETERS: &[(&str, &str)] = &[("launch", "the launch directory")];

    fn read(given: &Given) -> Result<Self, String> {
        Ok(LaunchQuery { launch: given.path("launch")? })
    }
}

/// A job's folder, by its path.
#[derive(Debug)]
struct JobQuery {
    path: PathBuf,
}

impl Question for JobQuery {
    const PARAMETERS: &[(&str, &str)] = &[("path", "the job's folder")];

    fn read(given: &Given) -> Result<Self, String> {
        Ok(JobQuery { path: given.path("path")? })
    }
}

async fn jobs(State(desk): State<Desk>, Asked(LaunchQuery { launch }): Asked<LaunchQuery>) -> Reply<Jobs> {
    let Place { launch, sampler } = target::search(&desk, &launch).await?;
    let jobs = ask(&sampler, DescribeJobs).await?;
    Ok(Json(Jobs { version: VERSION, launch: launch.path().display().to_string(), jobs }))
}

async fn job(State(desk): State<Desk>, Asked(JobQuery { path }): Asked<JobQuery>) -> Reply<OneJob> {
    let (place, name) = target::job(&desk, &path).await?;
    let Described { job, need, mut explained } = described(&place, &name).await?;
    let launch = place.launch;
    if let Some(need) = explained.waits_for {
        explained.reasons.extend(ask(&desk.devices, Line { search: launch.clone(), need }).await?);
        if explained.reasons.is_empty() {
            explained.reasons.push("a slot is free, and it starts at once".to_string());
        }
    }
    let why = explained.sentence();
    let device = need.map(|need| if need == Need::Cpu { "cpu" } else { "gpu" }.to_string());
    let needs = device.map(|device| Needs { device });
    let folder = launch.job(&name);
    // One that is not there, or cannot be read, has nothing to show.
    let record = spawn_blocking(move || list_jobs::record_of(&folder).ok().flatten()).await.ok().flatten();
    let (footprint, redraws) = record.map_or((None, 0), |record| (record.footprint, record.redraws));
    let result = results::result(&place.sampler, &name).await?;
    let launch = launch.path().display().to_string();
    Ok(Json(OneJob { version: VERSION, launch, job, why, waits_for: explained.reasons, needs, footprint, result, redraws }))
}

/// A job of a search, drawn or to be drawn.
pub async fn described(place: &Place, name: &JobName) -> Result<Described, Refused> {
    if let Some(described) = ask::<Sampler, _>(&place.sampler, DescribeJob(name.clone())).await? {
        return Ok(described);
    }
    Err(no_such_job(name, &ask(&place.sampler, DescribeSearch).await?))
}

/// Why the search has no such job: whose file was never accepted, or whose folder cannot be served, has none at all.
fn no_such_job(name: &JobName, search: &reply::Search) -> Refused {
    let launch = &search.launch;
    let never = search.n_jobs.is_none();
    match search.state {
        SearchState::Held if never => Refused::conflict(format!("{launch} is held: {}", search.alarms.join("; "))),
        SearchState::Refused if never => {
            let first = search.faults.first().map_or_else(String::new, |fault| format!(": {fault}"));
            Refused::conflict(format!(
                "no job is drawn, for random_search.json is refused{first}; `neurosearch status` shows it all"
            ))
        }
        SearchState::Settling if never => Refused::conflict(format!(
            "{launch} has only just been found, and its random_search.json is still being read; ask again"
        )),
        _ => Refused::not_found(format!(
            "{launch} has no job {name}, neither drawn nor to be drawn; `neurosearch jobs` lists those there are, \
             `neurosearch set` gives more n_jobs"
        )),
    }
}

/// A job's launch directory and name.
pub fn split(path: &Path) -> Result<(&Path, JobName), Refused> {
    let named = path.parent().zip(path.file_name());
    let (launch, name) = named.ok_or_else(|| Refused::bad(format!("{} is not the folder of a job", path.display())))?;
    let name = JobName::try_from(name.to_string_lossy().into_owned()).map_err(|e| Refused::bad(e.to_string()))?;
    Ok((launch, name))
}

async fn unknown(request: axum::extract::Request) -> Refused {
    Refused::not_found(format!("{} {} is not known to version {VERSION}", request.method(), request.uri().path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_not_there_is_missing_for_what_its_search_says() {
        let search = |state, n_jobs| reply::Search {
            launch: "/data/first".into(),
            state,
            n_jobs,
            faults: vec!["/data/first/random_search.json: line 1, column 1: mode: missing".into()],
            alarms: vec!["another daemon serves this directory".into()],
            ..reply::Search::default()
        };
        let cases = [
            (SearchState::Held, None, StatusCode::CONFLICT, "/data/first is held: another daemon serves"),
            (SearchState::Refused, None, StatusCode::CONFLICT, "line 1, column 1: mode: missing"),
            (SearchState::Settling, None, StatusCode::CONFLICT, "still being read"),
            (SearchState::Active, None, StatusCode::NOT_FOUND, "has no job job-7"),
            (SearchState::Held, Some(3), StatusCode::NOT_FOUND, "has no job job-7"),
        ];
        for (state, n_jobs, status, words) in cases {
            let Refused(code, said) = no_such_job(&JobName::numbered("job", 7).expect("a name"), &search(state, n_jobs));
            assert!(code == status && said.contains(words), "{state:?} {n_jobs:?}: {code} {said}");
        }
    }
}
