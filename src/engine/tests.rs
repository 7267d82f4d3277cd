//! Tables of events and the effects they must have, and no others.

use super::effect::{Effect, RecordUpdate};
use super::outcome::Outcome;
use super::react::{self, Drawn, NotDrawn, SpaceNews};
use super::restore::{self, Found, FoundRecord, TrainerSeen};
use super::state::{Demand, Job, Lease, Need, Search, Space, Standing, StopReason, Terms};
use crate::domain::job::{Ended, FailureClass, JobName, JobState};

fn terms(n_jobs: u64) -> Terms {
    Terms {
        seed: 7,
        n_jobs,
        job_prefix: "job".into(),
        space_sha256: "a".into(),
        need: Need::Cpu,
        paused: false,
        priority: 0,
        slots: None,
        time_limit: None,
    }
}

fn name(index: u64) -> JobName {
    JobName::numbered("job", index).expect("a name")
}

fn lease(id: u64) -> Lease {
    Lease { id, device: "cpu".into(), need: Need::Cpu }
}

fn cpu(cpu: u64) -> Demand {
    Demand { cpu, ..Demand::default() }
}

fn update(state: JobState, attempts: u32, failures_in_a_row: u32) -> RecordUpdate {
    RecordUpdate { state, attempts, failures_in_a_row, checkpoints_seen: 0 }
}

fn running() -> JobState {
    JobState::Running { device: "cpu".into(), since: 100 }
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
    Outcome { ended, checkpoints: 0 }
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
    let by_own_folds = [Effect::TabulateAll, Effect::Ask(cpu(0))];
    assert_eq!(react::on_space(&mut search, SpaceNews::Refused("fault".into())), by_own_folds);
    assert_eq!(search.space, Space::Refused("fault".into()));
    assert_eq!(react::on_space(&mut search, SpaceNews::Unsettled), []);
    assert_eq!(react::on_space(&mut search, SpaceNews::Missing), [], "the tables go by each job's own folds already");
    assert_eq!(react::on_space(&mut search, SpaceNews::Accepted(terms(3))), [Effect::TabulateAll, Effect::Ask(cpu(3))]);
    assert_eq!(react::on_space(&mut search, SpaceNews::Unsettled), [Effect::Ask(cpu(0))]);
    assert_eq!(react::on_space(&mut search, SpaceNews::Accepted(terms(3))), [Effect::Ask(cpu(3))], "touched, not changed");
    assert_eq!(react::on_space(&mut search, SpaceNews::Missing), by_own_folds);
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
fn slots_that_nobody_needs_go_back() {
    let mut done = accepted(0);
    assert_eq!(react::on_slot(&mut done, lease(1), 0), [release(1, None)]);
    let mut other_kind = accepted(1);
    let gpu = Lease { id: 1, device: "GPU-1".into(), need: Need::Gpu };
    let effects = react::on_slot(&mut other_kind, gpu.clone(), 0);
    assert_eq!(effects, [Effect::Release { lease: gpu, job: None, failed: false }]);
    let mut paused = accepted(1);
    react::on_space(&mut paused, SpaceNews::Accepted(Terms { paused: true, ..terms(1) }));
    assert_eq!(react::on_slot(&mut paused, lease(1), 0), [release(1, None)]);
}

#[test]
fn what_follows_from_the_end_of_an_attempt() {
    let failed = |class, sentence: &str| JobState::Failed { class, sentence: sentence.into() };
    let say = |class, text: &str| Effect::Say(format!("job-0 failed ({class}): {text}"));
    let record = |update| Effect::Record { job: name(0), update };
    let tabulate = Effect::Tabulate { job: name(0) };
    let back = release(1, Some(0));
    let bad = Ended::Failed { class: FailureClass::BadData, sentence: "no image".into() };
    let table: [(Outcome, Vec<Effect>); 4] = [
        (ended(Some(Ended::Done)), vec![record(update(JobState::Done, 1, 0)), tabulate.clone(), back.clone()]),
        (
            ended(Some(bad)),
            vec![
                say(FailureClass::BadData, "no image"),
                record(update(failed(FailureClass::BadData, "no image"), 1, 1)),
                tabulate.clone(),
                back.clone(),
            ],
        ),
        // The first retry comes at once, so the job counts as ready for a slot again.
        (crashed(), vec![record(update(JobState::Queued, 1, 1)), tabulate.clone(), back.clone(), Effect::Ask(cpu(1))]),
        (ended(None), vec![record(update(JobState::Queued, 1, 0)), tabulate, back, Effect::Ask(cpu(1))]),
    ];
    for (outcome, expected) in table {
        let mut search = with_running(1);
        assert_eq!(react::on_ended(&mut search, &name(0), &outcome), expected, "{outcome:?}");
    }
}

/// Runs job 0 in slot `id` until the given end.
fn attempt(search: &mut Search, id: u64, outcome: &Outcome) -> Vec<Effect> {
    react::on_slot(search, lease(id), 100);
    react::on_started(search, &name(0));
    react::on_ended(search, &name(0), outcome)
}

#[test]
fn crashes_are_retried_with_growing_pauses_and_given_up_at_the_fifth_in_a_row() {
    let mut search = with_running(1);
    react::on_ended(&mut search, &name(0), &crashed());
    let mut pauses = Vec::new();
    for id in 2..=4 {
        let effects = attempt(&mut search, id, &crashed());
        pauses.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Rest { seconds, .. } => Some(*seconds),
            _ => None,
        }));
        assert_eq!(react::on_retry_due(&mut search, &name(0)), [Effect::Ask(cpu(1))]);
    }
    assert_eq!(pauses, [1, 2, 4]);
    attempt(&mut search, 5, &crashed());
    assert!(
        matches!(&search.jobs[&name(0)].standing, Standing::Failed(FailureClass::Crashed, text) if text.contains("5 attempts"))
    );
}

