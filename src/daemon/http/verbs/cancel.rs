//! `cancel`: gives up a job, or every unfinished job of a search.

use super::command;
use crate::control::request::Cancel;
use crate::daemon::http::app::App;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::target;
use crate::engine::command::Command;

pub async fn handle(app: &App, peer: &Peer, request: &Cancel) -> Result<Vec<String>, Refused> {
    let (target, job) = target::meant(app, peer, request.subject()).await?;
    command::give(peer, &target, vec![job.map_or(Command::CancelSearch, Command::CancelJob)]).await
}
