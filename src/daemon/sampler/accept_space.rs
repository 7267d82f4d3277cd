//! Checks a space file: parses it, compares it with its data, and lists every fault.

use crate::check;
use crate::domain::device::Need;
use crate::domain::search_terms::Terms;
use crate::domain::space::{Parsed, SearchSpace};
use crate::store::fs::rights::Rights;
use crate::store::records::layout::LaunchDir;
use crate::store::settings::Settings;
use crate::store::system;
use std::sync::Arc;

/// A space that jobs may be drawn from.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub space: Arc<SearchSpace>,
    /// The file as JSON, for the record.
    pub json: Arc<serde_json::Value>,
    /// Assumptions made, one line each.
    pub notices: Vec<String>,
}

/// The verdict on a space file's text.
#[derive(Debug)]
pub struct SpaceJudgement {
    /// Those that it names, ascending, or None if it cannot be read as a space.
    pub folds: Option<Vec<u32>>,
    /// The accepted space, or the text of `random_search.error` with one fault a line.
    pub accepted: Result<Accepted, String>,
}

/// Judges the text of `launch`'s space file. Reads the data that the space names, with the rights of the directory's owner, so it
/// may take a while.
pub fn judge(launch: &LaunchDir, text: &str) -> SpaceJudgement {
    let path = launch.space();
    let file = path.display().to_string();
    let Parsed { space, json, notices } = match SearchSpace::parse(text, &file, launch.path()) {
        Ok(parsed) => parsed,
        Err(faults) => return SpaceJudgement { folds: None, accepted: Err(faults.to_string()) },
    };
    let space = match launch.path().canonicalize() {
        Ok(real) => space.without_detours(launch.path(), &real),
        Err(_) => space,
    };
    let folds = Some(space.folds.ascending());
    let accepted = Rights::of_owner(launch.path()).map_err(|e| e.to_string());
    let accepted = accepted.and_then(|rights| rights.read(|| check::space(&space)).map_err(|faults| faults.to_string()));
    let accepted = accepted.map(|of_the_data| Accepted {
        space: Arc::new(space),
        json: Arc::new(json),
        notices: notices.iter().map(ToString::to_string).chain(of_the_data).map(|notice| format!("{file}: {notice}")).collect(),
    });
    SpaceJudgement { folds, accepted }
}

/// The terms of an accepted space: from its file, else from the record, else from the configuration.
///
/// # Errors
/// If a seed has to be drawn and the system gives no random numbers.
pub fn terms(accepted: &Accepted, recorded: Option<&Terms>, defaults: &Settings) -> Result<Terms, String> {
    let space = &accepted.space;
    // Changes over the socket survive a restart, until the file itself is edited.
    let unedited = recorded.filter(|terms| terms.space_sha256 == space.origin.sha256);
    let said_seed = unedited.map(|terms| terms.seed).or(space.own.seed);
    let said_jobs = unedited.map(|terms| terms.n_jobs).or(space.own.n_jobs);
    let seed = match said_seed.or(recorded.map(|terms| terms.seed)).or(defaults.search_seed) {
        Some(seed) => seed,
        None => draw_seed()?,
    };
    Ok(Terms {
        seed,
        n_jobs: said_jobs.or(recorded.map(|terms| terms.n_jobs)).unwrap_or(defaults.search_n_jobs),
        job_prefix: space.own.job_prefix.clone(),
        space: accepted.json.clone(),
        space_sha256: space.origin.sha256.clone(),
        need: Need::of(space.use_cpu),
        paused: recorded.is_some_and(|terms| terms.paused),
        priority: recorded.map_or(0, |terms| terms.priority),
        slots: recorded.and_then(|terms| terms.slots),
        time_limit: recorded.and_then(|terms| terms.time_limit),
    })
}

fn draw_seed() -> Result<u64, String> {
    system::new_seed().map_err(|sentence| format!("{sentence}; write one into the file"))
}
