//! `restore`: puts a drained device back into use.

use crate::control::request::Restore;
use crate::daemon::devices::DrainDevice;
use crate::daemon::http::app::{App, ask};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;

pub async fn handle(app: &App, peer: &Peer, request: &Restore) -> Result<Vec<String>, Refused> {
    master_only(peer)?;
    let missing = || Refused::bad("device is missing: `cpu`, a GPU's number, or the beginning of its UUID or model");
    drained(app, request.device.as_deref().ok_or_else(missing)?, false).await
}

/// Drains or restores the device that the text names.
pub async fn drained(app: &App, device: &str, drain: bool) -> Result<Vec<String>, Refused> {
    let done = ask(&app.devices, DrainDevice { device: device.to_string(), drain }).await?.map_err(Refused::not_found)?;
    Ok(vec![done])
}
