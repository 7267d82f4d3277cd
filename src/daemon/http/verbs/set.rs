//! `set`: changes the terms of a search.

use super::command;
use crate::control::request::Set;
use crate::daemon::http::app::App;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::target;
use crate::domain::input::keys::MANY;
use crate::domain::job::JobName;
use crate::domain::search_terms::TimeLimit;
use crate::engine::command::Command;
use crate::store::system::now;

/// One leap year, so that the seconds can be counted.
const MOST_HOURS: f64 = 24.0 * 366.0;

pub async fn handle(app: &App, peer: &Peer, request: &Set) -> Result<Vec<String>, Refused> {
    let (target, job) = target::meant(app, peer, request.subject()).await?;
    let commands = commands(request, job.as_ref()).map_err(Refused::bad)?;
    command::give(peer, &target, commands).await
}

fn commands(request: &Set, job: Option<&JobName>) -> Result<Vec<Command>, String> {
    if let Some(job) = job {
        return Err(format!("a search is set, not one job; name the launch directory instead of {job} in it"));
    }
    if request.set.is_empty() {
        return Err("name what to set in \"set\": n_jobs, priority, slots or time_limit_hours".to_string());
    }
    request.set.iter().map(|(key, value)| setting(key, value)).collect()
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
            // The comparison also refuses NaN, and bounds the seconds.
            Ok(hours) if hours > 0.0 && hours <= MOST_HOURS => {
                let ends = now() + (hours * 3600.0) as u64;
                Ok(Command::SetTimeLimit(Some(TimeLimit { hours, ends })))
            }
            _ => Err(fail("hours above 0, at most a year, or \"none\"")),
        },
        _ => Err(format!("{key:?} cannot be set; n_jobs, priority, slots and time_limit_hours can")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_that_cannot_be_set_so_says_what_can() {
        let set = |key: &str, value: &str| Set { set: [(key.to_string(), value.to_string())].into(), ..Set::default() };
        let job = JobName::numbered("job", 3).expect("a name");
        let cases = [
            (set("time_limit_hours", "NaN"), None, "a year"),
            (Set::default(), None, "n_jobs"),
            (set("n_jobs", "-1"), None, "whole number"),
            (set("colour", "red"), None, "priority"),
            (set("n_jobs", "4"), Some(&job), "instead of job-3"),
        ];
        for (request, job, word) in cases {
            let said = commands(&request, job).expect_err(word);
            assert!(said.contains(word), "{said}");
        }
        assert_eq!(commands(&set("slots", "all"), None), Ok(vec![Command::SetSlots(None)]));
        assert_eq!(commands(&set("n_jobs", "40"), None), Ok(vec![Command::SetJobs(40)]));
    }
}
