//! What one search does about each thing that happens to it.

use super::effect::{Effect, RecordUpdate};
use super::outcome::{self, Outcome, Verdict};
use super::state::{Demand, Job, Lease, Need, Search, Space, Standing, StopReason, Terms};
use crate::domain::job::{Ended, FailureClass, JobName, JobState};

/// What a look at the space file gave.
#[derive(Debug, Clone, PartialEq)]
pub enum SpaceNews {
    Unsettled,
    Missing,
    Refused(String),
    Accepted(Terms),
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
                    let drawn = search.indices.len();
                    effects.push(Effect::Say(format!(
                        "the space was edited; {drawn} jobs are drawn already and keep their options"
                    )));
                }
                search.frontier = 0;
                search.terms = Some(terms);
                effects.push(Effect::RecordSearch);
                effects.push(Effect::TabulateAll);
            }
            Space::Accepted
        }
    };
    if search.space != Space::Unsettled {
        let accepted = search.space == Space::Accepted;
        // Without a file that is accepted, the tables go by each job's own folds.
        let other_folds = search.folds_of_file.replace(accepted).is_some_and(|before| before != accepted);
        if other_folds && !effects.contains(&Effect::TabulateAll) {
            effects.push(Effect::TabulateAll);
        }
    }
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
        effects.push(Effect::Tabulate { job: name });
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
    }
    effects
}

/// A job was drawn and its folder written.
pub fn on_drawn(search: &mut Search, index: u64, name: JobName, drawn: Drawn, now: u64) -> Vec<Effect> {
    let lease = search.drawing.remove(&index).flatten();
    let mut effects = vec![Effect::Tabulate { job: name.clone() }];
    match drawn {
        Drawn::Ready { need } => {
            search.add(name.clone(), Job::new(Some(index), need, Standing::Waiting));
            if let Some(lease) = lease {
                if search.held.is_none() {
                    effects.extend(launch(search, &name, lease, now));
                } else {
                    effects.push(Effect::Release { lease, job: None, failed: false });
                }
            }
        }
        Drawn::Failed { need, class, sentence } => {
            if lease.is_none() {
                // The devices forgot this search's demand when they refused it.
                search.told = Demand::default();
            }
            effects.push(Effect::Say(format!("{name} is not launched ({class}): {sentence}")));
            search.add(name, Job::new(Some(index), need, Standing::Failed(class, sentence)));
            effects.extend(lease.map(|lease| Effect::Release { lease, job: None, failed: false }));
        }
    }
    ask(search, &mut effects);
    effects
}

/// A draw left no folder.
pub fn on_not_drawn(search: &mut Search, index: u64, why: NotDrawn) -> Vec<Effect> {
    let lease = search.drawing.remove(&index).flatten();
    search.frontier = search.frontier.min(index);
    if lease.is_none() {
        search.told = Demand::default();
    }
    let mut effects: Vec<Effect> = lease.map(|lease| Effect::Release { lease, job: None, failed: false }).into_iter().collect();
    match why {
        NotDrawn::NameTaken => {
            search.indices.insert(index);
            effects.push(Effect::Say(format!("the folder of job {index} exists and is no job; the search goes on without it")));
        }
        NotDrawn::Refused(sentence) => effects.extend(hold(search, sentence)),
    }
    ask(search, &mut effects);
    effects
}

/// The trainer of a job runs.
pub fn on_started(search: &mut Search, name: &JobName) -> Vec<Effect> {
    if let Some(Job { standing: Standing::Starting(lease), .. }) = search.jobs.get(name) {
        let lease = lease.clone();
        search.set(name, Standing::Running(lease));
    }
    Vec::new()
}

/// The trainer could not even be started, which is the surroundings' fault and not the job's: it waits, and so does the search.
pub fn on_not_started(search: &mut Search, name: &JobName, sentence: String) -> Vec<Effect> {
    let Some(lease) = search.jobs.get(name).and_then(|job| job.lease().cloned()) else { return Vec::new() };
    search.set(name, Standing::Waiting);
    let mut effects = Vec::new();
    effects.extend(hold(search, sentence));
    record(search, name, &mut effects);
    effects.push(Effect::Release { lease, job: None, failed: false });
    ask(search, &mut effects);
    effects
}

