//! What a search does about each change that somebody asks for over the control socket.

use super::effect::{Effect, ask, record};
use super::explain;
use super::state::{Hold, Search, Standing, StopReason};
use crate::domain::job::{FailureClass, JobName, PendingRequest};
use crate::domain::search_terms::{Terms, TimeLimit};

/// A change of a search or of one of its jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Start nothing new; what runs goes on.
    PauseSearch,
    ResumeSearch,
    /// Checkpoint, stop, slot freed.
    PauseJob(JobName),
    ResumeJob(JobName),
    CancelJob(JobName),
    /// Pauses the search and cancels every job that has not ended.
    CancelSearch,
    RetryJob(JobName),
    /// Every failed job, or those of one class.
    RetryFailed(Option<FailureClass>),
    SetJobs(u64),
    SetPriority(i32),
    /// None: as many as there are.
    SetSlots(Option<u32>),
    /// None: as long as it takes.
    SetTimeLimit(Option<TimeLimit>),
}

/// One sentence for each thing done and the effects, or why it cannot be done and what would work.
pub type CommandAnswer = Result<(Vec<String>, Vec<Effect>), String>;

/// Somebody who may asked for a change.
pub fn on_command(search: &mut Search, command: Command) -> CommandAnswer {
    let mut effects = Vec::new();
    let done = match command {
        Command::PauseSearch => {
            terms(search, &mut effects, "paused: nothing new starts, and what runs goes on", |t| t.paused = true)
        }
        Command::ResumeSearch => terms(search, &mut effects, "resumed", |t| t.paused = false),
        Command::SetPriority(priority) => {
            terms(search, &mut effects, &format!("priority is {priority}"), |t| t.priority = priority)
        }
        Command::SetSlots(slots) => {
            let said = match slots {
                None => "as many slots as there are".to_string(),
                Some(1) => "at most one slot".to_string(),
                Some(slots) => format!("at most {slots} slots"),
            };
            terms(search, &mut effects, &said, |t| t.slots = slots)
        }
        Command::SetJobs(n_jobs) => {
            let drawn = search.last_drawn().map_or(0, |last| last + 1);
            if n_jobs < drawn {
                Err(format!("n_jobs cannot be {n_jobs}: job {} is drawn already; cancel those that should not run", drawn - 1))
            } else {
                terms(search, &mut effects, &format!("n_jobs is {n_jobs}"), |t| t.n_jobs = n_jobs)
            }
        }
        Command::SetTimeLimit(limit) => {
            let said = limit.map_or_else(
                || "no time limit".to_string(),
                |limit| format!("new jobs start for {} more hours; what runs then goes on to its end", limit.hours),
            );
            terms(search, &mut effects, &said, |t| t.time_limit = limit)
        }
        Command::CancelSearch => cancel_all(search, &mut effects),
        Command::PauseJob(name) => stop(search, &name, StopReason::Pause, &mut effects),
        Command::CancelJob(name) => stop(search, &name, StopReason::Cancel, &mut effects),
        Command::ResumeJob(name) => match standing(search, &name)? {
            Standing::Paused => Ok(wait(search, &name, &mut effects)),
            other => Err(cannot(&name, "resumed", &other, "only a paused job can")),
        },
        Command::RetryJob(name) => match standing(search, &name)? {
            Standing::Failed(..) | Standing::Cancelled => Ok(wait(search, &name, &mut effects)),
            Standing::Done => {
                wait(search, &name, &mut effects);
                Ok(vec![format!("{name} is queued; what is missing of its results is made anew")])
            }
            Standing::Unclear(why) => {
                ask_for(search, &name, Some(PendingRequest::Retry), &mut effects);
                Ok(vec![format!("{name} is queued as soon as nobody holds it; until then it is left alone: {why}")])
            }
            Standing::Foreign(_) if is_away(search, &name) => Ok(take_back(search, &name, PendingRequest::Retry, "queued")),
            other => Err(cannot(&name, "tried again", &other, "only one that failed, was cancelled or is done can")),
        },
        Command::RetryFailed(class) => retry_failed(search, class, &mut effects),
    }?;
    ask(search, &mut effects);
    Ok((done, effects))
}

