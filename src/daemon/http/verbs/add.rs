//! `add`: watches one more directory until the daemon ends.

use crate::control::request::Add;
use crate::daemon::http::app::{App, ask, off_thread};
use crate::daemon::http::peer::Peer;
use crate::daemon::http::refusal::Refused;
use crate::daemon::http::rights::master_only;
use crate::daemon::http::target::{path, same};
use crate::daemon::permissions::how_to_write;
use crate::daemon::watcher::{AddRoot, ListSearches};

pub async fn handle(app: &App, peer: &Peer, request: &Add) -> Result<Vec<String>, Refused> {
    let directory = path(request.subject())?.to_path_buf();
    master_only(peer)?;
    let looked = directory.clone();
    if !off_thread(move || looked.is_dir()).await? {
        return Err(Refused::not_found(format!("{} is not a directory that the daemon can see", directory.display())));
    }
    let known = ask(&app.watcher, ListSearches).await?.roots;
    let directory = same(known, peer, &directory).await?.unwrap_or(directory);
    let new = ask(&app.watcher, AddRoot(directory.clone())).await?;
    let now = if new { "is watched now" } else { "was watched already" };
    let mut done = vec![format!("{} {now}", directory.display())];
    done.push(format!("to keep it after a restart, add {directory:?} to watch in the configuration"));
    done.extend(off_thread(move || how_to_write(&directory)).await?);
    Ok(done)
}
