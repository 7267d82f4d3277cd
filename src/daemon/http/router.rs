//! Maps each path of the control socket to its answer.

use super::app::{ACTOR_PATIENCE, App, ask};
use super::browser::{self, AllowedHosts};
use super::change::change;
use super::extract::{QueryOf, QueryPairs, QueryParams};
use super::peer::Peer;
use super::refusal::Refused;
use super::results;
use super::target::described;
use super::target::{self, Target};
use crate::control::reply::{self, Jobs, Needs, OneJob, Pong, Status, VERSION};
use crate::daemon::devices::{Describe, WhyNoSlot};
use crate::daemon::sampler::describe::{DescribeJobs, DescribeSearch, Described};
use crate::daemon::watcher::{ListSearches, Searches};
use crate::domain::device::Need;
use crate::store::records::list_jobs;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use std::path::PathBuf;
use tokio::task::spawn_blocking;

/// Largest body of a request, in bytes.
const LARGEST_BODY: usize = 1 << 20;

/// Every path.
pub fn router(app: App) -> Router {
    let allowed = AllowedHosts::new(&app.services.settings().allowed_hosts);
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
        .layer(middleware::from_fn_with_state(allowed, browser::guard))
        .with_state(app)
}

type Reply<T> = Result<Json<T>, Refused>;

async fn ping(State(app): State<App>) -> Json<Pong> {
    Json(Pong { version: VERSION, daemon: (*app.services.daemon).clone() })
}

async fn status(State(app): State<App>) -> Reply<Status> {
    let Searches { samplers, mut alarms, roots } = ask(&app.watcher, ListSearches).await?;
    let (devices, more) = ask(&app.devices, Describe).await?;
    alarms.extend(more);
    if roots.is_empty() {
        alarms.push(
            "no directory is watched; `neurosearch add DIR` adds one until the next start, the configuration's watch for good"
                .to_string(),
        );
    }
    // All are asked at once, and their answers are collected in order.
    let asked: Vec<_> = samplers.values().map(|sampler| sampler.send(DescribeSearch).timeout(ACTOR_PATIENCE)).collect();
    let mut searches = Vec::with_capacity(asked.len());
    for answer in asked {
        // A search that ended just now has nothing to show.
        searches.extend(answer.await);
    }
    Ok(Json(Status { version: VERSION, daemon: (*app.services.daemon).clone(), searches, devices, alarms }))
}

async fn devices(State(app): State<App>) -> Reply<reply::Devices> {
    let (devices, alarms) = ask(&app.devices, Describe).await?;
    Ok(Json(reply::Devices { version: VERSION, devices, alarms }))
}

/// A launch directory, by its path.
#[derive(Debug)]
struct LaunchQuery {
    launch: PathBuf,
}

impl QueryParams for LaunchQuery {
    const PARAMETERS: &[(&str, &str)] = &[("launch", "the launch directory")];

    fn read(given: &QueryPairs) -> Result<Self, String> {
        Ok(LaunchQuery { launch: given.path("launch")? })
    }
}

/// A job's folder, by its path.
#[derive(Debug)]
struct JobQuery {
    path: PathBuf,
}

impl QueryParams for JobQuery {
    const PARAMETERS: &[(&str, &str)] = &[("path", "the job's folder")];

    fn read(given: &QueryPairs) -> Result<Self, String> {
        Ok(JobQuery { path: given.path("path")? })
    }
}

async fn jobs(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    QueryOf(LaunchQuery { launch }): QueryOf<LaunchQuery>,
) -> Reply<Jobs> {
    let Target { launch, sampler } = target::search(&app, &peer, &launch).await?;
    let jobs = ask(&sampler, DescribeJobs).await?;
    Ok(Json(Jobs { version: VERSION, launch: launch.path().display().to_string(), jobs }))
}

async fn job(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    QueryOf(JobQuery { path }): QueryOf<JobQuery>,
) -> Reply<OneJob> {
    let (target, name) = target::job(&app, &peer, &path).await?;
    let Described { job, need, mut explained } = described(&target, &name).await?;
    let launch = target.launch;
    if let Some(need) = explained.waits_for {
        explained.reasons.extend(ask(&app.devices, WhyNoSlot { search: launch.clone(), need }).await?);
        if explained.reasons.is_empty() {
            explained.reasons.push("a slot is free, and it starts at once".to_string());
        }
    }
    let why = explained.sentence();
    let device = need.map(|need| if need == Need::Cpu { "cpu" } else { "gpu" }.to_string());
    let needs = device.map(|device| Needs { device });
    let folder = launch.job(&name);
    // A record that is missing or unreadable has nothing to show.
    let record = spawn_blocking(move || list_jobs::record_of(&folder).ok().flatten()).await.ok().flatten();
    let (footprint, redraws) = record.map_or((None, 0), |record| (record.footprint, record.redraws));
    let result = results::result(&target.sampler, &name).await?;
    let launch = launch.path().display().to_string();
    Ok(Json(OneJob { version: VERSION, launch, job, why, waits_for: explained.reasons, needs, footprint, result, redraws }))
}

async fn unknown(request: axum::extract::Request) -> Refused {
    Refused::not_found(format!("{} {} is not known to version {VERSION}", request.method(), request.uri().path()))
}