fn terms(
    search: &mut Search,
    effects: &mut Vec<Effect>,
    said: &str,
    change: impl FnOnce(&mut Terms),
) -> Result<Vec<String>, String> {
    let Some(terms) = &mut search.terms else {
        return Err("no space was accepted here yet; `neurosearch status` says why".to_string());
    };
    change(terms);
    effects.push(Effect::RecordSearch);
    Ok(vec![format!("the search: {said}")])
}

fn standing(search: &Search, name: &JobName) -> Result<Standing, String> {
    let job = search.jobs.get(name).ok_or_else(|| match explain::index_to_draw(search, name) {
        Some(index) if search.indices.contains(&index) => {
            let why = explain::undrawn(search, index).map(|explained| format!(": {}", explained.sentence()));
            format!("there is no job {name} here{}", why.unwrap_or_default())
        }
        Some(_) => format!("{name} is not drawn yet, so nothing can be done with it; pause its search, or set its n_jobs"),
        None => format!("there is no job {name} here; `neurosearch jobs` lists those there are"),
    })?;
    Ok(job.standing.clone())
}

fn stop(search: &mut Search, name: &JobName, reason: StopReason, effects: &mut Vec<Effect>) -> Result<Vec<String>, String> {
    let (at_rest, verb) =
        if reason == StopReason::Cancel { (Standing::Cancelled, "cancelled") } else { (Standing::Paused, "paused") };
    match standing(search, name)? {
        Standing::Starting(lease) | Standing::Running(lease) => {
            search.set(name, Standing::Stopping(lease, reason));
            ask_for(search, name, reason.request(), effects);
            effects.push(Effect::Stop { job: name.clone() });
            Ok(vec![format!("{name} is asked to stop, keeps its last epoch, and is {verb} then")])
        }
        // A stop on its way changes its meaning: whoever speaks last counts.
        Standing::Stopping(lease, StopReason::Pause | StopReason::Cancel) => {
            search.set(name, Standing::Stopping(lease, reason));
            ask_for(search, name, reason.request(), effects);
            Ok(vec![format!("{name} is stopping, and is {verb} then")])
        }
        Standing::Adopting => {
            ask_for(search, name, reason.request(), effects);
            Ok(vec![format!("{name} is being taken over, is asked to stop then, and is {verb}")])
        }
        Standing::Unclear(why) => {
            ask_for(search, name, reason.request(), effects);
            Ok(vec![format!("{name} is {verb} as soon as nobody holds it; until then it is left alone: {why}")])
        }
        Standing::Waiting | Standing::Resting | Standing::Paused => {
            search.set(name, at_rest);
            // What kept it from its next attempt; a record that is still to be written is shown on.
            if let Some(job) = search.jobs.get_mut(name).filter(|job| !job.unsaved) {
                job.trouble = None;
            }
            record(search, name, effects);
            Ok(vec![format!("{name} is {verb}")])
        }
        Standing::Foreign(_) if is_away(search, name) => match reason.request() {
            Some(request) => Ok(take_back(search, name, request, verb)),
            None => Ok(Vec::new()),
        },
        other => Err(cannot(name, verb, &other, "only one that is queued, running or paused can")),
    }
}

/// Whether a `continue` of another machine has the job, so that only people can know that it is over.
fn is_away(search: &Search, name: &JobName) -> bool {
    search.jobs.get(name).and_then(|job| job.elsewhere.as_ref()).is_some_and(|elsewhere| elsewhere.away)
}

