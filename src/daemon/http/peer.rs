//! The user behind a connection, from the kernel's peer credentials.

use crate::store::fs::rights::Rights;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use tokio::net::UnixStream;

/// The kernel allows no more groups to a process.
const MOST_GROUPS: usize = 1 << 16;

/// The user and groups of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `None` if the kernel did not say.
    pub uid: Option<u32>,
    /// The primary group first, then every other group of the process when it connected.
    pub groups: Arc<[u32]>,
}

impl Peer {
    /// An unknown user, who may look but not change anything.
    pub fn unknown() -> Self {
        Peer { uid: None, groups: Arc::from([]) }
    }

    /// Whether this is root or the user that the daemon runs as.
    pub fn is_master(&self) -> bool {
        self.uid.is_some_and(|uid| uid == 0 || uid == rustix::process::geteuid().as_raw())
    }

    /// What it may look at. `None` if nobody knows who it is.
    pub fn rights(&self) -> Option<Rights> {
        self.uid.map(|uid| Rights::of_process(uid, &self.groups))
    }

    /// The process at the other end.
    pub fn of(stream: &UnixStream) -> Self {
        let Ok(credentials) = stream.peer_cred() else { return Peer::unknown() };
        let mut groups = vec![credentials.gid()];
        match supplementary(stream.as_fd()) {
            Ok(more) => groups.extend(more),
            // Kernels before 4.13 do not tell. Then only the primary group counts.
            Err(e) => tracing::debug!(error = e.to_string(), "the groups of a connection are not known"),
        }
        Peer { uid: Some(credentials.uid()), groups: groups.into() }
    }
}

/// The supplementary groups of the process at the other end.
fn supplementary(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 32];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: pointer and length belong to one live buffer, and the kernel writes at most that many bytes.
        let answer = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let found = length as usize / size_of::<libc::gid_t>();
        if answer == 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || found <= groups.len() || found > MOST_GROUPS {
            return Err(error);
        }
        groups.resize(found, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream as Stream;

    #[test]
    fn the_groups_of_the_other_end_are_those_of_its_process() {
        let (here, _there) = Stream::pair().expect("a pair");
        let mut groups = supplementary(here.as_fd()).expect("asked");
        groups.sort_unstable();
        let mut own: Vec<u32> = rustix::process::getgroups().expect("asked").iter().map(|group| group.as_raw()).collect();
        own.sort_unstable();
        assert_eq!(groups, own);
    }
}
