//! From what lies in the folders to what is believed: after a start, and whenever a scan finds something new.

use super::attempt_end::conclude;
use super::effect::{self, Effect};
use super::outcome::Outcome;
use super::state::{Job, Lease, Search, Standing, StopReason};
use crate::domain::attempt_history::AttemptHistory;
use crate::domain::device::{Device, Holder, Need};
use crate::domain::job::{Ended, JobName, JobState, PendingRequest, RunElsewhere};

/// One job's folder, as a scan found it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundJob {
    pub name: JobName,
    /// None: a folder with a `commandline.json` and no record of ours. An error: there is one that cannot be read.
    pub record: Result<Option<FoundRecord>, Unread>,
    pub need: Need,
}

/// A job whose record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub why: String,
    pub trainer: TrainerSeen,
}

/// What the records in a job's folder say together.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRecord {
    pub index: Option<u64>,
    /// The daemon started it, and nobody else has taken it over. The job of any other starter is never touched.
    pub ours: bool,
    pub elsewhere: Option<RunElsewhere>,
    pub state: JobState,
    pub history: AttemptHistory,
    pub trainer: TrainerSeen,
    /// The count in the last progress report.
    pub checkpoints: u64,
}

/// What became of the job's trainer, by its folder and the process table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainerSeen {
    /// It runs here, on this device.
    Alive(Device),
    /// Its last attempt ended, in its own word where it left one.
    Gone(Option<Ended>),
    /// Cannot be known, for this reason; where nobody holds the job's lock, whoever looks after the job may say.
    Unclear { why: String, holder: Holder },
}

/// What the record of a job of somebody else's shows; the default, where it has none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Theirs {
    pub state: Option<JobState>,
    pub attempts: u32,
    pub elsewhere: Option<RunElsewhere>,
}

impl TrainerSeen {
    /// Which of this machine's devices it seems to be on.
    pub fn device(&self) -> Option<&Device> {
        match self {
            TrainerSeen::Alive(device) => Some(device),
            TrainerSeen::Unclear { holder: Holder::Here(device), .. } => device.as_ref(),
            TrainerSeen::Gone(_) | TrainerSeen::Unclear { .. } => None,
        }
    }

    /// Whether it may live on this machine.
    const fn may_be_here(&self) -> bool {
        matches!(self, TrainerSeen::Alive(_) | TrainerSeen::Unclear { holder: Holder::Here(_), .. })
    }
}

/// Jobs that were not known: live trainers are adopted, those that ended meanwhile are concluded, those that died go on.
pub fn on_found(search: &mut Search, found: Vec<FoundJob>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for FoundJob { name, record, need } in found {
        let prefix = search.terms.as_ref().map(|terms| terms.job_prefix.as_str());
        let named = prefix.and_then(|prefix| name.index(prefix));
        let read = record.as_ref().ok().and_then(Option::as_ref);
        let index = read.and_then(|record| record.index).or(named);
        let was_known = search.jobs.contains_key(&name);
        let (pending, held) = forget(search, &name, read.is_some_and(|record| record.ours));
        // Drawn since the scan began, or being drawn: what is believed already is newer.
        if search.jobs.contains_key(&name) || index.is_some_and(|index| search.drawing.contains_key(&index)) {
            continue;
        }
        if was_known && record.is_ok() {
            // Its folder may look the same as when another state was read of it, or none.
            effects.push(Effect::Tabulate { job: name.clone() });
        }
        match record {
            Ok(Some(mut record)) if record.ours => {
                record.history.pending = pending.or(record.history.pending);
                restore(search, name, record, need, &mut effects);
                give_back(held, &mut effects);
            }
            Ok(other) => {
                let theirs = other
                    .map(|r| Theirs { state: Some(r.state), attempts: r.history.attempts, elsewhere: r.elsewhere })
                    .unwrap_or_default();
                let Theirs { state, attempts, elsewhere } = theirs;
                let history = AttemptHistory { attempts, ..AttemptHistory::default() };
                search.add(name, Job { elsewhere, history, ..Job::new(index, need, Standing::Foreign(state)) });
                give_back(held, &mut effects);
            }
            Err(Unread { why, trainer }) => {
                // Its index is taken, and its trainer may live: nothing is done with it until it can be read.
                let history = AttemptHistory { pending, ..AttemptHistory::default() };
                let job = Job { unread: true, history, ..Job::new(index, need, Standing::Unclear(why)) };
                search.add(name.clone(), job);
                keep(search, &name, held, &trainer, None, &mut effects);
            }
        }
    }
    effect::ask(search, &mut effects);
    effects
}

