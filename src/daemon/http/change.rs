//! Changes over the control socket: who may make them, and how an order's words become a command.

use super::app::{App, ask};
use super::extract::Ordered;
use super::peer::Peer;
use super::refusal::Refused;
use super::rights::may_change_there;
use super::target::{self, Place};
use super::verbs::{add, drain, enqueue};
use crate::control::reply::{Changed, Order, VERSION};
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::commands::Change;
use crate::domain::input::keys::MANY;
use crate::domain::job::{FailureClass, JobName};
use crate::domain::search_terms::TimeLimit;
use crate::engine::command::Command;
use crate::store::system::now;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use std::path::Path as FilePath;

/// A year, so that its seconds can be counted.
const MOST_HOURS: f64 = 24.0 * 366.0;

/// `POST /v1/{verb}` with an [`Order`].
pub async fn change(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Ordered { verb, order }: Ordered,
) -> Result<Json<Changed>, Refused> {
    only_what_is_read(&verb, &order).map_err(Refused::bad)?;
    let done = match verb.as_str() {
        "drain" | "restore" | "reload" | "shutdown" => drain::obey(&app, &peer, &verb, &order).await?,
        "resume" if order == Order::default() => drain::obey(&app, &peer, &verb, &order).await?,
        "add" | "remove" => add::obey(&app, &peer, &verb, &order).await?,
        "enqueue" => enqueue::obey(&app, &peer, &order).await?,
        _ => {
            let (place, job) = meant(&app, &order).await?;
            let order = Order { job: job.map(|job| job.to_string()), ..order.clone() };
            let commands = commands(&verb, &order).map_err(Refused::bad)?;
            may_change_there(&peer, &place.launch).await?;
            ask::<Sampler, _>(&place.sampler, Change(commands)).await?.map_err(Refused::conflict)?
        }
    };
    tracing::info!(verb = verb.as_str(), uid = peer.uid, order = ?in_words(&order), "changed");
    Ok(Json(Changed { version: VERSION, done }))
}