/// The trainer reported; `checkpoints` counts over all attempts.
pub fn on_progress(search: &mut Search, name: &JobName, checkpoints: u64, fold_finished: bool) -> Vec<Effect> {
    if let Some(job) = search.jobs.get_mut(name) {
        job.checkpoints = job.checkpoints.max(checkpoints);
        if job.checkpoints > job.checkpoints_at_start {
            job.failures_in_a_row = 0;
        }
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

/// An attempt is over.
pub fn on_ended(search: &mut Search, name: &JobName, outcome: &Outcome) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    let Some(lease) = job.lease().cloned() else { return Vec::new() };
    let reason = match &job.standing {
        Standing::Stopping(_, reason) => Some(*reason),
        _ => None,
    };
    let mut effects = conclude(search, name, outcome, reason);
    let failed = matches!(outcome.ended, Some(Ended::Failed { class: FailureClass::Device, .. }));
    effects.push(Effect::Release { lease, job: Some(name.clone()), failed });
    ask(search, &mut effects);
    effects
}

/// The pause before a retry is over.
pub fn on_retry_due(search: &mut Search, name: &JobName) -> Vec<Effect> {
    let mut effects = Vec::new();
    if search.jobs.get(name).is_some_and(|job| job.standing == Standing::Resting) {
        search.set(name, Standing::Waiting);
        ask(search, &mut effects);
    }
    effects
}

/// A record could not be written: nothing new starts until the disk takes it.
pub fn on_unsaved(search: &mut Search, job: Option<&JobName>, sentence: String) -> Vec<Effect> {
    match job {
        None => search.unsaved = true,
        Some(name) => {
            if let Some(job) = search.jobs.get_mut(name) {
                job.unsaved = true;
            }
        }
    }
    let mut effects: Vec<Effect> = hold(search, sentence).into_iter().collect();
    ask(search, &mut effects);
    effects
}

/// The disk takes writes again: what could not be recorded is recorded now, and the search goes on.
pub fn on_room(search: &mut Search) -> Vec<Effect> {
    if search.held.take().is_none() {
        return Vec::new();
    }
    let mut effects = vec![Effect::Say("the directory can be written again; the search goes on".into())];
    if std::mem::take(&mut search.unsaved) {
        effects.push(Effect::RecordSearch);
    }
    let unsaved: Vec<JobName> = search.jobs.iter().filter(|(_, job)| job.unsaved).map(|(name, _)| name.clone()).collect();
    for name in unsaved {
        if let Some(job) = search.jobs.get_mut(&name) {
            job.unsaved = false;
        }
        record(search, &name, &mut effects);
    }
    effects.push(Effect::TabulateAll);
    ask(search, &mut effects);
    effects
}

/// What follows from the end of an attempt, apart from its slot.
pub(super) fn conclude(search: &mut Search, name: &JobName, outcome: &Outcome, stop: Option<StopReason>) -> Vec<Effect> {
    let mut effects = Vec::new();
    let Some(job) = search.jobs.get_mut(name) else { return effects };
    job.checkpoints = job.checkpoints.max(outcome.checkpoints);
    let standing = match (outcome::judge(outcome, stop.is_some()), stop) {
        (Verdict::Done, _) => Standing::Done,
        (Verdict::Interrupted | Verdict::Failed(..), Some(StopReason::Cancel)) => Standing::Cancelled,
        (Verdict::Interrupted, Some(StopReason::Stall)) => {
            let sentence = "it made no progress for longer than its own steps explain".to_string();
            retried(job, FailureClass::Stalled, sentence)
        }
        (Verdict::Interrupted, Some(StopReason::Shutdown)) => Standing::Waiting,
        (Verdict::Interrupted, _) => Standing::Paused,
        (Verdict::Lost, _) => Standing::Waiting,
        (Verdict::Failed(class, sentence), _) => retried(job, class, sentence),
    };
    if let Standing::Failed(class, sentence) = &standing {
        effects.push(Effect::Say(format!("{name} failed ({class}): {sentence}")));
    }
    let rest = outcome::pause(job.failures_in_a_row);
    let resting = standing == Standing::Resting;
    search.set(name, standing);
    record(search, name, &mut effects);
    if resting {
        effects.push(Effect::Rest { job: name.clone(), seconds: rest });
    }
    effects.push(Effect::Tabulate { job: name.clone() });
    effects
}

/// Counts a failure, and says whether the job tries again.
fn retried(job: &mut Job, class: FailureClass, sentence: String) -> Standing {
    let progressed = job.checkpoints > job.checkpoints_at_start;
    job.failures_in_a_row = if progressed { 1 } else { job.failures_in_a_row + 1 };
    let limit = outcome::limit(class);
    if limit == 0 {
        Standing::Failed(class, sentence)
    } else if job.failures_in_a_row >= limit {
        Standing::Failed(class, format!("{sentence}; given up after {limit} attempts in a row without a new checkpoint"))
    } else if outcome::pause(job.failures_in_a_row) == 0 {
        Standing::Waiting
    } else {
        Standing::Resting
    }
}

/// Starts the next attempt of a job in a slot.
fn launch(search: &mut Search, name: &JobName, lease: Lease, now: u64) -> Vec<Effect> {
    search.set(name, Standing::Starting(lease.clone()));
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    job.attempts += 1;
    job.since = now;
    job.checkpoints_at_start = job.checkpoints;
    let state = JobState::Running { device: lease.device.clone(), since: now };
    let update = update(job, state);
    vec![Effect::Launch { job: name.clone(), lease, attempt: job.attempts, update }]
}

/// Stops new starts; says so once.
fn hold(search: &mut Search, sentence: String) -> Option<Effect> {
    let first = search.held.is_none();
    let say = first.then(|| Effect::Say(format!("nothing new is started: {sentence}")));
    search.held = Some(sentence);
    say
}

fn update(job: &Job, state: JobState) -> RecordUpdate {
    RecordUpdate { state, attempts: job.attempts, failures_in_a_row: job.failures_in_a_row, checkpoints_seen: job.checkpoints }
}

/// Asks for the job's record to be brought up to date.
pub(super) fn record(search: &Search, name: &JobName, effects: &mut Vec<Effect>) {
    if let Some(job) = search.jobs.get(name)
        && let Some(state) = job.state()
    {
        effects.push(Effect::Record { job: name.clone(), update: update(job, state) });
    }
}

/// Tells the devices what could start, if they were told something else before.
pub(super) fn ask(search: &mut Search, effects: &mut Vec<Effect>) {
    let demand = search.demand();
    if demand != search.told {
        search.told = demand;
        effects.push(Effect::Ask(demand));
    }
}
