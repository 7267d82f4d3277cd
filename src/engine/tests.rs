//! Tables of events and the effects they must have, and no others.

mod counted;
mod ends;
mod holds;
mod restored;

use super::attempt_end;
use super::effect::{Effect, RecordUpdate};
use super::outcome::Outcome;
use super::react::{self, Drawn, NotDrawn, SpaceNews};
use super::state::{Demand, Job, Lease, Search, Space, Standing, StopReason};
use crate::domain::attempt_history::AttemptHistory;
use crate::domain::device::Need;
use crate::domain::job::{Ended, FailureClass, JobName, JobState, PendingRequest};
use crate::domain::search_terms::Terms;
use crate::testing::{device, terms};

fn name(index: u64) -> JobName {
    JobName::numbered("job", index).expect("a name")
}

fn lease(id: u64) -> Lease {
    Lease { id, device: device("cpu"), need: Need::Cpu }
}

fn cpu(cpu: u64) -> Demand {
    Demand { cpu, ..Demand::default() }
}

fn update(state: JobState, attempts: u32, failures_in_a_row: u32) -> RecordUpdate {
    RecordUpdate { state, history: AttemptHistory { attempts, failures_in_a_row, ..AttemptHistory::default() } }
}

fn running() -> JobState {
    JobState::Running { device: Some(device("cpu")), since: 100 }
}

fn release(id: u64, job: Option<u64>) -> Effect {
    Effect::Release { lease: lease(id), job: job.map(name), failed: false }
}

/// A search of `n_jobs` jobs whose file is accepted, and whose devices know it.
fn accepted(n_jobs: u64) -> Search {
    let mut search = Search::default();
    react::on_space(&mut search, SpaceNews::Accepted(terms(n_jobs)));
    search
}

/// The same with job 0 running in slot 1.
fn with_running(n_jobs: u64) -> Search {
    let mut search = accepted(n_jobs);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    react::on_started(&mut search, &name(0));
    search
}

fn ended(ended: Option<Ended>) -> Outcome {
    Outcome { ended, ..Outcome::default() }
}

fn crashed() -> Outcome {
    ended(Some(Ended::Failed { class: FailureClass::Crashed, sentence: "crash".into() }))
}

#[test]
fn an_accepted_space_is_recorded_and_asks_for_as_many_slots_as_jobs() {
    let mut search = Search::default();
    let effects = react::on_space(&mut search, SpaceNews::Accepted(terms(3)));
    assert_eq!(effects, [Effect::RecordSearch, Effect::TabulateAll, Effect::Ask(cpu(3))]);
    assert_eq!(react::on_space(&mut search, SpaceNews::Accepted(terms(3))), [], "the same again changes nothing");
    assert_eq!(react::on_space(&mut search, SpaceNews::Refused("fault".into())), [Effect::Ask(cpu(0))]);
    assert_eq!(search.space, Space::Refused("fault".into()));
    assert_eq!(react::on_space(&mut search, SpaceNews::Unsettled), []);
    assert_eq!(react::on_space(&mut search, SpaceNews::Accepted(terms(3))), [Effect::Ask(cpu(3))], "touched, not changed");
    let edited = [Effect::RecordSearch, Effect::Ask(cpu(4))];
    assert_eq!(react::on_space(&mut search, SpaceNews::Accepted(terms(4))), edited, "other folds are the tables' own matter");
    assert_eq!(react::on_space(&mut search, SpaceNews::Missing), [Effect::Ask(cpu(0))]);
}

#[test]
fn what_the_first_look_finds_of_the_file_asks_for_no_table_of_its_own() {
    for news in [SpaceNews::Missing, SpaceNews::Refused("fault".into())] {
        assert_eq!(react::on_space(&mut Search::default(), news), []);
    }
}

#[test]
fn a_slot_draws_the_next_job_and_its_record_says_running_before_it_is_launched() {
    let mut search = accepted(2);
    let draw = Effect::Draw { index: 0, lease: Some(lease(1)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(1), 100), [draw]);
    let effects = react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let launch = Effect::Launch { job: name(0), lease: lease(1), attempt: 1, update: update(running(), 1, 0) };
    assert_eq!(effects, [Effect::Tabulate { job: name(0) }, launch]);
    assert_eq!(react::on_started(&mut search, &name(0)), []);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Running(lease(1)));
}

