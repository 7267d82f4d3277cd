//! How attempts end, and what becomes of their jobs.

use super::*;
use crate::engine::holds;

/// The same update, with how the last attempt failed.
fn after(mut update: RecordUpdate, class: FailureClass, sentence: &str) -> RecordUpdate {
    update.history.note_failure(class, sentence.into());
    update
}

#[test]
fn what_follows_from_the_end_of_an_attempt() {
    let failed = |class, sentence: &str| JobState::Failed { class, sentence: sentence.into() };
    let say = |text: &str| Effect::Say(text.to_string());
    let record = |update| Effect::Record { job: name(0), update };
    let back = release(1, Some(0));
    let bad = Ended::Failed { class: FailureClass::BadData, sentence: "no image".into() };
    let table: [(Outcome, Vec<Effect>); 4] = [
        (ended(Some(Ended::Done)), vec![record(update(JobState::Done, 1, 0)), back.clone()]),
        (
            ended(Some(bad)),
            vec![
                say("job-0 failed (bad_data): no image"),
                record(after(update(failed(FailureClass::BadData, "no image"), 1, 1), FailureClass::BadData, "no image")),
                back.clone(),
            ],
        ),
        // The first retry comes at once, so the job counts as ready for a slot again.
        (
            crashed(),
            vec![
                say("attempt 1 of job-0 ended (crashed): crash; it is tried again"),
                record(after(update(JobState::Queued, 1, 1), FailureClass::Crashed, "crash")),
                back.clone(),
                Effect::Ask(cpu(1)),
            ],
        ),
        (
            ended(None),
            vec![
                say("attempt 1 of job-0 ended (lost): it ended while nobody watched; it is tried again"),
                record(after(update(JobState::Queued, 1, 0), FailureClass::Lost, "it ended while nobody watched")),
                back,
                Effect::Ask(cpu(1)),
            ],
        ),
    ];
    for (outcome, expected) in table {
        let mut search = with_running(1);
        assert_eq!(attempt_end::on_ended(&mut search, &name(0), &outcome), expected, "{outcome:?}");
    }
}

#[test]
fn the_end_of_a_job_is_tabulated_once_and_only_after_its_record() {
    let tabulated = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Tabulate { .. })).count();
    let recorded = |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Record { .. })).count();
    let asked = Some(StopReason::Pause);
    for (outcome, stop) in [(ended(Some(Ended::Done)), None), (crashed(), None), (ended(None), None), (crashed(), asked)] {
        let mut search = with_running(1);
        if let Some(reason) = stop {
            search.set(&name(0), Standing::Stopping(lease(1), reason));
        }
        let effects = attempt_end::on_ended(&mut search, &name(0), &outcome);
        assert_eq!((recorded(&effects), tabulated(&effects)), (1, 0), "{effects:?}");
        // Its record is carried out, or cannot be: the row shows whatever there is then.
        assert_eq!(tabulated(&holds::on_saved(&mut search.clone(), &name(0))), 1);
        assert_eq!(tabulated(&holds::on_damaged(&mut search.clone(), &name(0), "no JSON".into())), 1);
        assert_eq!(tabulated(&holds::on_unsaved(&mut search, Some(&name(0)), "full".into())), 1);
    }
}

#[test]
fn a_result_that_the_disk_did_not_take_holds_the_search_and_counts_against_no_job() {
    let full = Outcome { room_wanted: 9, ..ended(Some(Ended::Interrupted { sentence: Some("full".into()) })) };
    let mut search = with_running(2);
    let effects = attempt_end::on_ended(&mut search, &name(0), &full);
    let expected = [
        Effect::Say("nothing new is started: full".into()),
        Effect::Probe { seconds: 1 },
        Effect::Record { job: name(0), update: update(JobState::Queued, 1, 0) },
        release(1, Some(0)),
        Effect::Ask(cpu(0)),
    ];
    assert_eq!(effects, expected);
    assert_eq!((search.jobs[&name(0)].standing.clone(), search.room_wanted), (Standing::Waiting, 9));
    for _ in 0..30 {
        holds::on_room(&mut search);
        attempt(&mut search, 2, &full);
    }
    assert_eq!(search.jobs[&name(0)].standing, Standing::Waiting, "however often");
}

