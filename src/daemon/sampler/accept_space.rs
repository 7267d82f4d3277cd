//! From a space file's text to a search that may start: parsed, checked against its data, or every fault of it.

use crate::check;
use crate::domain::space::SearchSpace;
use crate::engine::state::{Need, Terms, TimeLimit};
use crate::store::records::layout::LaunchDir;
use crate::store::records::search_record::SearchRecord;
use crate::store::settings::SearchDefaults;
use rand::TryRngCore;
use std::sync::Arc;

/// A space that jobs may be drawn from.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub space: Arc<SearchSpace>,
    /// The file as JSON, for the record.
    pub value: serde_json::Value,
    /// What was assumed, one line each.
    pub notices: Vec<String>,
}

/// Judges the text of `launch`'s space file. Reads the data that the space names, so it may take a while.
///
/// # Errors
/// The text of `random_search.error`: a line a fault.
pub fn accept(launch: &LaunchDir, text: &str) -> Result<Accepted, String> {
    let path = launch.space();
    let file = path.display().to_string();
    let parsed = SearchSpace::parse(text, &file, launch.path()).map_err(|faults| faults.to_string())?;
    check::space(&parsed.space).map_err(|faults| faults.to_string())?;
    let notices = parsed.notices.iter().map(|notice| format!("{file}: {notice}")).collect();
    let value = serde_json::from_str(text).map_err(|e| format!("{file}: {e}"))?;
    Ok(Accepted { space: Arc::new(parsed.space), value, notices })
}

/// The terms of an accepted space: what its file says, else what was recorded before, else the configuration.
///
/// # Errors
/// When a seed has to be drawn and the system gives no random numbers.
pub fn terms(space: &SearchSpace, recorded: Option<&SearchRecord>, defaults: &SearchDefaults) -> Result<Terms, String> {
    // What was changed over the socket outlives a restart, until the file itself is edited.
    let unedited = recorded.filter(|record| record.space_sha256 == space.origin.sha256);
    let said_seed = unedited.map(|record| record.seed).or(space.own.seed);
    let said_jobs = unedited.map(|record| record.n_jobs).or(space.own.n_jobs);
    let seed = match said_seed.or(recorded.map(|record| record.seed)).or(defaults.seed) {
        Some(seed) => seed,
        None => draw_seed()?,
    };
    Ok(Terms {
        seed,
        n_jobs: said_jobs.or(recorded.map(|record| record.n_jobs)).unwrap_or(defaults.n_jobs),
        job_prefix: space.own.job_prefix.clone(),
        space_sha256: space.origin.sha256.clone(),
        need: if space.use_cpu { Need::Cpu } else { Need::Gpu },
        paused: recorded.is_some_and(|record| record.paused),
        priority: recorded.map_or(0, |record| record.priority),
        slots: recorded.and_then(|record| record.slots),
        time_limit: recorded.and_then(time_limit),
    })
}

/// The terms of a search as it was recorded, for the time until its file is judged. What jobs need is not recorded: it
/// decides nothing before the file is accepted again.
pub fn restored(record: &SearchRecord) -> Terms {
    Terms {
        seed: record.seed,
        n_jobs: record.n_jobs,
        job_prefix: record.job_prefix.clone(),
        space_sha256: record.space_sha256.clone(),
        need: Need::Cpu,
        paused: record.paused,
        priority: record.priority,
        slots: record.slots,
        time_limit: time_limit(record),
    }
}

fn time_limit(record: &SearchRecord) -> Option<TimeLimit> {
    let (hours, ends) = record.time_limit_hours.zip(record.time_limit_ends)?;
    Some(TimeLimit { hours, ends })
}

/// A seed of 53 bits, so that every JSON reader keeps it whole.
fn draw_seed() -> Result<u64, String> {
    let bits = rand::rngs::OsRng.try_next_u64().map_err(|e| format!("cannot draw a seed: {e}; write one into the file"))?;
    Ok(bits >> 11)
}

/// Brings a record up to date with the terms.
pub fn follow(record: &mut SearchRecord, terms: &Terms) {
    record.n_jobs = terms.n_jobs;
    record.paused = terms.paused;
    record.priority = terms.priority;
    record.slots = terms.slots;
    record.time_limit_hours = terms.time_limit.map(|limit| limit.hours);
    record.time_limit_ends = terms.time_limit.map(|limit| limit.ends);
}

/// The record of a search with these terms.
pub fn record(terms: &Terms, accepted: &Accepted) -> SearchRecord {
    SearchRecord {
        version: 1,
        seed: terms.seed,
        n_jobs: terms.n_jobs,
        job_prefix: terms.job_prefix.clone(),
        space: accepted.value.clone(),
        space_sha256: terms.space_sha256.clone(),
        paused: terms.paused,
        priority: terms.priority,
        slots: terms.slots,
        time_limit_hours: terms.time_limit.map(|limit| limit.hours),
        time_limit_ends: terms.time_limit.map(|limit| limit.ends),
    }
}
