//! `pause`: keeps a search from starting jobs, or stops a job and keeps its last epoch.

use super::command;
use crate::control::request::Pause;
use crate::daemon::http::app::App;
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::target;
use crate::engine::command::Command;

pub async fn handle(app: &App, peer: &Peer, request: &Pause) -> Result<Vec<String>, Refused> {
    let (target, job) = target::meant(app, peer, request.subject()).await?;
    command::give(peer, &target, vec![job.map_or(Command::PauseSearch, Command::PauseJob)]).await
}