#[test]
fn one_unreadable_input_fails_its_job_at_the_fifth_try_and_holds_no_other() {
    let unread =
        |input_alone| Outcome { input_alone, ..ended(Some(Ended::Interrupted { sentence: Some("no /caps/x: EIO".into()) })) };
    let mut search = with_running(2);
    attempt_end::on_ended(&mut search, &name(0), &unread(true));
    for id in 2..=4 {
        let job = &search.jobs[&name(0)];
        assert!(job.trouble.as_deref().is_some_and(|shown| shown.contains("/caps/x")), "people have to see it");
        assert!(search.is_open(), "the other job may start");
        attempt_end::on_retry_due(&mut search, &name(0));
        // An outage of the whole file system meanwhile counts for nothing.
        attempt(&mut search, 10 * id, &unread(false));
        assert!(!search.is_open());
        holds::on_room(&mut search);
        attempt(&mut search, id, &unread(true));
        assert_eq!(search.jobs[&name(0)].history.failures_in_a_row as u64, id);
    }
    attempt_end::on_retry_due(&mut search, &name(0));
    let mut forgiven = search.clone();
    attempt(&mut search, 5, &unread(true));
    let job = &search.jobs[&name(0)];
    let words = ["/caps/x: EIO", "other files", "5 such attempts"];
    let fits = |sentence: &str| words.iter().all(|word| sentence.contains(word));
    assert!(matches!(&job.standing, Standing::Failed(FailureClass::BadData, text) if fits(text)), "{:?}", job.standing);
    assert_eq!(job.trouble, None);
    attempt(&mut forgiven, 5, &Outcome { checkpoints: 1, ..unread(true) });
    assert_eq!(forgiven.jobs[&name(0)].history.failures_in_a_row, 1, "a checkpoint lies between");
}

/// Runs job 0 in slot `id` until the given end.
fn attempt(search: &mut Search, id: u64, outcome: &Outcome) -> Vec<Effect> {
    react::on_slot(search, lease(id), 100);
    react::on_started(search, &name(0));
    attempt_end::on_ended(search, &name(0), outcome)
}

#[test]
fn crashes_are_retried_with_growing_pauses_and_given_up_at_the_fifth_in_a_row() {
    let mut search = with_running(1);
    attempt_end::on_ended(&mut search, &name(0), &crashed());
    let mut pauses = Vec::new();
    for id in 2..=4 {
        let effects = attempt(&mut search, id, &crashed());
        pauses.extend(effects.iter().filter_map(|effect| match effect {
            Effect::Rest { seconds, .. } => Some(*seconds),
            _ => None,
        }));
        let next = format!("it is tried again in {} s", 1 << (id - 2));
        assert!(matches!(&effects[0], Effect::Say(text) if text.ends_with(&next)), "{effects:?}");
        assert_eq!(attempt_end::on_retry_due(&mut search, &name(0)), [Effect::Ask(cpu(1))]);
    }
    assert_eq!(pauses, [1, 2, 4]);
    attempt(&mut search, 5, &crashed());
    let standing = &search.jobs[&name(0)].standing;
    assert!(matches!(standing, Standing::Failed(FailureClass::Crashed, text) if text.contains("5 such attempts")));
}

