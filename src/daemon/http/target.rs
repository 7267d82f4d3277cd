//! Which search, job or watched directory a path in a request means: by its text, else by being the same directory.

use super::router::{Desk, Refused, ask, split};
use crate::daemon::sampler::Sampler;
use crate::daemon::watcher::{List, Searches};
use crate::domain::job::JobName;
use crate::store::records::layout::LaunchDir;
use actix::Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a file system may take to answer; one that hangs must not hold up anybody but the one who asks.
const PATIENCE: Duration = Duration::from_secs(5);

/// A search, under the path that the daemon knows it by.
pub struct Place {
    pub launch: LaunchDir,
    pub sampler: Addr<Sampler>,
}

/// Does work on the file system off the actors' thread.
///
/// # Errors
/// When it takes too long.
pub async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    match timeout(PATIENCE, spawn_blocking(work)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) => Err(Refused::busy(format!("the daemon is ending: {e}"))),
        Err(_) => Err(Refused::busy(format!("the file system has not answered for {} s; ask again", PATIENCE.as_secs()))),
    }
}

/// The search in a launch directory.
///
/// # Errors
/// When the daemon knows none there.
pub async fn search(desk: &Desk, path: &Path) -> Result<Place, Refused> {
    known(desk, path).await?.ok_or_else(|| {
        Refused::not_found(format!(
            "{} is not a launch directory that the daemon knows; it is one once it holds a random_search.json and lies in, \
             or is, a watched directory",
            path.display()
        ))
    })
}

/// The search and the job's name that the path of a job's folder means.
///
/// # Errors
/// When the folder is in no launch directory that the daemon knows.
pub async fn job(desk: &Desk, path: &Path) -> Result<(Place, JobName), Refused> {
    let (launch, name) = split(path)?;
    if let Some(place) = known(desk, launch).await? {
        return Ok((place, name));
    }
    Err(match known(desk, path).await? {
        Some(_) => Refused::not_found(format!("{0} is a search; name one of its jobs, as {0}/job-0", path.display())),
        None => neither(path),
    })
}

/// The search that the path means, or one's job.
///
/// # Errors
/// When it means neither.
pub async fn search_or_job(desk: &Desk, path: &Path) -> Result<(Place, Option<JobName>), Refused> {
    match known(desk, path).await? {
        Some(place) => Ok((place, None)),
        None => job(desk, path).await.map(|(place, name)| (place, Some(name))),
    }
}

/// The one of these directories that the path means, if any: by its text, else as the same directory by another path.
///
/// # Errors
/// When the file system does not answer.
pub async fn same(directories: Vec<PathBuf>, path: &Path) -> Result<Option<PathBuf>, Refused> {
    if directories.iter().any(|directory| directory == path) {
        return Ok(Some(path.to_path_buf()));
    }
    let path = path.to_path_buf();
    off_thread(move || {
        let identity = |path: &Path| path.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
        let wanted = identity(&path)?;
        directories.into_iter().find(|directory| identity(directory) == Some(wanted))
    })
    .await
}

async fn known(desk: &Desk, path: &Path) -> Result<Option<Place>, Refused> {
    let Searches { samplers, .. } = ask(&desk.watcher, List).await?;
    let directories = samplers.keys().map(|launch| launch.path().to_path_buf()).collect();
    let Some(found) = same(directories, path).await?.map(LaunchDir::new) else { return Ok(None) };
    Ok(samplers.get(&found).cloned().map(|sampler| Place { launch: found, sampler }))
}

fn neither(path: &Path) -> Refused {
    Refused::not_found(format!(
        "{} is neither a launch directory that the daemon knows nor the folder of a job in one; `neurosearch status` lists them",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[actix::test]
    async fn a_directory_is_known_by_its_text_through_a_link_and_by_dots_and_by_nothing_else() {
        let dir = tempdir();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).expect("made");
        std::fs::create_dir(dir.path().join("other")).expect("made");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        let gone = dir.path().join("gone");
        let known = vec![gone.clone(), link.clone()];
        for path in [&link, &real, &dir.path().join("other/../real"), &link.join(".")] {
            assert_eq!(same(known.clone(), path).await.ok().flatten(), Some(link.clone()), "{path:?}");
        }
        assert_eq!(same(known.clone(), &gone).await.ok().flatten(), Some(gone), "one that is gone is known by its text");
        assert_eq!(same(known, &dir.path().join("other")).await.ok().flatten(), None);
    }
}
