//! Decides who may change what: a search's owner and group, and the daemon's masters.

use super::app::off_thread;
use super::peer::Peer;
use super::refusal::Refused;
use crate::store::records::layout::LaunchDir;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Refuses users who are not masters.
pub fn master_only(peer: &Peer) -> Result<(), Refused> {
    if peer.is_master() {
        return Ok(());
    }
    Err(Refused::forbidden("only root and the daemon's own user may change the daemon as a whole"))
}

/// Whether the peer may change the search. The directory's file system may hang.
pub async fn may_change_there(peer: &Peer, launch: &LaunchDir) -> Result<(), Refused> {
    let (peer, launch) = (peer.clone(), launch.path().to_path_buf());
    off_thread(move || may_change(&peer, &launch)).await?.map_err(Refused::forbidden)
}

/// The search's owner, members of its group, and masters may change it. Everybody who reaches the socket may look.
fn may_change(peer: &Peer, launch: &Path) -> Result<(), String> {
    let directory = std::fs::metadata(launch).map_err(|e| format!("{}: {e}", launch.display()))?;
    if peer.is_master() || peer.uid == Some(directory.uid()) || peer.groups.contains(&directory.gid()) {
        return Ok(());
    }
    Err(format!(
        "only its owner (user {}), its group ({}) and root may change {}",
        directory.uid(),
        directory.gid(),
        launch.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn a_stranger_may_not_change_a_search_and_its_owner_and_group_may() {
        let dir = tempdir();
        let owner = std::fs::metadata(dir.path()).expect("looked").uid();
        let group = std::fs::metadata(dir.path()).expect("looked").gid();
        let peer = |uid, groups: &[u32]| Peer { uid: Some(uid), groups: groups.into() };
        let other = u32::MAX - 1;
        assert_eq!(may_change(&peer(owner, &[other]), dir.path()), Ok(()));
        assert_eq!(may_change(&peer(0, &[other]), dir.path()), Ok(()));
        assert_eq!(may_change(&peer(other, &[group]), dir.path()), Ok(()));
        assert_eq!(may_change(&peer(other, &[other, other - 1, group]), dir.path()), Ok(()), "not the primary group alone");
        assert!(may_change(&peer(other, &[other]), dir.path()).is_err());
        assert!(may_change(&Peer::unknown(), dir.path()).is_err());
    }
}