#[test]
fn kills_have_a_count_of_their_own_up_to_20_and_crashes_theirs_up_to_5() {
    let killed = || ended(Some(Ended::Failed { class: FailureClass::Killed, sentence: "SIGKILL".into() }));
    let mut search = with_running(1);
    attempt_end::on_ended(&mut search, &name(0), &killed());
    let mut run = |id, outcome: &Outcome| {
        attempt_end::on_retry_due(&mut search, &name(0));
        attempt(&mut search, id, outcome);
        search.jobs[&name(0)].standing.clone()
    };
    for id in 2..=19 {
        assert!(!matches!(run(id, &killed()), Standing::Failed(..)), "{id}");
    }
    for id in 20..=23 {
        assert!(!matches!(run(id, &crashed()), Standing::Failed(..)), "19 kills leave room for 4 crashes");
    }
    let last = run(24, &killed());
    assert!(matches!(&last, Standing::Failed(FailureClass::Killed, text) if text.contains("20 such attempts")), "{last:?}");
}

#[test]
fn whatever_the_end_a_checkpoint_forgives_what_was_counted_before() {
    for last in [ended(None), ended(Some(Ended::Interrupted { sentence: Some("full".into()) }))] {
        let mut search = with_running(1);
        attempt_end::on_ended(&mut search, &name(0), &crashed());
        attempt(&mut search, 2, &Outcome { checkpoints: 1, ..last });
        assert_eq!(search.jobs[&name(0)].history.failures_in_a_row, 0);
    }
}

#[test]
fn a_new_checkpoint_starts_the_count_of_failures_again() {
    let mut search = with_running(1);
    attempt_end::on_ended(&mut search, &name(0), &crashed());
    attempt(&mut search, 2, &crashed());
    attempt_end::on_retry_due(&mut search, &name(0));
    react::on_slot(&mut search, lease(3), 100);
    react::on_started(&mut search, &name(0));
    assert_eq!(react::on_progress(&mut search, &name(0), 3, false), []);
    assert_eq!(search.jobs[&name(0)].history.failures_in_a_row, 0);
    assert_eq!(react::on_progress(&mut search, &name(0), 3, true), [Effect::Tabulate { job: name(0) }]);
    attempt_end::on_ended(&mut search, &name(0), &Outcome { checkpoints: 3, ..crashed() });
    assert_eq!(search.jobs[&name(0)].history.failures_in_a_row, 1);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Waiting);
}

#[test]
fn an_attempt_that_got_somewhere_ends_the_count_of_holds_in_a_row() {
    for (end, checkpoints, left) in [(None, 0, 3), (None, 1, 0), (Some(Ended::Done), 0, 0)] {
        let mut search = with_running(1);
        search.holds_in_a_row = 3;
        attempt_end::on_ended(&mut search, &name(0), &Outcome { checkpoints, ..ended(end) });
        assert_eq!(search.holds_in_a_row, left, "{checkpoints} checkpoints");
    }
}

#[test]
fn a_job_asked_to_stop_before_its_trainer_could_start_has_stopped() {
    use crate::engine::command::{Command, on_command};
    for (command, standing) in
        [(Command::PauseJob(name(0)), Standing::Paused), (Command::CancelJob(name(0)), Standing::Cancelled)]
    {
        let mut search = accepted(1);
        react::on_slot(&mut search, lease(1), 100);
        react::on_drawn(&mut search, 0, name(0), Drawn::Ready { need: Need::Cpu }, 100);
        on_command(&mut search, command).expect("asked");
        react::on_not_started(&mut search, &name(0), "absent".into());
        let job = &search.jobs[&name(0)];
        assert_eq!((&job.standing, job.history.pending), (&standing, None));
    }
}

#[test]
fn a_stalled_job_is_stopped_and_counted_as_stalled() {
    let mut search = with_running(1);
    let effects = react::on_stalled(&mut search, &name(0));
    assert_eq!(effects, [Effect::Say("job-0 makes no progress and is stopped".into()), Effect::Stop { job: name(0) }]);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Stopping(lease(1), StopReason::Stall));
    assert_eq!(react::on_stalled(&mut search, &name(0)), [], "once is enough");
    attempt_end::on_ended(&mut search, &name(0), &ended(Some(Ended::Interrupted { sentence: None })));
    let job = &search.jobs[&name(0)];
    assert_eq!((&job.standing, job.history.failures_in_a_row), (&Standing::Waiting, 1));
}
