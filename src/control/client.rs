//! Asks the daemon over its Unix socket: HTTP/1 and JSON, one request a connection.

use super::reply::{Changed, Refusal};
use super::request;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// Largest reply, in bytes. 100,000 jobs fit.
const LARGEST_REPLY: usize = 256 << 20;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no daemon answers at {} ({source}); start neurosearchd, or name its socket by --socket or NEUROSEARCH_SOCKET", socket.display())]
    NoDaemon { socket: PathBuf, source: io::Error },
    #[error("this user may not use the socket {} ({source}); its owner and its group may, and `ls -l` shows which", socket.display())]
    NotAllowed { socket: PathBuf, source: io::Error },
    #[error("the daemon at {} did not answer within {} s", socket.display(), PATIENCE.as_secs())]
    TooSlow { socket: PathBuf },
    /// The daemon answered and refused. The sentence is the daemon's.
    #[error("{0}")]
    Refused(String),
    #[error("the answer from {} is not understood ({why}); are both programs of the same version?", socket.display())]
    Garbled { socket: PathBuf, why: String },
}

/// One daemon, identified by its socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Client { socket: socket.into() }
    }

    /// The reply to `GET path`. This function percent-encodes `query`.
    ///
    /// # Errors
    /// If nobody answers in time, the daemon refuses, or this version does not know the reply.
    pub fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, ClientError> {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let target = if query.is_empty() { path.to_string() } else { format!("{path}?{}", query.join("&")) };
        self.ask(Method::GET, &target, Bytes::new())
    }

    /// What a requested change did.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn change(&self, request: &request::Request) -> Result<Changed, ClientError> {
        self.post(&format!("/v1/{}", request.verb()), request)
    }

    /// The reply to `POST path` with `body`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|e| self.garbled(&e))?;
        self.ask(Method::POST, path, body.into())
    }

    fn ask<T: DeserializeOwned>(&self, method: Method, target: &str, body: Bytes) -> Result<T, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| ClientError::NoDaemon { socket: self.socket.clone(), source })?;
        let exchange = async { tokio::time::timeout(PATIENCE, exchange(&self.socket, method, target, body)).await };
        let (status, reply) = match runtime.block_on(exchange) {
            Ok(Ok(answer)) => answer,
            Ok(Err(ExchangeError::Connect(source))) => return Err(self.unreached(source)),
            Ok(Err(ExchangeError::Http(why))) => return Err(ClientError::Garbled { socket: self.socket.clone(), why }),
            Err(_) => return Err(ClientError::TooSlow { socket: self.socket.clone() }),
        };
        if status.is_success() {
            return serde_json::from_slice(&reply).map_err(|e| self.garbled(&e));
        }
        let refusal = serde_json::from_slice::<Refusal>(&reply).map(|refusal| refusal.error);
        Err(ClientError::Refused(refusal.unwrap_or_else(|_| format!("the daemon answers {status}"))))
    }

    fn unreached(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotAllowed { socket, source },
            _ => ClientError::NoDaemon { socket, source },
        }
    }

    fn garbled(&self, error: &serde_json::Error) -> ClientError {
        ClientError::Garbled { socket: self.socket.clone(), why: error.to_string() }
    }
}

enum ExchangeError {
    Connect(io::Error),
    Http(String),
}

async fn exchange(socket: &Path, method: Method, target: &str, body: Bytes) -> Result<(StatusCode, Bytes), ExchangeError> {
    let http = |e: &dyn std::fmt::Display| ExchangeError::Http(e.to_string());
    let stream = UnixStream::connect(socket).await.map_err(ExchangeError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| http(&e))?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(hyper::header::HOST, "localhost")
        .header(hyper::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|e| http(&e))?;
    let response = sender.send_request(request).await.map_err(|e| http(&e))?;
    let status = response.status();
    let reply = Limited::new(response.into_body(), LARGEST_REPLY).collect().await.map_err(|e| http(&e))?.to_bytes();
    // The reply is complete. What the connection still does does not matter.
    driver.abort();
    Ok((status, reply))
}

/// All characters except `/` and those that RFC 3986 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The text, encoded for a query.
fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn a_path_with_anything_in_it_stands_in_a_query() {
        assert_eq!(encode("/data/my search/é&a=b.c-d_e~").to_string(), "/data/my%20search/%C3%A9%26a%3Db.c-d_e~");
    }

    #[test]
    fn where_nobody_listens_the_error_names_the_socket_and_the_cure() {
        let dir = tempdir();
        let client = Client::new(dir.path().join("absent.sock"));
        let error = client.get::<serde_json::Value>("/v1/ping", &[]).expect_err("refused").to_string();
        assert!(error.contains("absent.sock") && error.contains("--socket"), "{error}");
    }

    #[test]
    fn a_socket_closed_to_the_user_is_not_taken_for_an_absent_daemon() {
        let error = Client::new("/run/d.sock").unreached(io::ErrorKind::PermissionDenied.into());
        assert!(matches!(error, ClientError::NotAllowed { .. }), "{error:?}");
        let sentence = error.to_string();
        assert!(sentence.contains("/run/d.sock") && sentence.contains("its group") && !sentence.contains("start"), "{sentence}");
    }
}
