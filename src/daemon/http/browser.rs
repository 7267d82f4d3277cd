//! Keeps pages in a browser away from the daemon: what a request must look like, and what each answer tells the browser.
//!
//! A tunnel (`ssh -L`) or a proxy brings every page that its user visits to the socket, with the rights of that user. So the
//! rules allow what is known to be good. They hold for each path and method, and no handler can leave them out.

use super::refusal::Refused;
use crate::domain::text::quote::quoted;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The names of this machine, by which anybody may ask. In a browser they lead to no other machine.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What every answer tells a browser: take it for what it says it is, show it to no other origin, keep nothing.
pub const ON_EVERY_ANSWER: [(&str, &str); 4] = [
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Names by which the daemon may be asked for, besides those of this machine. In lower case.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    pub fn new(names: &[String]) -> Self {
        AllowedHosts(names.into())
    }

    /// Whether the daemon may be asked for by `authority`: a name, and a port or none.
    fn allows(&self, authority: &str) -> bool {
        let Some(name) = without_port(authority) else { return false };
        OWN_NAMES.iter().any(|own| name.eq_ignore_ascii_case(own)) || self.0.iter().any(|other| name.eq_ignore_ascii_case(other))
    }
}

/// Answers only requests that no page of another origin can have sent, and tells the browser to keep each answer from others.
pub async fn guard(State(allowed): State<AllowedHosts>, request: Request, next: Next) -> Response {
    let mut answer = match judge(&allowed, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    for (name, value) in ON_EVERY_ANSWER {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

fn judge(allowed: &AllowedHosts, request: &Request) -> Result<(), Refused> {
    let host = host(request.headers())?;
    // A whole address in the first line comes before Host. Both must be good.
    let address = request.uri().authority().map(|authority| authority.as_str());
    if let Some(foreign) = address.into_iter().chain([&*host]).find(|name| !allowed.allows(name)) {
        return Err(Refused::forbidden(format!(
            "the request asks for {}, which is no name of this machine; ask for localhost, or add the name to allowed_hosts in \
             the daemon's configuration",
            quoted(foreign)
        )));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) { Ok(()) } else { judge_change(request.headers()) }
}

/// The one `Host` of a request.
fn host(headers: &HeaderMap) -> Result<String, Refused> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Ok(String::from_utf8_lossy(host.as_bytes()).into_owned()),
        (Some(_), Some(_)) => Err(Refused::bad("the request has more than one Host header; send one, as `Host: localhost`")),
        (None, _) => Err(Refused::bad("the request has no Host header; send one, as `Host: localhost`")),
    }
}

/// Whatever is not a mere look: never from a page, and with a body that no page can send unasked.
fn judge_change(headers: &HeaderMap) -> Result<(), Refused> {
    let by_browser = |name: &&HeaderName| **name == ORIGIN || name.as_str().starts_with("sec-fetch-");
    if let Some(name) = headers.keys().find(by_browser) {
        return Err(Refused::forbidden(format!(
            "the request has the header {}, as one of a page in a browser has; a page may look and change nothing, the command \
             line and programs without that header may",
            quoted(name.as_str())
        )));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = |value: &HeaderValue| {
        let kind = value.to_str().ok().and_then(|text| text.split(';').next());
        kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    };
    match (types.next().is_some_and(is_json), types.next()) {
        (true, None) => Ok(()),
        _ => Err(Refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body of a change is JSON and must say so: send the header `Content-Type: application/json`, as `curl --json` does"
                .to_string(),
        )),
    }
}

/// The name in `NAME` or `NAME:PORT`. None if the rest is no port.
fn without_port(authority: &str) -> Option<&str> {
    // The colons of an IPv6 address are within its brackets.
    let end_of_name = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let colon = authority[end_of_name..].find(':').map(|at| end_of_name + at);
    let (name, port) = colon.map_or((authority, ""), |at| (&authority[..at], &authority[at + 1..]));
    (port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_this_machine_and_those_of_the_configuration_are_allowed_with_any_port() {
        let allowed = AllowedHosts::new(&["lab.example".to_string(), "[2001:db8::1]".to_string()]);
        let good =
            ["localhost", "LOCALHOST", "localhost:8899", "localhost:", "127.0.0.1:1", "[::1]", "[::1]:8899", "Lab.Example:443"];
        for host in good.into_iter().chain(["[2001:db8::1]:80"]) {
            assert!(allowed.allows(host), "{host}");
        }
        let bad = [
            "",
            ":80",
            "evil.example",
            "evil.example:8899",
            "localhost.evil.example",
            "localhost.",
            "evil.localhost",
            "xlocalhost",
            "localhost:x",
            "localhost:+80",
            "localhost:123456",
            "localhost:80:80",
            "localhost@evil.example",
            "evil@localhost",
            "localhost evil",
            " localhost",
            "localhost,evil.example",
            "127.0.0.2",
            "127.1",
            "0.0.0.0",
            "2130706433",
            "::1",
            "[::1",
            "[::1]x",
            "x[::1]",
            "[::]",
            "[::1]]",
            "[::ffff:127.0.0.1]",
            "other.lab.example",
            "lab.example.",
            "neurosearchd",
        ];
        for host in bad {
            assert!(!allowed.allows(host), "{host}");
        }
    }
}