#[test]
fn a_new_checkpoint_starts_the_count_of_failures_again() {
    let mut search = with_running(1);
    react::on_ended(&mut search, &name(0), &crashed());
    attempt(&mut search, 2, &crashed());
    react::on_retry_due(&mut search, &name(0));
    react::on_slot(&mut search, lease(3), 100);
    react::on_started(&mut search, &name(0));
    assert_eq!(react::on_progress(&mut search, &name(0), 3, false), []);
    assert_eq!(search.jobs[&name(0)].failures_in_a_row, 0);
    assert_eq!(react::on_progress(&mut search, &name(0), 3, true), [Effect::Tabulate { job: name(0) }]);
    react::on_ended(&mut search, &name(0), &Outcome { checkpoints: 3, ..crashed() });
    assert_eq!(search.jobs[&name(0)].failures_in_a_row, 1);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Waiting);
}

#[test]
fn a_stalled_job_is_stopped_and_counted_as_stalled() {
    let mut search = with_running(1);
    let effects = react::on_stalled(&mut search, &name(0));
    assert_eq!(effects, [Effect::Say("job-0 makes no progress and is stopped".into()), Effect::Stop { job: name(0) }]);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Stopping(lease(1), StopReason::Stall));
    assert_eq!(react::on_stalled(&mut search, &name(0)), [], "once is enough");
    react::on_ended(&mut search, &name(0), &ended(Some(Ended::Interrupted)));
    let job = &search.jobs[&name(0)];
    assert_eq!((&job.standing, job.failures_in_a_row), (&Standing::Waiting, 1));
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
fn a_full_disk_starts_nothing_new_and_what_was_not_recorded_is_recorded_when_there_is_room() {
    let mut search = with_running(2);
    let effects = react::on_unsaved(&mut search, Some(&name(0)), "full".into());
    assert_eq!(effects, [Effect::Say("nothing new is started: full".into()), Effect::Ask(cpu(0))]);
    assert_eq!(react::on_slot(&mut search, lease(2), 0), [release(2, None)]);
    let record = Effect::Record { job: name(0), update: update(running(), 1, 0) };
    let say = Effect::Say("the directory can be written again; the search goes on".into());
    assert_eq!(react::on_room(&mut search), [say, record, Effect::TabulateAll, Effect::Ask(cpu(1))]);
    assert_eq!(react::on_room(&mut search), []);
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
    assert_eq!(effects, [release(2, None), Effect::Say("nothing new is started: full".into())]);
    react::on_room(&mut search);
    let draw = Effect::Draw { index: 1, lease: Some(lease(3)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(3), 0), [draw], "its index is drawn again");
}

#[test]
fn a_trainer_that_cannot_be_started_holds_the_search_and_fails_no_job() {
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 100);
    react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
    let effects = react::on_not_started(&mut search, &name(0), "absent".into());
    let record = Effect::Record { job: name(0), update: update(JobState::Queued, 1, 0) };
    assert_eq!(effects, [Effect::Say("nothing new is started: absent".into()), record, release(1, None)]);
}

