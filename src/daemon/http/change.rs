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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::devices::Devices;
    use crate::daemon::watcher::Watcher;
    use crate::testing::services;
    use actix::{AsyncContext, Context};
    use axum::http::StatusCode;
    use std::collections::BTreeSet;

    #[actix::test]
    async fn a_stranger_is_refused_what_changes_the_daemon_before_anything_is_asked_or_done() {
        // These actors are gone. Whoever asks them is told that the daemon is too busy.
        let (watcher, devices) = (Context::<Watcher>::new().address(), Context::<Devices>::new().address());
        let app = App { services: services(), watcher, devices };
        let of_a_search = r#"{"target": "/data/first"}"#;
        let cases = [
            ("pause", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("cancel", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("retry", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("set", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("enqueue", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("resume", of_a_search, StatusCode::SERVICE_UNAVAILABLE),
            ("resume", "{}", StatusCode::FORBIDDEN),
            ("drain", "{}", StatusCode::FORBIDDEN),
            ("drain", r#"{"device": "cpu"}"#, StatusCode::FORBIDDEN),
            ("restore", r#"{"device": "cpu"}"#, StatusCode::FORBIDDEN),
            ("add", r#"{"target": "/"}"#, StatusCode::FORBIDDEN),
            ("remove", r#"{"target": "/"}"#, StatusCode::FORBIDDEN),
            ("reload", "{}", StatusCode::FORBIDDEN),
            ("shutdown", r#"{"stop_trainers": true}"#, StatusCode::FORBIDDEN),
        ];
        for (verb, body, status) in cases {
            let request = Request::parse(verb, body.as_bytes()).expect(verb);
            let Refused(refused, said) = handle(&app, &Peer::unknown(), &request).await.expect_err(verb);
            assert_eq!(refused, status, "{verb} {body}: {said}");
        }
        let known: BTreeSet<&str> = Request::VERBS.iter().map(|(verb, _)| *verb).collect();
        assert_eq!(known, cases.map(|(verb, ..)| verb).into(), "every verb is here");
    }
}
