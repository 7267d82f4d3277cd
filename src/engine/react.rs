//! What one search does about each thing that happens to it.

use super::effect::{Effect, ask, record, update};
use super::holds::{hold, on_trouble};
use super::state::{Hold, Job, Lease, Search, Space, Standing, StopReason};
use crate::domain::device::Need;
use crate::domain::job::{FailureClass, JobName, JobState};
use crate::domain::missing_input::Input;
use crate::domain::search_terms::Terms;

/// Seconds before a job whose own folder kept its trainer from starting is tried again.
const NOT_STARTABLE: u64 = 10;

/// What a look at the space file gave; `A` is what comes with a file that is accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum SpaceNews<A = Terms> {
    /// It changed, and must stay as it is for a moment.
    Unsettled,
    Missing,
    /// The text of `random_search.error`.
    Refused(String),
    Accepted(A),
}

/// How a draw came out, once the job's folder is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawn {
    /// Ready to train.
    Ready { need: Need },
    /// Recorded as failed: it will never be launched.
    Failed { need: Need, class: FailureClass, sentence: String },
}

/// Why a draw left no folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDrawn {
    /// The folder's name belongs to something that is not a job.
    NameTaken,
    /// The disk, or another part of the surroundings, refused.
    Refused(String),
    /// The data cannot be read now, for this reason; with the input that there was not.
    OutOfReach(String, Option<Input>),
}

/// The space file was looked at.
pub fn on_space(search: &mut Search, news: SpaceNews) -> Vec<Effect> {
    let mut effects = Vec::new();
    search.space = match news {
        SpaceNews::Unsettled => Space::Unsettled,
        SpaceNews::Missing => Space::Missing,
        SpaceNews::Refused(text) => Space::Refused(text),
        SpaceNews::Accepted(terms) => {
            if search.terms.as_ref() != Some(&terms) {
                if let Some(old) = &search.terms
                    && old.space_sha256 != terms.space_sha256
                {
                    // It may be the cure, and its data were found just now: what earlier jobs miss holds it no longer.
                    search.out_of_reach = None;
                    let drawn = search.indices.len();
                    effects.push(Effect::Say(format!(
                        "the space was edited; {drawn} jobs are drawn already and keep their options"
                    )));
                }
                search.frontier = 0;
                effects.push(Effect::RecordSearch);
                if search.terms.replace(terms).is_none() {
                    effects.push(Effect::TabulateAll);
                }
            }
            Space::Accepted
        }
    };
    ask(search, &mut effects);
    effects
}

/// A slot was granted: the waiting job with the lowest index gets it, else a new one is drawn.
pub fn on_slot(search: &mut Search, lease: Lease, now: u64) -> Vec<Effect> {
    let told = match lease.need {
        Need::Cpu => &mut search.told.cpu,
        Need::Gpu => &mut search.told.gpu,
    };
    *told = told.saturating_sub(1);
    let mut effects = Vec::new();
    let waiting =
        search.waiting.iter().map(|(_, name)| name).find(|name| search.jobs.get(name).is_some_and(|j| j.need == lease.need));
    if !search.is_open() {
        effects.push(Effect::Release { lease, job: None, failed: false });
    } else if let Some(name) = waiting.cloned() {
        effects.extend(launch(search, &name, lease, now));
    } else if search.may_draw()
        && search.terms.as_ref().is_some_and(|terms| terms.need == lease.need)
        && let Some(index) = search.next_index()
    {
        search.drawing.insert(index, Some(lease.clone()));
        effects.push(Effect::Draw { index, lease: Some(lease), failure: None });
    } else {
        effects.push(Effect::Release { lease, job: None, failed: false });
    }
    ask(search, &mut effects);
    effects
}