/// Forgets what was a guess about a job, or that it was somebody else's where it is `ours` now. What was asked of it stays
/// so, and the slot that it keeps.
fn forget(search: &mut Search, name: &JobName, ours: bool) -> (Option<PendingRequest>, Option<Lease>) {
    let outdated = |job: &&Job| job.unread || (ours && matches!(job.standing, Standing::Foreign(_)));
    let Some(job) = search.jobs.get(name).filter(outdated) else { return (None, None) };
    let kept = (job.history.pending, job.held.clone());
    search.remove(name);
    kept
}

/// A job of which nothing more can be known keeps the slot of the trainer that it seems to have, so that it is lent to
/// nobody else; `held` is the one that it has already, and `recorded` the device that its record names.
fn keep(
    search: &mut Search,
    name: &JobName,
    held: Option<Lease>,
    seen: &TrainerSeen,
    recorded: Option<&Device>,
    effects: &mut Vec<Effect>,
) {
    if !seen.may_be_here() {
        return give_back(held, effects);
    }
    match (held, seen.device().or(recorded)) {
        (None, Some(device)) => effects.push(Effect::Claim { job: name.clone(), device: device.clone() }),
        (held, _) => {
            if let Some(job) = search.jobs.get_mut(name) {
                job.held = held;
            }
        }
    }
}

/// Comes after a claim for the same trainer, so that nobody gets the slot between the two.
fn give_back(held: Option<Lease>, effects: &mut Vec<Effect>) {
    effects.extend(held.map(|lease| Effect::Release { lease, job: None, failed: false }));
}

/// A foreign job's record was read again.
pub fn on_foreign(search: &mut Search, name: &JobName, Theirs { state, attempts, elsewhere }: Theirs) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    let Standing::Foreign(old) = &job.standing else { return Vec::new() };
    let changed = *old != state;
    (job.history.attempts, job.elsewhere) = (attempts, elsewhere);
    job.standing = Standing::Foreign(state);
    if changed { vec![Effect::Tabulate { job: name.clone() }] } else { Vec::new() }
}

/// What had taken the names of these indices' folders is gone: they are drawn after all.
pub fn on_freed(search: &mut Search, freed: &[u64]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for index in freed {
        let is_a_jobs = search.jobs.values().any(|job| job.index == Some(*index));
        if search.taken.remove(index) && !is_a_jobs {
            search.indices.remove(index);
            search.frontier = search.frontier.min(*index);
        }
    }
    effect::ask(search, &mut effects);
    effects
}

/// Folders that are gone: their jobs are forgotten, and drawn again if the search still wants them.
pub fn on_gone(search: &mut Search, gone: &[JobName]) -> Vec<Effect> {
    let mut effects = Vec::new();
    for name in gone {
        // An unclear one's folder may be out of reach for a moment, unless somebody has said that it is not wanted any more.
        let idle = |job: &Job| match job.standing {
            Standing::Adopting => false,
            Standing::Unclear(_) => job.unread || job.history.pending.is_some(),
            _ => job.lease().is_none(),
        };
        if let Some(job) = search.jobs.get(name).filter(|job| idle(job)) {
            give_back(job.held.clone(), &mut effects);
            search.remove(name);
            effects.push(Effect::Say(format!("the folder of {name} is gone")));
            effects.push(Effect::Tabulate { job: name.clone() });
        }
    }
    effect::ask(search, &mut effects);
    effects
}

/// The slot of an adopted job is claimed.
pub fn on_claimed(search: &mut Search, name: &JobName, lease: Lease) -> Vec<Effect> {
    match search.jobs.get(name).map(|job| &job.standing) {
        Some(Standing::Adopting) => {
            let stop = search.jobs.get(name).and_then(|job| job.history.pending).and_then(StopReason::of);
            search.set(
                name,
                match stop {
                    Some(reason) => Standing::Stopping(lease.clone(), reason),
                    None => Standing::Running(lease.clone()),
                },
            );
            let mut effects = Vec::new();
            effect::record(search, name, &mut effects);
            effects.push(Effect::Follow { job: name.clone(), lease });
            effects.extend(stop.map(|_| Effect::Stop { job: name.clone() }));
            effects
        }
        Some(Standing::Unclear(_)) => {
            let before = search.jobs.get_mut(name).and_then(|job| job.held.replace(lease));
            before.map(|lease| Effect::Release { lease, job: None, failed: false }).into_iter().collect()
        }
        _ => vec![Effect::Release { lease, job: None, failed: false }],
    }
}

