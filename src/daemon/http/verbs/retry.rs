//! `retry`: runs a failed job again, or the failed jobs of a search.

use super::command;
use crate::control::request::Retry;
use crate::daemon::http::app::App;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::target;
use crate::domain::job::{FailureClass, JobName};
use crate::engine::command::Command;

pub async fn handle(app: &App, peer: &Peer, request: &Retry) -> Result<Vec<String>, Refused> {
    let (target, job) = target::meant(app, peer, request.subject()).await?;
    let command = command(request, job).map_err(Refused::bad)?;
    command::give(peer, &target, vec![command]).await
}

fn command(request: &Retry, job: Option<JobName>) -> Result<Command, String> {
    match job {
        Some(job) if request.failed || request.class.is_some() => {
            Err(format!("failed and class choose among a search's jobs; leave them out to try {job} again"))
        }
        Some(job) => Ok(Command::RetryJob(job)),
        None => Ok(Command::RetryFailed(request.class.as_deref().map(class).transpose()?)),
    }
}

fn class(word: &str) -> Result<FailureClass, String> {
    serde_json::from_value(serde_json::Value::String(word.to_string())).map_err(|_| {
        let classes: Vec<&str> = FailureClass::ALL.iter().map(|class| class.as_str()).collect();
        format!("{word:?} is not a class of failure; there are {}", classes.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_of_one_job_or_of_a_searchs_failures() {
        let job = || JobName::numbered("job", 3).ok();
        let retry = |failed, class: Option<&str>| Retry { failed, class: class.map(str::to_string), ..Retry::default() };
        assert_eq!(command(&retry(false, None), job()), Ok(Command::RetryJob(job().expect("a name"))));
        assert_eq!(command(&retry(true, None), None), Ok(Command::RetryFailed(None)));
        assert_eq!(command(&retry(false, Some("killed")), None), Ok(Command::RetryFailed(Some(FailureClass::Killed))));
        for (request, job, word) in [
            (retry(false, Some("sad")), None, "class of failure; there are"),
            (retry(false, Some("killed")), job(), "job-3"),
            (retry(true, None), job(), "job-3"),
        ] {
            let said = command(&request, job).expect_err(word);
            assert!(said.contains(word), "{said}");
        }
    }
}