/// Its record is somebody else's to write until nobody holds the job, so that the request is not recorded before.
fn take_back(search: &mut Search, name: &JobName, request: PendingRequest, becomes: &str) -> Vec<String> {
    if let Some(job) = search.jobs.get_mut(name) {
        job.history.pending = Some(request);
    }
    vec![format!("{name} is the daemon's again as soon as nobody holds it, and {becomes} then")]
}

/// Records what is wanted of a job, so that it is done even if this daemon dies first.
fn ask_for(search: &mut Search, name: &JobName, request: Option<PendingRequest>, effects: &mut Vec<Effect>) {
    if let Some(job) = search.jobs.get_mut(name) {
        job.history.pending = request;
    }
    record(search, name, effects);
}

fn cancel_all(search: &mut Search, effects: &mut Vec<Effect>) -> Result<Vec<String>, String> {
    let mut done = terms(search, effects, "paused, so that no other job takes their place", |t| t.paused = true)?;
    search.cancelled.extend(search.drawing.keys());
    for name in unfinished(search) {
        match stop(search, &name, StopReason::Cancel, effects) {
            Ok(said) => done.extend(said),
            Err(said) => done.push(said),
        }
    }
    Ok(done)
}

/// The jobs of ours that have not ended.
fn unfinished(search: &Search) -> Vec<JobName> {
    let ours = |standing: &Standing| !matches!(standing, Standing::Foreign(_));
    search.jobs.iter().filter(|(_, job)| ours(&job.standing) && !job.standing.is_over()).map(|(name, _)| name.clone()).collect()
}

/// The search's time is over, or begins anew: over, nothing new starts and what runs ends by itself.
pub fn on_time(search: &mut Search, over: bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    if search.time_over != over {
        search.time_over = over;
        if over {
            effects.push(Effect::Say("the time limit is over; nothing new is started".to_string()));
        }
        ask(search, &mut effects);
    }
    effects
}

/// The daemon stops and takes its trainers along: each keeps its last epoch, and its job is queued again.
pub fn on_shutdown(search: &mut Search) -> Vec<Effect> {
    search.holds.insert(Hold::Stopping, "the daemon is stopping".to_string());
    let mut effects = Vec::new();
    let running = |standing: &Standing| matches!(standing, Standing::Starting(_) | Standing::Running(_));
    let names: Vec<JobName> =
        search.jobs.iter().filter(|(_, job)| running(&job.standing)).map(|(name, _)| name.clone()).collect();
    for name in names {
        if let Some(lease) = search.jobs.get(&name).and_then(|job| job.lease().cloned()) {
            search.set(&name, Standing::Stopping(lease, StopReason::Shutdown));
            effects.push(Effect::Stop { job: name });
        }
    }
    ask(search, &mut effects);
    effects
}

fn wait(search: &mut Search, name: &JobName, effects: &mut Vec<Effect>) -> Vec<String> {
    if let Some(job) = search.jobs.get_mut(name) {
        job.history.forgive();
    }
    search.set(name, Standing::Waiting);
    record(search, name, effects);
    vec![format!("{name} is queued")]
}

fn retry_failed(search: &mut Search, class: Option<FailureClass>, effects: &mut Vec<Effect>) -> Result<Vec<String>, String> {
    let failed = |standing: &Standing| matches!(standing, Standing::Failed(of, _) if class.is_none_or(|class| class == *of));
    let names: Vec<JobName> = search.jobs.iter().filter(|(_, job)| failed(&job.standing)).map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        let which = class.map(|class| format!(" with class {class}")).unwrap_or_default();
        return Err(format!("no job has failed{which}"));
    }
    Ok(names.iter().flat_map(|name| wait(search, name, effects)).collect())
}