fn found(state: JobState, trainer: TrainerSeen) -> Vec<Found> {
    let record = FoundRecord {
        index: Some(0),
        ours: true,
        state,
        attempts: 2,
        failures_in_a_row: 1,
        checkpoints_seen: 0,
        trainer,
        checkpoints: 0,
    };
    vec![Found { name: name(0), record: Some(record), need: Need::Cpu }]
}

#[test]
fn what_a_new_daemon_makes_of_a_jobs_records() {
    let gone = || TrainerSeen::Gone(None);
    let record = |state, failures| Effect::Record { job: name(0), update: update(state, 2, failures) };
    let tabulate = Effect::Tabulate { job: name(0) };
    let table: [(JobState, TrainerSeen, Standing, Vec<Effect>); 6] = [
        (
            running(),
            TrainerSeen::Alive("cpu".into()),
            Standing::Adopting,
            vec![Effect::Claim { job: name(0), device: "cpu".into() }],
        ),
        (running(), gone(), Standing::Waiting, vec![record(JobState::Queued, 1), tabulate.clone(), Effect::Ask(cpu(1))]),
        (running(), TrainerSeen::Gone(Some(Ended::Done)), Standing::Done, vec![record(JobState::Done, 1), tabulate]),
        (running(), TrainerSeen::Unclear("far".into()), Standing::Unclear("far".into()), vec![]),
        (JobState::Queued, gone(), Standing::Waiting, vec![Effect::Ask(cpu(1))]),
        (JobState::Paused, gone(), Standing::Paused, vec![]),
    ];
    for (state, trainer, standing, expected) in table {
        let mut search = Search { terms: Some(terms(1)), ..Search::default() };
        assert_eq!(restore::on_found(&mut search, found(state.clone(), trainer)), expected, "{state:?}");
        assert_eq!(search.jobs[&name(0)].standing, standing, "{state:?}");
    }
}

#[test]
fn an_adopted_job_is_followed_once_its_slot_is_claimed() {
    let mut search = Search { terms: Some(terms(1)), ..Search::default() };
    restore::on_found(&mut search, found(running(), TrainerSeen::Alive("cpu".into())));
    let effects = restore::on_claimed(&mut search, &name(0), lease(9));
    let record = Effect::Record { job: name(0), update: update(running(), 2, 1) };
    assert_eq!(effects, [record, Effect::Follow { job: name(0), lease: lease(9) }]);
    assert_eq!(restore::on_claimed(&mut search, &name(0), lease(10)), [release(10, None)]);
}

#[test]
fn an_unclear_job_is_neither_finished_nor_started_until_more_is_known() {
    let mut search = accepted(1);
    restore::on_found(&mut search, found(running(), TrainerSeen::Unclear("far".into())));
    assert_eq!(restore::on_gone(&mut search, &[name(0)]), []);
    assert!(search.jobs.contains_key(&name(0)), "its folder may be out of reach for a moment");
    let effects = restore::on_looked_again(&mut search, &name(0), TrainerSeen::Gone(None), 0);
    assert_eq!(effects.last(), Some(&Effect::Ask(cpu(1))));
}

#[test]
fn other_peoples_jobs_are_tabulated_and_never_touched() {
    let mut search = accepted(2);
    let foreign = Found { name: name(0), record: None, need: Need::Cpu };
    assert_eq!(restore::on_found(&mut search, vec![foreign]), [Effect::Ask(cpu(1))], "its index counts as drawn");
    assert_eq!(restore::on_foreign(&mut search, &name(0), Some(JobState::Done)), [Effect::Tabulate { job: name(0) }]);
    assert_eq!(restore::on_foreign(&mut search, &name(0), Some(JobState::Done)), []);
    let draw = Effect::Draw { index: 1, lease: Some(lease(1)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(1), 0), [draw]);
}

#[test]
fn a_folder_that_is_gone_is_forgotten_and_its_job_drawn_again() {
    let mut search = accepted(1);
    search.add(name(0), Job::new(Some(0), Need::Cpu, Standing::Done));
    let effects = restore::on_gone(&mut search, &[name(0)]);
    let say = Effect::Say("the folder of job-0 is gone".into());
    assert_eq!(effects, [say, Effect::Tabulate { job: name(0) }]);
    assert_eq!(search.next_index(), Some(0));
}
