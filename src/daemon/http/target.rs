//! Finds the search, job or watched directory that a path in a request means. Compares the text first, then the directory itself.

use super::app::off_thread;
use super::app::{App, ask};
use super::peer::Peer;
use super::refusal::Refused;
use crate::control::reply::{self, SearchState};
use crate::control::request::RequestSubject;
use crate::daemon::sampler::Sampler;
use crate::daemon::sampler::describe::{DescribeJob, DescribeSearch, Described};
use crate::daemon::watcher::{ListSearches, Searches};
use crate::domain::job::JobName;
use crate::store::fs::open;
use crate::store::records::layout::LaunchDir;
use actix::Addr;
use std::path::{Path, PathBuf};

/// A search, under the path that the daemon knows it by.
pub struct Target {
    pub launch: LaunchDir,
    pub sampler: Addr<Sampler>,
}

/// The search in a launch directory.
///
/// # Errors
/// If the daemon knows no search there.
pub async fn search(app: &App, peer: &Peer, path: &Path) -> Result<Target, Refused> {
    known(&ask(&app.watcher, ListSearches).await?, peer, path).await?.ok_or_else(|| {
        Refused::not_found(format!(
            "{} is not a launch directory that the daemon knows; it is one once it holds a random_search.json and lies in, \
             or is, a watched directory",
            path.display()
        ))
    })
}

/// The search and the job's name for the path of a job's folder.
///
/// # Errors
/// If the folder is in no launch directory that the daemon knows.
pub async fn job(app: &App, peer: &Peer, path: &Path) -> Result<(Target, JobName), Refused> {
    job_among(&ask(&app.watcher, ListSearches).await?, peer, path).await
}

async fn job_among(searches: &Searches, peer: &Peer, path: &Path) -> Result<(Target, JobName), Refused> {
    let (launch, name) = split(path)?;
    if let Some(target) = known(searches, peer, launch).await? {
        return Ok((target, name));
    }
    Err(match known(searches, peer, path).await? {
        Some(_) => Refused::not_found(format!("{0} is a search; name one of its jobs, as {0}/job-0", path.display())),
        None => neither(path),
    })
}

/// The search that a request concerns, and its job if it names one.
///
/// # Errors
/// When it names neither, or none that the daemon knows.
pub async fn meant(app: &App, peer: &Peer, subject: RequestSubject<'_>) -> Result<(Target, Option<JobName>), Refused> {
    match subject {
        RequestSubject { target: Some(_), launch: None, job: None } => {
            let (searches, path) = (ask(&app.watcher, ListSearches).await?, path(subject)?);
            match known(&searches, peer, path).await? {
                Some(target) => Ok((target, None)),
                None => job_among(&searches, peer, path).await.map(|(target, name)| (target, Some(name))),
            }
        }
        RequestSubject { target: None, launch: Some(_), job } => {
            let name = job.map(|name| JobName::try_from(name.to_string())).transpose();
            let name = name.map_err(|e| Refused::bad(e.to_string()))?;
            Ok((search(app, peer, path(subject)?).await?, name))
        }
        _ => Err(Refused::bad("name a launch directory or a job's folder in \"target\", or else \"launch\" and perhaps \"job\"")),
    }
}

/// The absolute path that a request names.
///
/// # Errors
/// It names none, or one that is relative.
pub fn path(subject: RequestSubject<'_>) -> Result<&Path, Refused> {
    let named = subject.target.or(subject.launch);
    let path = Path::new(named.ok_or_else(|| Refused::bad("name a directory in \"target\""))?);
    if path.is_absolute() { Ok(path) } else { Err(Refused::bad(format!("{path:?} is not an absolute path"))) }
}

/// The directory in this list that the path means, if any. Compares the text first, then whether it is the same directory for
/// whoever asks: a way through a closed directory would tell them what is in it.
///
/// # Errors
/// If the file system does not answer.
pub async fn same(directories: Vec<PathBuf>, peer: &Peer, path: &Path) -> Result<Option<PathBuf>, Refused> {
    if directories.iter().any(|directory| directory == path) {
        return Ok(Some(path.to_path_buf()));
    }
    let (rights, path) = (peer.rights(), path.to_path_buf());
    off_thread(move || {
        let identity = |path: &Path| open::look(path).ok().map(|stat| (stat.st_dev, stat.st_ino));
        let wanted = rights?.read(|| identity(&path))?;
        directories.into_iter().find(|directory| identity(directory) == Some(wanted))
    })
    .await
}

async fn known(searches: &Searches, peer: &Peer, path: &Path) -> Result<Option<Target>, Refused> {
    let directories = searches.samplers.keys().map(|launch| launch.path().to_path_buf()).collect();
    let Some(launch) = same(directories, peer, path).await?.map(LaunchDir::new) else { return Ok(None) };
    Ok(searches.samplers.get(&launch).cloned().map(|sampler| Target { launch, sampler }))
}

fn neither(path: &Path) -> Refused {
    Refused::not_found(format!(
        "{} is neither a launch directory that the daemon knows nor the folder of a job in one; `neurosearch status` lists them",
        path.display()
    ))
}