fn cannot(name: &JobName, verb: &str, standing: &Standing, cure: &str) -> String {
    let is = match standing {
        Standing::Waiting | Standing::Resting => "queued",
        Standing::Adopting => "being taken over",
        Standing::Starting(_) | Standing::Running(_) => "running",
        Standing::Stopping(..) => "stopping",
        Standing::Unclear(_) => "out of reach",
        Standing::Paused => "paused",
        Standing::Done => "done",
        Standing::Cancelled => "cancelled",
        Standing::Failed(..) => "failed",
        Standing::Foreign(_) => "not the daemon's",
    };
    format!("{name} is {is} and cannot be {verb}: {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Need;
    use crate::engine::state::{Demand, Job, Lease, Space};
    use crate::testing::{device, terms};

    fn search(standing: Standing) -> (Search, JobName) {
        let mut search = Search { terms: Some(terms(1)), space: Space::Accepted, ..Search::default() };
        let name = JobName::numbered("job", 0).expect("a name");
        search.add(name.clone(), Job::new(Some(0), Need::Cpu, standing));
        search.told = search.demand();
        (search, name)
    }

    fn lease() -> Lease {
        Lease { id: 1, device: device("cpu"), need: Need::Cpu }
    }

    /// Where the job stands after the command, or None if it is refused.
    fn after(standing: Standing, command: impl Fn(JobName) -> Command) -> Option<Standing> {
        let (mut search, name) = search(standing);
        on_command(&mut search, command(name.clone())).ok().map(|_| search.jobs[&name].standing.clone())
    }

    #[test]
    fn what_may_be_done_with_a_job_depends_on_where_it_stands() {
        let stopping = |reason| Some(Standing::Stopping(lease(), reason));
        let failed = || Standing::Failed(FailureClass::Crashed, "crash".into());
        assert_eq!(after(Standing::Running(lease()), Command::PauseJob), stopping(StopReason::Pause));
        assert_eq!(after(Standing::Running(lease()), Command::CancelJob), stopping(StopReason::Cancel));
        assert_eq!(after(Standing::Waiting, Command::PauseJob), Some(Standing::Paused));
        assert_eq!(after(Standing::Resting, Command::CancelJob), Some(Standing::Cancelled));
        assert_eq!(after(Standing::Paused, Command::ResumeJob), Some(Standing::Waiting));
        assert_eq!(after(failed(), Command::RetryJob), Some(Standing::Waiting));
        assert_eq!(after(Standing::Done, Command::RetryJob), Some(Standing::Waiting), "its results may have been deleted");
        assert_eq!(after(Standing::Paused, Command::RetryJob), None);
        assert_eq!(after(Standing::Done, Command::CancelJob), None);
        assert_eq!(after(Standing::Running(lease()), Command::ResumeJob), None);
        assert_eq!(after(Standing::Foreign(None), Command::CancelJob), None);
    }

    #[test]
    fn a_running_job_is_told_to_stop_once_its_record_says_what_is_wanted_of_it() {
        let (mut search, name) = search(Standing::Running(lease()));
        let (_, effects) = on_command(&mut search, Command::PauseJob(name.clone())).expect("done");
        let [Effect::Record { job, update }, Effect::Stop { .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((job, update.state.as_str(), update.history.pending), (&name, "running", Some(PendingRequest::Pause)));
    }

    #[test]
    fn a_paused_search_asks_for_nothing_until_it_is_resumed() {
        let (mut search, _) = search(Standing::Waiting);
        let (_, effects) = on_command(&mut search, Command::PauseSearch).expect("done");
        assert_eq!(effects, [Effect::RecordSearch, Effect::Ask(Demand::default())]);
        let (_, effects) = on_command(&mut search, Command::ResumeSearch).expect("done");
        assert_eq!(effects, [Effect::RecordSearch, Effect::Ask(Demand { cpu: 1, ..Demand::default() })]);
    }

    #[test]
    fn failures_of_one_class_are_tried_again_and_n_jobs_never_falls_below_what_is_drawn() {
        let failed = Standing::Failed(FailureClass::Killed, "signal".into());
        let (mut search, name) = search(failed);
        assert!(on_command(&mut search, Command::RetryFailed(Some(FailureClass::Crashed))).is_err());
        assert!(on_command(&mut search, Command::SetJobs(0)).is_err());
        assert!(on_command(&mut search, Command::RetryFailed(Some(FailureClass::Killed))).is_ok());
        assert_eq!(search.jobs[&name].standing, Standing::Waiting);
        on_command(&mut search, Command::SetJobs(4)).expect("done");
        assert_eq!(search.undrawn(), 3);
    }

    #[test]
    fn a_job_of_somebody_elses_is_no_reason_to_refuse_fewer_jobs() {
        let (mut search, _) = search(Standing::Done);
        let theirs = JobName::try_from("mine".to_string()).expect("a name");
        search.add(theirs, Job::new(Some(40), Need::Cpu, Standing::Foreign(None)));
        on_command(&mut search, Command::SetJobs(3)).expect("done");
        assert_eq!(search.undrawn(), 2);
        search.drawing.insert(2, None);
        let refused = on_command(&mut search, Command::SetJobs(2)).expect_err("job 2 is being drawn");
        assert!(refused.contains("job 2 is drawn already"), "{refused}");
        on_command(&mut search, Command::SetJobs(3)).expect("job 2 is the last of three");
    }

    #[test]
    fn a_command_that_is_refused_says_why() {
        let (mut search, _) = search(Standing::Done);
        on_command(&mut search, Command::SetJobs(3)).expect("done");
        search.indices.insert(2);
        for (index, words) in [
            (0, "job-0 is done and cannot be paused: only one that is queued"),
            (1, "job-1 is not drawn yet"),
            (2, "there is no job job-2 here: its folder's name belongs to something"),
            (3, "`neurosearch jobs` lists those there are"),
        ] {
            let name = JobName::numbered("job", index).expect("a name");
            let refused = on_command(&mut search, Command::PauseJob(name)).expect_err("refused");
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn a_job_that_is_paused_shows_its_trouble_only_while_its_record_is_unwritten() {
        for unsaved in [false, true] {
            let (mut search, name) = search(Standing::Resting);
            let job = search.jobs.get_mut(&name).expect("known");
            (job.unsaved, job.trouble) = (unsaved, Some("damaged".into()));
            on_command(&mut search, Command::PauseJob(name.clone())).expect("done");
            assert_eq!(search.jobs[&name].trouble.is_some(), unsaved);
        }
    }

    #[test]
    fn cancelling_a_search_ends_what_has_not_ended_and_lets_nothing_take_its_place() {
        let (mut search, name) = search(Standing::Running(lease()));
        on_command(&mut search, Command::SetJobs(3)).expect("done");
        let (_, effects) = on_command(&mut search, Command::CancelSearch).expect("done");
        assert!(effects.contains(&Effect::Stop { job: name.clone() }), "{effects:?}");
        assert_eq!(search.jobs[&name].standing, Standing::Stopping(lease(), StopReason::Cancel));
        assert_eq!(search.demand(), Demand::default());
    }

    #[test]
    fn a_search_whose_time_is_over_asks_for_nothing_until_it_gets_more() {
        let (mut search, _) = search(Standing::Waiting);
        assert!(on_time(&mut search, true).contains(&Effect::Ask(Demand::default())));
        assert_eq!(on_time(&mut search, true), []);
        assert_eq!(on_time(&mut search, false), [Effect::Ask(Demand { cpu: 1, ..Demand::default() })]);
    }

    #[test]
    fn a_shutdown_stops_what_runs_and_starts_nothing() {
        let (mut search, name) = search(Standing::Running(lease()));
        assert_eq!(on_shutdown(&mut search), [Effect::Stop { job: name.clone() }]);
        assert_eq!(search.jobs[&name].standing, Standing::Stopping(lease(), StopReason::Shutdown));
        assert!(!search.is_open());
    }
}
