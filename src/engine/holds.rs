//! What keeps a search from starting anything new, and how it goes on by itself.

use super::effect::{Effect, ask, record};
use super::outcome;
use super::state::{Hold, Search};
use crate::domain::job::JobName;

/// A record could not be written: nothing new starts until the disk takes it.
pub fn on_unsaved(search: &mut Search, job: Option<&JobName>, sentence: String) -> Vec<Effect> {
    let mut effects = Vec::new();
    match job {
        None => search.unsaved = true,
        Some(name) => {
            if let Some(job) = search.jobs.get_mut(name) {
                job.unsaved = true;
            }
            effects.push(Effect::Tabulate { job: name.clone() });
        }
    }
    effects.extend(hold(search, Hold::Surroundings, sentence));
    ask(search, &mut effects);
    effects
}

/// A job's record could not be written because of the job's own folder: shown, and tried again with every look, while the
/// search goes on.
pub fn on_damaged(search: &mut Search, name: &JobName, sentence: String) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    job.unsaved = true;
    let mut effects = vec![Effect::Tabulate { job: name.clone() }];
    effects.extend(on_trouble(search, name, Some(sentence)));
    effects
}

/// A job's record is written: only now is there to be read what its row says, so this alone asks for that.
pub fn on_saved(search: &mut Search, name: &JobName) -> Vec<Effect> {
    if let Some(job) = search.jobs.get_mut(name)
        && job.unsaved
    {
        job.unsaved = false;
        job.trouble = None;
    }
    vec![Effect::Tabulate { job: name.clone() }]
}

/// Something is wrong with a job that people have to see, or is no longer.
pub fn on_trouble(search: &mut Search, name: &JobName, trouble: Option<String>) -> Vec<Effect> {
    let Some(job) = search.jobs.get_mut(name) else { return Vec::new() };
    if job.trouble == trouble {
        return Vec::new();
    }
    job.trouble.clone_from(&trouble);
    trouble.map(|trouble| Effect::Say(format!("{name}: {trouble}"))).into_iter().collect()
}

/// A look is over: records that a damaged folder refused are tried again.
pub fn on_looked(search: &Search) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (name, _) in search.jobs.iter().filter(|(_, job)| job.unsaved && job.trouble.is_some()) {
        record(search, name, &mut effects);
    }
    effects
}

/// The disk takes writes again, and gives what it did not: what could not be recorded is recorded now, and the search goes on.
pub fn on_room(search: &mut Search) -> Vec<Effect> {
    if search.holds.remove(&Hold::Surroundings).is_none() {
        return Vec::new();
    }
    search.room_wanted = 0;
    search.out_of_reach = None;
    let mut effects = vec![Effect::Say("nothing is in the way any more; the search goes on".into())];
    if std::mem::take(&mut search.unsaved) {
        effects.push(Effect::RecordSearch);
    }
    for (name, _) in search.jobs.iter().filter(|(_, job)| job.unsaved && job.trouble.is_none()) {
        record(search, name, &mut effects);
    }
    effects.push(Effect::TabulateAll);
    ask(search, &mut effects);
    effects
}

/// The disk was tried, and does not take writes, or give inputs, yet: it is tried again, ever more seldom.
pub fn on_no_room(search: &mut Search, sentence: String) -> Vec<Effect> {
    match search.holds.get_mut(&Hold::Surroundings) {
        Some(why) => *why = sentence,
        None => return Vec::new(),
    }
    vec![probe(search)]
}

/// The launch directory is gone, another one has its name, or its lock is somebody else's, while trainers of ours still run in it.
pub fn on_away(search: &mut Search, sentence: String) -> Vec<Effect> {
    let mut effects = hold(search, Hold::Directory, sentence);
    ask(search, &mut effects);
    effects
}

/// The launch directory is where it was.
pub fn on_back(search: &mut Search) -> Vec<Effect> {
    let mut effects = Vec::new();
    if search.holds.remove(&Hold::Directory).is_some() {
        effects.push(Effect::Say("the directory is back; the search goes on".into()));
        ask(search, &mut effects);
    }
    effects
}

/// Stops new starts; says so once, and sees to it that the surroundings are tried again.
pub(super) fn hold(search: &mut Search, why: Hold, sentence: String) -> Vec<Effect> {
    if search.holds.insert(why, sentence.clone()).is_some() {
        return Vec::new();
    }
    let mut effects = vec![Effect::Say(format!("nothing new is started: {sentence}"))];
    if why == Hold::Surroundings {
        effects.push(probe(search));
    }
    effects
}

fn probe(search: &mut Search) -> Effect {
    search.holds_in_a_row = search.holds_in_a_row.saturating_add(1);
    Effect::Probe { seconds: outcome::pause(search.holds_in_a_row.saturating_add(1)) }
}
