//! `resume`: continues a search or a job, or without a target the whole machine.

use super::command;
use crate::control::request::Resume;
use crate::daemon::devices::DrainAll;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;
use crate::daemon::http::target;
use crate::engine::command::Command;

pub async fn handle(app: &App, peer: &Peer, request: &Resume) -> Result<Vec<String>, Refused> {
    if *request == Resume::default() {
        return machine(app, peer).await;
    }
    let (target, job) = target::meant(app, peer, request.subject()).await?;
    command::give(peer, &target, vec![job.map_or(Command::ResumeSearch, Command::ResumeJob)]).await
}

/// Undoes `drain` without a device.
async fn machine(app: &App, peer: &Peer) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    ask(&app.devices, DrainAll(false)).await?;
    Ok(vec!["new jobs are started again".to_string()])
}