/// There is no device of the kind that the search needs: the next job is recorded as failed, with the sentence.
pub fn on_no_device(search: &mut Search, need: Need, sentence: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    // The devices forgot this demand when they refused it.
    match need {
        Need::Cpu => search.told.cpu = 0,
        Need::Gpu => search.told.gpu = 0,
    }
    let stuck: Vec<JobName> = search
        .waiting
        .iter()
        .map(|(_, name)| name)
        .filter(|name| search.jobs.get(name).is_some_and(|j| j.need == need))
        .cloned()
        .collect();
    for name in stuck {
        search.set(&name, Standing::Failed(FailureClass::Device, sentence.to_string()));
        record(search, &name, &mut effects);
    }
    // One at a time, however many there are: the end of this draw asks again.
    let drawing = search.drawing.values().any(Option::is_none);
    if search.may_draw()
        && !drawing
        && search.terms.as_ref().is_some_and(|terms| terms.need == need)
        && let Some(index) = search.next_index()
    {
        search.drawing.insert(index, None);
        effects.push(Effect::Draw { index, lease: None, failure: Some(sentence.to_string()) });
    } else if !drawing {
        ask(search, &mut effects);
    }
    effects
}

/// A job was drawn and its folder written.
pub fn on_drawn(search: &mut Search, index: u64, name: JobName, drawn: Drawn, now: u64) -> Vec<Effect> {
    let lease = search.drawing.remove(&index).flatten();
    let cancelled = search.cancelled.remove(&index);
    let mut effects = vec![Effect::Tabulate { job: name.clone() }];
    match drawn {
        Drawn::Ready { need } => {
            let standing = if cancelled { Standing::Cancelled } else { Standing::Waiting };
            search.add(name.clone(), Job::new(Some(index), need, standing));
            if cancelled {
                record(search, &name, &mut effects);
            }
            match lease {
                Some(lease) if search.is_open() && !cancelled => effects.extend(launch(search, &name, lease, now)),
                Some(lease) => effects.push(Effect::Release { lease, job: None, failed: false }),
                None => {}
            }
        }
        Drawn::Failed { need, class, sentence } => {
            effects.push(Effect::Say(format!("{name} is not launched ({class}): {sentence}")));
            search.add(name, Job::new(Some(index), need, Standing::Failed(class, sentence)));
            effects.extend(lease.map(|lease| Effect::Release { lease, job: None, failed: false }));
        }
    }
    ask(search, &mut effects);
    effects
}

/// A job that a user chose has its folder, and waits for a slot.
pub fn on_enqueued(search: &mut Search, name: JobName, need: Need) -> Vec<Effect> {
    // A scan may have found it first.
    if search.jobs.contains_key(&name) {
        return Vec::new();
    }
    let mut effects = vec![Effect::Tabulate { job: name.clone() }];
    search.add(name, Job::new(None, need, Standing::Waiting));
    ask(search, &mut effects);
    effects
}

/// A draw left no folder.
pub fn on_not_drawn(search: &mut Search, index: u64, why: NotDrawn) -> Vec<Effect> {
    let lease = search.drawing.remove(&index).flatten();
    search.cancelled.remove(&index);
    search.frontier = search.frontier.min(index);
    let mut effects: Vec<Effect> = lease.map(|lease| Effect::Release { lease, job: None, failed: false }).into_iter().collect();
    match why {
        NotDrawn::NameTaken => {
            search.indices.insert(index);
            search.taken.insert(index);
            effects.push(Effect::Say(format!("the folder of job {index} exists and is no job; the search goes on without it")));
        }
        NotDrawn::Refused(sentence) => effects.extend(hold(search, Hold::Surroundings, sentence)),
        NotDrawn::OutOfReach(sentence, input) => {
            search.out_of_reach = input.or(search.out_of_reach.take());
            effects.extend(hold(search, Hold::Surroundings, sentence));
        }
    }
    ask(search, &mut effects);
    effects
}

/// The trainer of a job runs.
pub fn on_started(search: &mut Search, name: &JobName) -> Vec<Effect> {
    if let Some(Job { standing: Standing::Starting(lease), trouble, .. }) = search.jobs.get_mut(name) {
        let lease = lease.clone();
        *trouble = None;
        search.set(name, Standing::Running(lease));
    }
    Vec::new()
}

