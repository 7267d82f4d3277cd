//! Carries out a change requested over the control socket, and logs it.

use super::app::App;
use super::extract::ChangeRequest;
use super::peer::Peer;
use super::refusal::Refused;
use super::verbs::{add, cancel, drain, enqueue, pause, reload, remove, restore, resume, retry, set, shutdown};
use crate::control::reply::{Changed, VERSION};
use crate::control::request::Request;
use axum::Json;
use axum::extract::{ConnectInfo, State};

/// `POST /v1/{verb}` with a [`Request`].
pub async fn change(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    ChangeRequest(request): ChangeRequest,
) -> Result<Json<Changed>, Refused> {
    let done = handle(&app, &peer, &request).await?;
    tracing::info!(verb = request.verb(), uid = peer.uid, order = ?request.in_words(), "changed");
    Ok(Json(Changed { version: VERSION, done }))
}

/// Answers with one sentence for each thing done.
async fn handle(app: &App, peer: &Peer, request: &Request) -> Result<Vec<String>, Refused> {
    match request {
        Request::Pause(request) => pause::handle(app, peer, request).await,
        Request::Resume(request) => resume::handle(app, peer, request).await,
        Request::Cancel(request) => cancel::handle(app, peer, request).await,
        Request::Retry(request) => retry::handle(app, peer, request).await,
        Request::Set(request) => set::handle(app, peer, request).await,
        Request::Enqueue(request) => enqueue::handle(app, peer, request).await,
        Request::Drain(request) => drain::handle(app, peer, request).await,
        Request::Restore(request) => restore::handle(app, peer, request).await,
        Request::Add(request) => add::handle(app, peer, request).await,
        Request::Remove(request) => remove::handle(app, peer, request).await,
        Request::Reload(_) => reload::handle(app, peer).await,
        Request::Shutdown(request) => shutdown::handle(app, peer, request),
    }
}
