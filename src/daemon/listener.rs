//! The control socket: made so that only its group can reach it, taken over from a dead daemon and never from a live one.

use crate::control::client::{Client, ClientError};
use crate::control::types::Pong;
use crate::store::lock::{self, Lock, Locking};
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
use tokio::time::Sleep;

/// Connections at once; more wait in the kernel's queue.
const MOST: usize = 64;

/// No connection lives longer, so that none can keep its place by saying nothing.
const LONGEST: Duration = Duration::from_secs(60);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// None where the kernel did not say.
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// The socket, and the lock beside it that says who listens.
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
    let fail = |e: &dyn std::fmt::Display| format!("cannot listen at {}: {e}", path.display());
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        std::fs::create_dir_all(directory).map_err(|e| fail(&e))?;
    }
    let lock_path = path.with_file_name(format!(".{}.lock", path.file_name().unwrap_or_default().to_string_lossy()));
    let lock = match lock::take(&lock_path, holder).map_err(|e| fail(&e))? {
        Locking::Held(lock) => lock,
        Locking::Busy { holder } => return Err(fail(&format!("another daemon does already: {}", holder.trim()))),
    };
    // Nobody holds the lock, so what is left is a dead daemon's; only a daemon of another kind could still answer.
    match Client::new(path).get::<Pong>("/v1/ping", &[]) {
        Err(ClientError::NoDaemon { .. }) => {}
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
        // A socket that stays is a dead daemon's, and the next one replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Accepts connections, no more than `MOST` at once and each for `LONGEST` at most.
pub struct Doorman {
    listener: UnixListener,
    places: Arc<Semaphore>,
}

impl Doorman {
    /// On the runtime of the calling thread.
    pub fn new(socket: &Socket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        Ok(Doorman { listener, places: Arc::new(Semaphore::new(MOST)) })
    }
}

impl Listener for Doorman {
    type Io = Guest;
    type Addr = Peer;

    async fn accept(&mut self) -> (Guest, Peer) {
        loop {
            let place = self.places.clone().acquire_owned().await;
            match (place, self.listener.accept().await) {
                (Ok(place), Ok((stream, _))) => {
                    let credentials = stream.peer_cred().ok();
                    let peer = Peer { uid: credentials.map(|c| c.uid()), gid: credentials.map(|c| c.gid()) };
                    return (Guest { stream, _place: place, leaves: Box::pin(tokio::time::sleep(LONGEST)) }, peer);
                }
                (_, Err(e)) => {
                    tracing::warn!(error = e.to_string(), "a connection was not accepted");
                    // Out of descriptors, most likely: some are given back in a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // The semaphore is never closed.
                (Err(_), _) => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { uid: None, gid: None })
    }
}

impl Connected<IncomingStream<'_, Doorman>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doorman>) -> Self {
        *stream.remote_addr()
    }
}

/// A connection with its place and the time at which it ends.
pub struct Guest {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
    leaves: Pin<Box<Sleep>>,
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.leaves.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.leaves.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