/// A job that was unclear was looked at again.
pub fn on_looked_again(search: &mut Search, name: &JobName, seen: TrainerSeen, checkpoints: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    if matches!(search.jobs.get(name).map(|job| &job.standing), Some(Standing::Unclear(_))) {
        take_over(search, name, seen, checkpoints, None, &mut effects);
        effect::ask(search, &mut effects);
    }
    effects
}

fn restore(search: &mut Search, name: JobName, record: FoundRecord, need: Need, effects: &mut Vec<Effect>) {
    let running = matches!(record.state, JobState::Running { .. }) || !matches!(record.trainer, TrainerSeen::Gone(_));
    let standing = match &record.state {
        _ if running => Standing::Unclear("not looked at yet".to_string()),
        JobState::Queued | JobState::Running { .. } => Standing::Waiting,
        JobState::Paused => Standing::Paused,
        JobState::Done => Standing::Done,
        JobState::Cancelled => Standing::Cancelled,
        JobState::Failed { class, sentence } => Standing::Failed(*class, sentence.clone()),
    };
    let mut job = Job::new(record.index, need, standing);
    let pending = record.history.pending;
    job.checkpoints_at_start = record.history.checkpoints_seen;
    job.history = record.history;
    job.note_checkpoints(record.checkpoints);
    if let JobState::Running { since, .. } = &record.state {
        job.since = *since;
    }
    search.add(name.clone(), job);
    if running {
        let device = match &record.state {
            JobState::Running { device, .. } => device.as_ref(),
            _ => None,
        };
        take_over(search, &name, record.trainer, record.checkpoints, device, effects);
    } else if let Some(pending) = pending {
        heed(search, &name, pending, effects);
    }
}

/// What was asked of a job that somebody else had, and that came to rest by itself before.
fn heed(search: &mut Search, name: &JobName, request: PendingRequest, effects: &mut Vec<Effect>) {
    let Some(job) = search.jobs.get_mut(name) else { return };
    match (&job.standing, request) {
        (Standing::Waiting | Standing::Paused, _) | (Standing::Failed(..) | Standing::Cancelled, PendingRequest::Retry) => {
            settle(search, name, request, effects);
        }
        _ => job.history.pending = None,
    }
}

/// A job that ran when it was last heard of: adopt it, conclude it, or leave it alone until more is known. `recorded` is the
/// device that its record names.
fn take_over(
    search: &mut Search,
    name: &JobName,
    seen: TrainerSeen,
    checkpoints: u64,
    recorded: Option<&Device>,
    effects: &mut Vec<Effect>,
) {
    let held = search.jobs.get_mut(name).and_then(|job| job.held.take());
    match seen {
        TrainerSeen::Alive(device) => {
            search.set(name, Standing::Adopting);
            effects.push(Effect::Claim { job: name.clone(), device });
        }
        TrainerSeen::Gone(ended) => {
            let stop = search.jobs.get(name).and_then(|job| job.history.pending).and_then(StopReason::of);
            // Nobody watched, so nobody knows who asked it to stop: that is lost, and no kill.
            let ended = ended.filter(|ended| *ended != Ended::Interrupted { sentence: None });
            effects.extend(conclude(search, name, &Outcome { ended, checkpoints, ..Outcome::default() }, stop));
        }
        TrainerSeen::Unclear { ref why, ref holder } => {
            let free = *holder == Holder::Nobody;
            match search.jobs.get(name).and_then(|job| job.history.pending).filter(|_| free) {
                Some(request) => settle(search, name, request, effects),
                None => search.set(name, Standing::Unclear(why.clone())),
            }
            return keep(search, name, held, &seen, recorded, effects);
        }
    }
    give_back(held, effects);
}

/// What became of the trainer cannot be known, but nobody holds the job, and somebody has said what is to become of it.
fn settle(search: &mut Search, name: &JobName, request: PendingRequest, effects: &mut Vec<Effect>) {
    if let Some(job) = search.jobs.get_mut(name) {
        job.history.pending = None;
        job.history.forgive();
    }
    search.set(
        name,
        match request {
            PendingRequest::Pause => Standing::Paused,
            PendingRequest::Cancel => Standing::Cancelled,
            PendingRequest::Retry => Standing::Waiting,
        },
    );
    effect::record(search, name, effects);
}
