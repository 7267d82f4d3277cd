//! The end of an attempt, and what follows from it for the job, its record and its slot.

use super::effect::{Effect, ask, record};
use super::holds::hold;
use super::outcome::{self, Outcome, Verdict};
use super::state::{Hold, Job, Search, Standing, StopReason};
use crate::domain::job::{Ended, FailureClass, JobName, LastFailure};

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

/// The job was foreseen not to fit the device whose slot it got: no trainer was started.
pub fn on_too_large(search: &mut Search, name: &JobName, sentence: String) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    job.history.attempts = job.history.attempts.saturating_sub(1);
    let ended = Some(Ended::Failed { class: FailureClass::TooLarge, sentence });
    on_ended(search, name, &Outcome { ended, ..Outcome::default() })
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

/// What follows from the end of an attempt, apart from its slot.
pub(super) fn conclude(search: &mut Search, name: &JobName, outcome: &Outcome, stop: Option<StopReason>) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    if outcome.checkpoints > job.history.checkpoints_seen || outcome.ended == Some(Ended::Done) {
        search.holds_in_a_row = 0;
    }
    job.note_checkpoints(outcome.checkpoints);
    (job.history.pending, job.trouble) = (None, None);
    let mut unwritten = None;
    let standing = match (outcome::judge(outcome, stop.is_some()), stop) {
        (Verdict::Done, _) => Standing::Done,
        (_, Some(StopReason::Cancel)) => Standing::Cancelled,
        (Verdict::Interrupted, Some(StopReason::Stall)) => {
            let sentence = "it made no progress for longer than its own steps explain".to_string();
            retried(job, FailureClass::Stalled, sentence)
        }
        (Verdict::Interrupted, Some(StopReason::Shutdown)) => Standing::Waiting,
        (Verdict::Interrupted, _) => Standing::Paused,
        (Verdict::Disk(sentence), _) => {
            search.room_wanted = search.room_wanted.max(outcome.room_wanted);
            search.out_of_reach = outcome.out_of_reach.clone().or(search.out_of_reach.take());
            unwritten = Some(sentence);
            Standing::Waiting
        }
        (Verdict::Unread(sentence), _) => {
            let standing = counted(job, FailureClass::BadData, sentence.clone(), outcome::UNREAD);
            // People have to see it long before it is given up, for only they can mend it.
            job.trouble = (!matches!(standing, Standing::Failed(..))).then_some(sentence);
            standing
        }
        (Verdict::Lost, _) => {
            job.history.note_failure(FailureClass::Lost, "it ended while nobody watched".to_string());
            Standing::Waiting
        }
        (Verdict::Failed(class, sentence), _) => retried(job, class, sentence),
    };
    let rest = outcome::pause(job.history.failures_in_a_row);
    let resting = standing == Standing::Resting;
    let mut effects: Vec<Effect> = say_ended(name, job, &standing).into_iter().collect();
    search.set(name, standing);
    if let Some(sentence) = unwritten {
        effects.extend(hold(search, Hold::Surroundings, sentence));
    }
    record(search, name, &mut effects);
    if resting {
        effects.push(Effect::Rest { job: name.clone(), seconds: rest });
    }
    effects
}

/// Tells how an attempt failed, and whether another follows.
fn say_ended(name: &JobName, job: &Job, standing: &Standing) -> Option<Effect> {
    if let Standing::Failed(class, sentence) = standing {
        return Some(Effect::Say(format!("{name} failed ({class}): {sentence}")));
    }
    let LastFailure { attempt, class, sentence } =
        job.history.last_failure.as_ref().filter(|last| last.attempt == job.history.attempts)?;
    let next = match standing {
        Standing::Waiting => "it is tried again".to_string(),
        Standing::Resting => format!("it is tried again in {} s", outcome::pause(job.history.failures_in_a_row)),
        _ => return None,
    };
    Some(Effect::Say(format!("attempt {attempt} of {name} ended ({class}): {sentence}; {next}")))
}

/// Counts a failure, and says whether the job tries again.
fn retried(job: &mut Job, class: FailureClass, sentence: String) -> Standing {
    counted(job, class, sentence, outcome::limit(class))
}

/// As [`retried`], up to `limit` in a row.
fn counted(job: &mut Job, class: FailureClass, sentence: String, limit: u32) -> Standing {
    job.history.note_failure(class, sentence.clone());
    let in_a_row = job.history.count_failure(class);
    if limit == 0 {
        Standing::Failed(class, sentence)
    } else if in_a_row >= limit {
        Standing::Failed(class, format!("{sentence}; given up after {limit} such attempts without a new checkpoint"))
    } else if outcome::pause(job.history.failures_in_a_row) == 0 {
        Standing::Waiting
    } else {
        Standing::Resting
    }
}