/// What the order says, for the log: `target /data/first, set n_jobs=40 slots=2`.
fn in_words(order: &Order) -> String {
    let said = |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name} {text}"));
    let set: Vec<String> = order.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let words = [
        said("target", &order.target),
        said("launch", &order.launch),
        said("job", &order.job),
        (!set.is_empty()).then(|| format!("set {}", set.join(" "))),
        said("class", &order.class),
        order.failed.then(|| "failed".to_string()),
        said("device", &order.device),
        // A file's text would fill the log.
        order.commandline.as_ref().map(|text| format!("commandline of {} bytes", text.len())),
        said("file", &order.file),
        said("base", &order.base),
        order.stop_trainers.then(|| "stop_trainers".to_string()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the verb and the order say together.
///
/// # Errors
/// One sentence: what is not understood, and what would be.
pub fn commands(verb: &str, order: &Order) -> Result<Vec<Command>, String> {
    let job = order.job.clone().map(JobName::try_from).transpose().map_err(|e| e.to_string())?;
    let command = match (verb, job) {
        ("pause", None) => Command::PauseSearch,
        ("pause", Some(job)) => Command::PauseJob(job),
        ("resume", None) => Command::ResumeSearch,
        ("resume", Some(job)) => Command::ResumeJob(job),
        ("cancel", Some(job)) => Command::CancelJob(job),
        ("cancel", None) => Command::CancelSearch,
        ("retry", Some(job)) if order.failed || order.class.is_some() => {
            return Err(format!("failed and class choose among a search's jobs; leave them out to try {job} again"));
        }
        ("retry", Some(job)) => Command::RetryJob(job),
        ("retry", None) => Command::RetryFailed(order.class.as_deref().map(class).transpose()?),
        ("set", None) if !order.set.is_empty() => return order.set.iter().map(|(key, value)| setting(key, value)).collect(),
        ("set", Some(job)) => {
            return Err(format!("a search is set, not one job; name the launch directory instead of {job} in it"));
        }
        ("set", None) => return Err("name what to set in \"set\": n_jobs, priority, slots or time_limit_hours".to_string()),
        _ => {
            let known = "pause, resume, cancel, retry, set, enqueue, drain, restore, add, remove, reload, shutdown";
            return Err(format!("{verb:?} is not a change that version {VERSION} knows: {known}"));
        }
    };
    Ok(vec![command])
}

fn class(word: &str) -> Result<FailureClass, String> {
    serde_json::from_value(serde_json::Value::String(word.to_string())).map_err(|_| {
        let classes: Vec<&str> = FailureClass::ALL.iter().map(|class| class.as_str()).collect();
        format!("{word:?} is not a class of failure; there are {}", classes.join(", "))
    })
}

fn setting(key: &str, value: &str) -> Result<Command, String> {
    let fail = |allowed: &str| format!("{key}: {value:?} is not {allowed}");
    match key {
        "n_jobs" => match value.parse() {
            Ok(n_jobs) if n_jobs <= MANY => Ok(Command::SetJobs(n_jobs)),
            _ => Err(fail(&format!("a whole number up to {MANY}"))),
        },
        "priority" => value.parse().map(Command::SetPriority).map_err(|_| fail("a whole number")),
        "slots" if value == "all" => Ok(Command::SetSlots(None)),
        "slots" => value.parse().map(|slots| Command::SetSlots(Some(slots))).map_err(|_| fail("a whole number or \"all\"")),
        "time_limit_hours" if value == "none" => Ok(Command::SetTimeLimit(None)),
        "time_limit_hours" => match value.parse() {
            // The comparison refuses NaN too, and bounds the seconds.
            Ok(hours) if hours > 0.0 && hours <= MOST_HOURS => {
                let ends = now() + (hours * 3600.0) as u64;
                Ok(Command::SetTimeLimit(Some(TimeLimit { hours, ends })))
            }
            _ => Err(fail("hours above 0, at most a year, or \"none\"")),
        },
        _ => Err(format!("{key:?} cannot be set; n_jobs, priority, slots and time_limit_hours can")),
    }
}

/// Refuses a field that the verb would not read, so that nothing that is asked for is left out unsaid.
fn only_what_is_read(verb: &str, order: &Order) -> Result<(), String> {
    let read: &[&str] = match verb {
        "pause" | "resume" | "cancel" => &["target", "launch", "job"],
        "retry" => &["target", "launch", "job", "failed", "class"],
        "set" => &["target", "launch", "job", "set"],
        "enqueue" => &["target", "launch", "commandline", "file", "base"],
        "drain" | "restore" => &["device"],
        "add" | "remove" => &["target", "launch"],
        "reload" => &[],
        "shutdown" => &["stop_trainers"],
        // Refused as a whole.
        _ => return Ok(()),
    };
    let given = serde_json::to_value(order).map_err(|e| e.to_string())?;
    let unread = given.as_object().into_iter().flatten().map(|(field, _)| field).find(|field| !read.contains(&field.as_str()));
    match unread {
        Some(field) if read.is_empty() => Err(format!("{verb} takes no field, and {field:?} was given")),
        Some(field) => Err(format!("{verb} does not read {field:?}; it reads {}", read.join(", "))),
        None => Ok(()),
    }
}

/// The path that the order is about.
pub fn target(order: &Order) -> Result<&FilePath, Refused> {
    let path = order.target.as_deref().or(order.launch.as_deref());
    let path = FilePath::new(path.ok_or_else(|| Refused::bad("name a directory in \"target\""))?);
    if path.is_absolute() { Ok(path) } else { Err(Refused::bad(format!("{path:?} is not an absolute path"))) }
}

/// The search or the job that the order is about.
async fn meant(app: &App, order: &Order) -> Result<(Place, Option<JobName>), Refused> {
    match (&order.target, &order.launch) {
        (Some(_), None) if order.job.is_none() => target::search_or_job(app, target(order)?).await,
        (None, Some(_)) => {
            let job = order.job.clone().map(JobName::try_from).transpose().map_err(|e| Refused::bad(e.to_string()))?;
            Ok((target::search(app, target(order)?).await?, job))
        }
        _ => Err(Refused::bad("name a launch directory or a job's folder in \"target\", or else \"launch\" and perhaps \"job\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_not_understood_says_what_would_be() {
        let order = |set: &[(&str, &str)]| Order {
            set: set.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            ..Order::default()
        };
        let cases = [
            ("stop", order(&[]), "pause, resume"),
            ("set", order(&[("time_limit_hours", "NaN")]), "a year"),
            ("set", order(&[]), "n_jobs"),
            ("set", order(&[("n_jobs", "-1")]), "whole number"),
            ("set", order(&[("colour", "red")]), "priority"),
            ("retry", Order { class: Some("sad".into()), ..Order::default() }, "class"),
            ("pause", Order { job: Some("../x".into()), ..Order::default() }, "name"),
            ("retry", Order { job: Some("job-3".into()), class: Some("killed".into()), ..Order::default() }, "job-3"),
            ("retry", Order { job: Some("job-3".into()), failed: true, ..Order::default() }, "job-3"),
            ("set", Order { job: Some("job-3".into()), ..order(&[("n_jobs", "4")]) }, "instead of job-3"),
        ];
        for (verb, order, word) in cases {
            let error = commands(verb, &order).expect_err(verb);
            assert!(error.contains(word), "{verb}: {error}");
        }
        assert_eq!(commands("set", &order(&[("slots", "all")])), Ok(vec![Command::SetSlots(None)]));
    }

    #[test]
    fn the_log_has_what_an_order_says_and_nothing_that_it_does_not() {
        let set = [("slots", "2"), ("n_jobs", "40")].map(|(key, value)| (key.to_string(), value.to_string()));
        let order = Order { target: Some("/data/first".into()), set: set.into(), ..Order::default() };
        assert_eq!(in_words(&order), "target /data/first, set n_jobs=40 slots=2");
        let order = Order { commandline: Some("{}".into()), stop_trainers: true, ..Order::default() };
        assert_eq!(in_words(&order), "commandline of 2 bytes, stop_trainers");
        assert_eq!(in_words(&Order::default()), "");
    }

    #[test]
    fn a_field_that_a_verb_does_not_read_is_refused_by_name() {
        let device = Order { device: Some("cpu".into()), ..Order::default() };
        assert!(only_what_is_read("drain", &device).is_ok());
        for verb in ["pause", "resume", "set", "reload", "shutdown", "add"] {
            let error = only_what_is_read(verb, &device).expect_err(verb);
            assert!(error.contains("\"device\""), "{error}");
        }
        assert!(only_what_is_read("drain", &Order { stop_trainers: true, ..device }).is_err());
    }
}
