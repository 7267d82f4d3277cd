//! Creates the control socket so that only its group can reach it. Replaces a dead daemon's socket, never a live one's.

use super::connection_quota::{ConnectionQuota, ConnectionSlot};
use super::peer::Peer;
use crate::control::client::{Client, ClientError};
use crate::control::reply::Pong;
use crate::store::fs::lock::{self, Lock, Locking};
use crate::store::fs::owned_path::Below;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::fs::Mode;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// Most connections at once. Further ones wait in the kernel's queue.
const MOST: usize = 64;

/// Most connections of one user. A further one is refused at once, except for root and the daemon's own user.
const MOST_EACH: usize = 32;

/// Longest life of a connection, so that none can keep its place by sending little.
const LONGEST: Duration = Duration::from_secs(60);

/// Longest silence of both sides on a connection. The longest answer, a ranking, takes a few seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// The answer to a user who has used up the quota.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 96\r\n\
    connection: close\r\n\r\n{\"version\": 1, \"error\": \"you have too many connections open at once; close some, and ask again\"}";

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

/// Accepts at most `MOST` connections at once, `MOST_EACH` of one user, and each for at most `LONGEST`.
pub struct LimitedListener {
    listener: UnixListener,
    places: Arc<Semaphore>,
    quota: ConnectionQuota,
}

impl LimitedListener {
    /// Runs on the runtime of the calling thread.
    pub fn new(socket: &Socket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        Ok(LimitedListener { listener, places: Arc::new(Semaphore::new(MOST)), quota: ConnectionQuota::new(MOST_EACH) })
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            let place = self.places.clone().acquire_owned().await;
            match (place, self.listener.accept().await) {
                (Ok(place), Ok((stream, _))) => {
                    let peer = Peer::of(&stream);
                    let slot = self.quota.take(peer.uid);
                    if slot.is_none() && !peer.is_master() {
                        // Sent if it can be sent at once. Closing the connection says the same.
                        let _ = stream.try_write(FULL);
                        continue;
                    }
                    return (Connection::new(stream, place, slot), peer);
                }
                (_, Err(e)) => {
                    tracing::warn!(error = e.to_string(), "a connection was not accepted");
                    // Most likely out of descriptors. Some are freed in a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // The semaphore is never closed.
                (Err(_), _) => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer::unknown())
    }
}

impl Connected<IncomingStream<'_, LimitedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, LimitedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection with its place and its time limits.
pub struct Connection {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
    /// `None` for a user without a quota.
    _slot: Option<ConnectionSlot>,
    leaves: Pin<Box<Sleep>>,
    silent: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(stream: UnixStream, place: OwnedSemaphorePermit, slot: Option<ConnectionSlot>) -> Self {
        let [leaves, silent] = [LONGEST, SILENCE].map(|time| Box::pin(tokio::time::sleep(time)));
        Connection { stream, _place: place, _slot: slot, leaves, silent }
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

    #[actix::test]
    async fn one_user_leaves_half_of_the_connections_to_others() {
        let dir = tempdir();
        let path = dir.path().join("d.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        listener.set_nonblocking(true).expect("set");
        let lock = Below::given(dir.path()).join("lock");
        let Ok(Locking::Held(lock)) = lock::take(&lock, "{}") else { panic!("not locked") };
        let limited = LimitedListener::new(&Socket { listener, path, _lock: lock }).expect("listens");
        let taken: Vec<ConnectionSlot> = (0..MOST).map_while(|_| limited.quota.take(Some(7))).collect();
        assert_eq!((taken.len(), limited.places.available_permits()), (32, 64));
    }
}
