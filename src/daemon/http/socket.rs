//! Creates the control socket so that only its group can reach it. Replaces a dead daemon's socket, never a live one's.

use super::browser::ON_EVERY_ANSWER;
use super::connection_quota::{ConnectionQuota, ConnectionSlot, Full};
use super::peer::Peer;
use crate::control::client::{Client, ClientError};
use crate::control::reply::{Pong, Refusal, VERSION};
use crate::store::fs::lock::{self, Lock, Locking};
use crate::store::fs::owned_path::Below;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::fs::Mode;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, Sleep};

/// Longest life of a connection, so that none can keep its place by sending little.
const LONGEST: Duration = Duration::from_secs(60);

/// Longest silence of both sides on a connection. The longest answer, a ranking, takes a few seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// The socket, and the lock beside it that names the listener.
#[derive(Debug)]
pub struct Socket {
    pub listener: std::os::unix::net::UnixListener,
    path: PathBuf,
    _lock: Lock,
}

/// Binds the socket, before any thread is started: it changes the process's umask for a moment.
///
/// # Errors
/// Says who listens there already, or what the system refused.
pub fn bind(path: &Path, holder: &str) -> Result<Socket, String> {
    let cure =
        "--socket names another place, and where it is not given NEUROSEARCH_SOCKET, and else `socket` in the configuration";
    let fail = |e: &dyn std::fmt::Display| format!("cannot listen at {}: {e}; {cure}", path.display());
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        std::fs::create_dir_all(directory).map_err(|e| fail(&e))?;
    }
    let lock_name = format!(".{}.lock", path.file_name().unwrap_or_default().to_string_lossy());
    let lock_path = Below::given(path.parent().unwrap_or(Path::new("."))).join(lock_name);
    let lock = match lock::take(&lock_path, holder).map_err(|e| fail(&e))? {
        Locking::Held(lock) => lock,
        Locking::Busy { holder } => return Err(fail(&format!("another daemon does already: {}", lock::who(&holder)))),
    };
    // Nobody holds the lock, so the socket belongs to a dead daemon. Only a different kind of daemon could still answer.
    match Client::new(path).get::<Pong>("/v1/ping", &[]) {
        Err(ClientError::NoDaemon { .. } | ClientError::NotAllowed { .. }) => {}
        Ok(pong) => {
            return Err(fail(&format!("a live daemon does already, process {} on {:?}", pong.daemon.pid, pong.daemon.host)));
        }
        Err(e) => return Err(fail(&format!("something else listens there ({e})"))),
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fail(&e)),
        _ => {}
    }
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    let bound = std::os::unix::net::UnixListener::bind(path);
    rustix::process::umask(umask);
    let listener = bound.map_err(|e| fail(&e))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(path, mode).map_err(|e| fail(&e))?;
    listener.set_nonblocking(true).map_err(|e| fail(&e))?;
    Ok(Socket { listener, path: path.to_path_buf(), _lock: lock })
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If the file stays, it is a dead daemon's socket, and the next daemon replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Accepts as many connections as the quota allows, refuses all others at once, and ends each after at most `LONGEST`.
pub struct LimitedListener {
    listener: UnixListener,
    quota: ConnectionQuota,
}

impl LimitedListener {
    /// Runs on the runtime of the calling thread.
    pub fn new(socket: &Socket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        Ok(LimitedListener { listener, quota: ConnectionQuota::default() })
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            // Whoever is at the other end is known only now. So a connection is never left waiting for a place.
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let peer = Peer::of(&stream);
                    match self.quota.take(&peer) {
                        Ok(slot) => return (Connection::new(stream, slot), peer),
                        Err(full) => turn_away(&stream, full),
                    }
                }
                Err(e) => {
                    tracing::warn!(error = e.to_string(), "a connection was not accepted");
                    // Most likely out of descriptors. Some are freed in a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::unknown())
    }
}

/// Tells a client why it has no place. The answer is sent only if that needs no waiting; that the connection ends says the same.
fn turn_away(stream: &UnixStream, full: Full) {
    let sentence = match full {
        Full::User => "you have too many connections open at once; close some, and ask again",
        Full::Everybody => "other users have too many connections open at once; ask again",
    };
    let body = serde_json::json!(Refusal { version: VERSION, error: sentence.to_string() }).to_string();
    let length = body.len().to_string();
    let headers = [("content-type", "application/json"), ("content-length", &*length), ("connection", "close")];
    let mut answer = "HTTP/1.1 503 Service Unavailable\r\n".to_string();
    for (name, value) in headers.into_iter().chain(ON_EVERY_ANSWER) {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str(&format!("\r\n{body}"));
    let _ = stream.try_write(answer.as_bytes());
}

impl Connected<IncomingStream<'_, LimitedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection with its place and its time limits.
pub struct Connection {
    stream: UnixStream,
    _slot: ConnectionSlot,
    leaves: Pin<Box<Sleep>>,
    silent: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: UnixStream, slot: ConnectionSlot) -> Self {
        let [leaves, silent] = [LONGEST, SILENCE].map(|time| Box::pin(tokio::time::sleep(time)));
        Connection { stream, _slot: slot, leaves, silent }
    }

    /// Returns an error once the connection's time is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.leaves.as_mut().poll(cx).is_ready() || self.silent.as_mut().poll(cx).is_ready() {
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        Poll::Pending
    }

    /// Restarts the silence limit after any traffic.
    fn heard(&mut self) {
        self.silent.as_mut().reset(Instant::now() + SILENCE);
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(e) = self.poll_time(cx) {
            return Poll::Ready(Err(e));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.heard();
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(e) = self.poll_time(cx) {
            return Poll::Ready(Err(e));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.heard();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use tokio::io::AsyncReadExt;

    #[test]
    fn who_holds_every_place_of_his_own_is_turned_away_until_he_gives_one_back() {
        let dir = tempdir();
        let path = dir.path().join("d.sock");
        let socket = bind(&path, "{}").expect("bound");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("built");
        runtime.block_on(async {
            let mut limited = LimitedListener::new(&socket).expect("listens");
            let mut held = Vec::new();
            for _ in 0..64 {
                let client = UnixStream::connect(&path).await.expect("connected");
                held.push((client, limited.accept().await));
            }
            let mut client = UnixStream::connect(&path).await.expect("connected");
            let mut said = String::new();
            tokio::select! {
                ended = client.read_to_string(&mut said) => ended.expect("ended"),
                _ = limited.accept() => panic!("accepted, with 64 connections open"),
            };
            assert!(said.starts_with("HTTP/1.1 503") && said.contains("close some, and ask again"), "{said:?}");
            assert!(said.contains("nosniff"), "{said:?}");
            held.pop();
            let _client = UnixStream::connect(&path).await.expect("connected");
            limited.accept().await;
        });
    }
}