#[test]
fn a_slot_goes_to_the_waiting_job_with_the_lowest_index() {
    let mut search = accepted(0);
    for index in [11, 2, 10] {
        search.add(name(index), Job::new(Some(index), Need::Cpu, Standing::Waiting));
    }
    let own = JobName::try_from("a-chosen-job".to_string()).expect("a name");
    search.add(own.clone(), Job::new(None, Need::Cpu, Standing::Waiting));
    search.add(name(0), Job::new(Some(0), Need::Gpu, Standing::Waiting));
    for (id, job) in [(1, name(2)), (2, name(10)), (3, name(11)), (4, own)] {
        let launched = react::on_slot(&mut search, lease(id), 100).into_iter().find_map(|effect| match effect {
            Effect::Launch { job, .. } => Some(job),
            _ => None,
        });
        assert_eq!(launched, Some(job));
    }
}

#[test]
fn a_search_asks_for_each_kind_of_slot_that_its_jobs_need() {
    let mut search = Search::default();
    react::on_space(&mut search, SpaceNews::Accepted(Terms { need: Need::Gpu, ..terms(6) }));
    for (index, need) in [(0, Need::Gpu), (1, Need::Gpu), (2, Need::Cpu)] {
        search.add(name(index), Job::new(Some(index), need, Standing::Waiting));
    }
    assert_eq!(search.demand(), Demand { cpu: 1, gpu: 5, ..Demand::default() });
}

#[test]
fn slots_that_nobody_needs_go_back() {
    let mut done = accepted(0);
    assert_eq!(react::on_slot(&mut done, lease(1), 0), [release(1, None)]);
    let mut other_kind = accepted(1);
    let gpu = Lease { id: 1, device: device("GPU-1"), need: Need::Gpu };
    let effects = react::on_slot(&mut other_kind, gpu.clone(), 0);
    assert_eq!(effects, [Effect::Release { lease: gpu, job: None, failed: false }]);
    let mut paused = accepted(1);
    react::on_space(&mut paused, SpaceNews::Accepted(Terms { paused: true, ..terms(1) }));
    assert_eq!(react::on_slot(&mut paused, lease(1), 0), [release(1, None)]);
}

#[test]
fn without_a_device_one_job_after_the_other_is_drawn_and_recorded_as_failed() {
    let mut search = accepted(2);
    let draw = |index| Effect::Draw { index, lease: None, failure: Some("no GPU".into()) };
    assert_eq!(react::on_no_device(&mut search, Need::Cpu, "no GPU"), [draw(0)]);
    assert_eq!(react::on_no_device(&mut search, Need::Cpu, "no GPU"), [], "one at a time");
    let drawn = Drawn::Failed { need: Need::Cpu, class: FailureClass::Device, sentence: "no GPU".into() };
    let effects = react::on_drawn(&mut search, 0, name(0), drawn.clone(), 0);
    let say = Effect::Say("job-0 is not launched (device): no GPU".into());
    assert_eq!(effects, [Effect::Tabulate { job: name(0) }, say, Effect::Ask(cpu(1))]);
    assert_eq!(react::on_no_device(&mut search, Need::Cpu, "no GPU"), [draw(1)]);
    react::on_drawn(&mut search, 1, name(1), drawn, 0);
    assert_eq!(search.undrawn(), 0);
}

#[test]
fn a_job_too_large_for_its_device_fails_unattempted_and_returns_its_slot() {
    use super::attempt_end::on_too_large;
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let effects = on_too_large(&mut search, &name(0), "9 of 8 GB".into());
    let say = Effect::Say("job-0 failed (too_large): 9 of 8 GB".into());
    assert!(effects.first() == Some(&say) && effects.contains(&release(1, Some(0))), "{effects:?}");
    let recorded = effects.iter().find_map(|effect| match effect {
        Effect::Record { update, .. } => Some(update),
        _ => None,
    });
    let RecordUpdate { state, history } = recorded.expect("its record is brought up to date");
    let failed = JobState::Failed { class: FailureClass::TooLarge, sentence: "9 of 8 GB".into() };
    assert_eq!((state, history.attempts), (&failed, 0));
    assert_eq!(on_too_large(&mut search, &name(0), "9 of 8 GB".into()), [], "it has no slot any more");
}