/// The trainer could not even be started, which is the surroundings' fault and not the job's: it waits, and so does the search.
pub fn on_not_started(search: &mut Search, name: &JobName, sentence: String) -> Vec<Effect> {
    let Some(lease) = not_begun(search, name, Standing::Waiting) else { return Vec::new() };
    let mut effects = hold(search, Hold::Surroundings, sentence);
    record(search, name, &mut effects);
    effects.push(Effect::Release { lease, job: None, failed: false });
    ask(search, &mut effects);
    effects
}

/// The trainer could not be started because of the job's own folder: the job waits by itself, and the search goes on.
pub fn on_not_startable(search: &mut Search, name: &JobName, sentence: String) -> Vec<Effect> {
    let Some(lease) = not_begun(search, name, Standing::Resting) else { return Vec::new() };
    let mut effects = on_trouble(search, name, Some(sentence));
    effects.push(Effect::Rest { job: name.clone(), seconds: NOT_STARTABLE });
    effects.push(Effect::Release { lease, job: None, failed: false });
    ask(search, &mut effects);
    effects
}

/// The job's folder went before its trainer could be started: the job is forgotten, and drawn again if the search wants it.
pub fn on_folder_gone(search: &mut Search, name: &JobName) -> Vec<Effect> {
    let Some(lease) = not_begun(search, name, Standing::Waiting) else { return Vec::new() };
    search.remove(name);
    let mut effects = vec![Effect::Say(format!("the folder of {name} is gone")), Effect::Tabulate { job: name.clone() }];
    effects.push(Effect::Release { lease, job: None, failed: false });
    ask(search, &mut effects);
    effects
}

/// The attempt that was to be made was none: its number is free again. The slot that it had is answered.
fn not_begun(search: &mut Search, name: &JobName, standing: Standing) -> Option<Lease> {
    let job = search.jobs.get_mut(name)?;
    let lease = job.lease().cloned()?;
    job.history.attempts = job.history.attempts.saturating_sub(1);
    // Asked to stop meanwhile, it has.
    let stopped = match &job.standing {
        Standing::Stopping(_, StopReason::Pause) => Some(Standing::Paused),
        Standing::Stopping(_, StopReason::Cancel) => Some(Standing::Cancelled),
        _ => None,
    };
    job.history.pending = None;
    search.set(name, stopped.unwrap_or(standing));
    Some(lease)
}

/// The trainer reported; `checkpoints` counts over all attempts.
pub fn on_progress(search: &mut Search, name: &JobName, checkpoints: u64, fold_finished: bool) -> Vec<Effect> {
    if let Some(job) = search.jobs.get_mut(name) {
        if checkpoints > job.history.checkpoints_seen {
            search.holds_in_a_row = 0;
        }
        job.note_checkpoints(checkpoints);
    }
    if fold_finished { vec![Effect::Tabulate { job: name.clone() }] } else { Vec::new() }
}

/// The job made no progress for longer than its own steps explain.
pub fn on_stalled(search: &mut Search, name: &JobName) -> Vec<Effect> {
    match search.jobs.get(name).map(|job| job.standing.clone()) {
        Some(Standing::Running(lease)) => {
            search.set(name, Standing::Stopping(lease, StopReason::Stall));
            vec![Effect::Say(format!("{name} makes no progress and is stopped")), Effect::Stop { job: name.clone() }]
        }
        _ => Vec::new(),
    }
}

/// Starts the next attempt of a job in a slot.
fn launch(search: &mut Search, name: &JobName, lease: Lease, now: u64) -> Vec<Effect> {
    search.set(name, Standing::Starting(lease.clone()));
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    job.history.attempts += 1;
    job.since = now;
    job.checkpoints_at_start = job.history.checkpoints_seen;
    let state = JobState::Running { device: Some(lease.device.clone()), since: now };
    let update = update(job, state);
    vec![Effect::Launch { job: name.clone(), lease, attempt: job.history.attempts, update }]
}