/// A job of a search, whether drawn or not yet.
pub async fn described(target: &Target, name: &JobName) -> Result<Described, Refused> {
    if let Some(described) = ask::<Sampler, _>(&target.sampler, DescribeJob(name.clone())).await? {
        return Ok(described);
    }
    Err(no_such_job(name, &ask(&target.sampler, DescribeSearch).await?))
}

/// Why the search has no such job. A search has no jobs at all if its file was never accepted or its folder cannot be served.
fn no_such_job(name: &JobName, search: &reply::Search) -> Refused {
    let launch = &search.launch;
    let never = search.n_jobs.is_none();
    match search.state {
        SearchState::Held if never => Refused::conflict(format!("{launch} is held: {}", search.alarms.join("; "))),
        SearchState::Refused if never => {
            let first = search.faults.first().map_or_else(String::new, |fault| format!(": {fault}"));
            Refused::conflict(format!(
                "no job is drawn, for random_search.json is refused{first}; `neurosearch status` shows it all"
            ))
        }
        SearchState::Settling if never => Refused::conflict(format!(
            "{launch} has only just been found, and its random_search.json is still being read; ask again"
        )),
        _ => Refused::not_found(format!(
            "{launch} has no job {name}, neither drawn nor to be drawn; `neurosearch jobs` lists those there are, \
             `neurosearch set` gives more n_jobs"
        )),
    }
}

/// A job's launch directory and name.
pub fn split(path: &Path) -> Result<(&Path, JobName), Refused> {
    let named = path.parent().zip(path.file_name());
    let (launch, name) = named.ok_or_else(|| Refused::bad(format!("{} is not the folder of a job", path.display())))?;
    let name = JobName::try_from(name.to_string_lossy().into_owned()).map_err(|e| Refused::bad(e.to_string()))?;
    Ok((launch, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use axum::http::StatusCode;
    use std::os::unix::fs::PermissionsExt;

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
        let own = Peer { uid: Some(rustix::process::geteuid().as_raw()), groups: [].into() };
        for path in [&link, &real, &dir.path().join("other/../real"), &link.join(".")] {
            assert_eq!(same(known.clone(), &own, path).await.ok().flatten(), Some(link.clone()), "{path:?}");
        }
        assert_eq!(same(known.clone(), &own, &gone).await.ok().flatten(), Some(gone), "one that is gone is known by its text");
        assert_eq!(same(known, &own, &dir.path().join("other")).await.ok().flatten(), None);
    }

    #[actix::test]
    async fn a_way_through_a_closed_directory_leads_nowhere_for_those_to_whom_it_is_closed() {
        if !rustix::process::geteuid().is_root() {
            // Only root may go everywhere and read for others.
            return;
        }
        let dir = tempdir();
        let open = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
        open(dir.path(), 0o755);
        let real = dir.path().join("real");
        std::fs::create_dir(&real).expect("made");
        std::fs::create_dir_all(dir.path().join("closed/there")).expect("made");
        open(&dir.path().join("closed"), 0o700);
        let root = Peer { uid: Some(0), groups: [0].into() };
        let stranger = Peer { uid: Some(61_001), groups: [61_001].into() };
        let found =
            async |peer: &Peer, path: &str| same(vec![real.clone()], peer, &dir.path().join(path)).await.ok().flatten().is_some();
        assert!(found(&root, "closed/there/../../real").await && !found(&root, "closed/gone/../../real").await);
        assert!(!found(&stranger, "closed/there/../../real").await && !found(&stranger, "closed/gone/../../real").await);
        assert!(found(&stranger, "./real/../real").await && found(&stranger, "real").await);
        assert!(found(&Peer::unknown(), "real").await && !found(&Peer::unknown(), "real/../real").await, "its text alone counts");
    }

    #[test]
    fn a_job_that_is_not_there_is_missing_for_what_its_search_says() {
        let search = |state, n_jobs| reply::Search {
            launch: "/data/first".into(),
            state,
            n_jobs,
            faults: vec!["/data/first/random_search.json: line 1, column 1: mode: missing".into()],
            alarms: vec!["another daemon serves this directory".into()],
            ..reply::Search::default()
        };
        let cases = [
            (SearchState::Held, None, StatusCode::CONFLICT, "/data/first is held: another daemon serves"),
            (SearchState::Refused, None, StatusCode::CONFLICT, "line 1, column 1: mode: missing"),
            (SearchState::Settling, None, StatusCode::CONFLICT, "still being read"),
            (SearchState::Active, None, StatusCode::NOT_FOUND, "has no job job-7"),
            (SearchState::Held, Some(3), StatusCode::NOT_FOUND, "has no job job-7"),
        ];
        for (state, n_jobs, status, words) in cases {
            let Refused(code, said) = no_such_job(&JobName::numbered("job", 7).expect("a name"), &search(state, n_jobs));
            assert!(code == status && said.contains(words), "{state:?} {n_jobs:?}: {code} {said}");
        }
    }
}