#[test]
fn a_demand_that_was_refused_is_made_again_when_it_arises_again() {
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 0);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 0);
    react::on_not_started(&mut search, &name(0), "absent".into());
    assert!(super::holds::on_room(&mut search).contains(&Effect::Ask(cpu(1))));
    let effects = react::on_no_device(&mut search, Need::Cpu, "none");
    assert!(matches!(search.jobs[&name(0)].standing, Standing::Failed(FailureClass::Device, _)), "{effects:?}");
    let (_, effects) = super::command::on_command(&mut search, super::command::Command::RetryJob(name(0))).expect("done");
    assert!(effects.contains(&Effect::Ask(cpu(1))), "the devices forgot the last one: {effects:?}");
}

#[test]
fn a_job_drawn_while_its_search_is_paused_or_cancelled_is_not_launched() {
    use super::command::{Command, on_command};
    for (command, standing) in [(Command::PauseSearch, Standing::Waiting), (Command::CancelSearch, Standing::Cancelled)] {
        let mut search = accepted(2);
        react::on_slot(&mut search, lease(1), 0);
        on_command(&mut search, command).expect("done");
        let effects = react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 0);
        assert!(effects.contains(&release(1, None)), "{effects:?}");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Launch { .. })), "{effects:?}");
        assert_eq!(search.jobs[&name(0)].standing, standing);
    }
}

#[test]
fn a_draw_that_left_no_folder_gives_its_slot_back() {
    let mut search = accepted(2);
    react::on_slot(&mut search, lease(1), 0);
    let effects = react::on_not_drawn(&mut search, 0, NotDrawn::NameTaken);
    let say = Effect::Say("the folder of job 0 exists and is no job; the search goes on without it".into());
    assert_eq!(effects, [release(1, None), say]);
    react::on_slot(&mut search, lease(2), 0);
    let effects = react::on_not_drawn(&mut search, 1, NotDrawn::Refused("full".into()));
    let say = Effect::Say("nothing new is started: full".into());
    assert_eq!(effects, [release(2, None), say, Effect::Probe { seconds: 1 }]);
    super::holds::on_room(&mut search);
    let draw = Effect::Draw { index: 1, lease: Some(lease(3)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(3), 0), [draw], "its index is drawn again");
}

#[test]
fn a_trainer_that_cannot_be_started_holds_the_search_and_fails_no_job() {
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let effects = react::on_not_started(&mut search, &name(0), "absent".into());
    let record = Effect::Record { job: name(0), update: update(JobState::Queued, 0, 0) };
    let say = Effect::Say("nothing new is started: absent".into());
    assert_eq!(effects, [say, Effect::Probe { seconds: 1 }, record, release(1, None)], "and it counts as no attempt");
}

#[test]
fn a_job_whose_own_folder_keeps_its_trainer_from_starting_waits_alone() {
    let mut search = accepted(2);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let effects = react::on_not_startable(&mut search, &name(0), "damaged".into());
    let rest = Effect::Rest { job: name(0), seconds: 10 };
    assert_eq!(effects, [Effect::Say("job-0: damaged".into()), rest, release(1, None)]);
    assert!(search.is_open());
    assert_eq!(search.jobs[&name(0)].trouble.as_deref(), Some("damaged"));
    let draw = Effect::Draw { index: 1, lease: Some(lease(2)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(2), 100), [draw], "the others go on");
    assert_eq!(attempt_end::on_retry_due(&mut search, &name(0)), [Effect::Ask(cpu(1))]);
    react::on_slot(&mut search, lease(3), 100);
    react::on_started(&mut search, &name(0));
    assert_eq!(search.jobs[&name(0)].trouble, None);
}

#[test]
fn a_job_whose_folder_went_before_its_trainer_could_start_is_drawn_again() {
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let effects = react::on_folder_gone(&mut search, &name(0));
    let say = Effect::Say("the folder of job-0 is gone".into());
    assert_eq!(effects, [say, Effect::Tabulate { job: name(0) }, release(1, None), Effect::Ask(cpu(1))]);
    let draw = Effect::Draw { index: 0, lease: Some(lease(2)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(2), 100), [draw]);
}
