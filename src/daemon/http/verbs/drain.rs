//! `drain`: starts nothing new on a device, or on the whole machine.

use super::restore;
use crate::control::request;
use crate::daemon::devices::DrainAll;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;

pub async fn handle(app: &App, peer: &Peer, request: &request::Drain) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    if let Some(device) = &request.device {
        return restore::drained(app, device, true).await;
    }
    ask(&app.devices, DrainAll(true)).await?;
    Ok(vec!["nothing new is started, running jobs go on; `neurosearch resume` ends that".to_string()])
}
