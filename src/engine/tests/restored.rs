//! What a new daemon, or a new look, makes of what lies in the folders.

use super::*;
use crate::domain::device::Holder;
use crate::domain::job::RunElsewhere;
use crate::engine::restore::{self, FoundJob, FoundRecord, Theirs, TrainerSeen, Unread};

fn unclear(why: &str, holder: Holder) -> TrainerSeen {
    TrainerSeen::Unclear { why: why.into(), holder }
}

fn claim(on: &str) -> Effect {
    Effect::Claim { job: name(0), device: device(on) }
}

fn found(state: JobState, trainer: TrainerSeen) -> Vec<FoundJob> {
    let record = FoundRecord {
        index: Some(0),
        ours: true,
        elsewhere: None,
        state,
        history: AttemptHistory { attempts: 2, failures_in_a_row: 1, ..AttemptHistory::default() },
        trainer,
        checkpoints: 0,
    };
    vec![FoundJob { name: name(0), record: Ok(Some(record)), need: Need::Cpu }]
}

#[test]
fn what_a_new_daemon_makes_of_a_jobs_records() {
    let gone = || TrainerSeen::Gone(None);
    let record = |state, failures| Effect::Record { job: name(0), update: update(state, 2, failures) };
    let sentence = "it ended while nobody watched".to_string();
    let say_lost = || Effect::Say(format!("attempt 2 of job-0 ended (lost): {sentence}; it is tried again"));
    let lost = || {
        let mut update = update(JobState::Queued, 2, 1);
        update.history.note_failure(FailureClass::Lost, sentence.clone());
        Effect::Record { job: name(0), update }
    };
    let on = |name: &str| unclear("held", Holder::Here(Some(device(name))));
    let table: [(JobState, TrainerSeen, Standing, Vec<Effect>); 11] = [
        (running(), TrainerSeen::Alive(device("cpu")), Standing::Adopting, vec![claim("cpu")]),
        (running(), gone(), Standing::Waiting, vec![say_lost(), lost(), Effect::Ask(cpu(1))]),
        // A SIGTERM that nobody saw being sent is no kill: it may have come from a machine that went down.
        (
            running(),
            TrainerSeen::Gone(Some(Ended::Interrupted { sentence: None })),
            Standing::Waiting,
            vec![say_lost(), lost(), Effect::Ask(cpu(1))],
        ),
        (running(), TrainerSeen::Gone(Some(Ended::Done)), Standing::Done, vec![record(JobState::Done, 1)]),
        // Somebody holds it, on the device that he names, else on that of its record: nobody else gets that slot.
        (running(), on("GPU-7"), Standing::Unclear("held".into()), vec![claim("GPU-7")]),
        (JobState::Queued, on("cpu"), Standing::Unclear("held".into()), vec![claim("cpu")]),
        (running(), unclear("held", Holder::Here(None)), Standing::Unclear("held".into()), vec![claim("cpu")]),
        (running(), unclear("far", Holder::Elsewhere), Standing::Unclear("far".into()), vec![]),
        (running(), unclear("far", Holder::Nobody), Standing::Unclear("far".into()), vec![]),
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
    restore::on_found(&mut search, found(running(), TrainerSeen::Alive(device("cpu"))));
    assert_eq!(restore::on_gone(&mut search, &[name(0)]), [], "its trainer lives, so its folder is not given up");
    let effects = restore::on_claimed(&mut search, &name(0), lease(9));
    let record = Effect::Record { job: name(0), update: update(running(), 2, 1) };
    assert_eq!(effects, [record, Effect::Follow { job: name(0), lease: lease(9) }]);
    assert_eq!(restore::on_claimed(&mut search, &name(0), lease(10)), [release(10, None)]);
}

#[test]
fn an_unclear_job_is_neither_finished_nor_started_until_more_is_known() {
    let mut search = accepted(1);
    restore::on_found(&mut search, found(running(), unclear("far", Holder::Elsewhere)));
    assert_eq!(restore::on_gone(&mut search, &[name(0)]), []);
    assert!(search.jobs.contains_key(&name(0)), "its folder may be out of reach for a moment");
    let effects = restore::on_looked_again(&mut search, &name(0), TrainerSeen::Gone(None), 3);
    assert_eq!(effects.last(), Some(&Effect::Ask(cpu(1))));
    assert_eq!(search.jobs[&name(0)].history.checkpoints_seen, 3, "as the last look counted them");
}

#[test]
fn other_peoples_jobs_are_tabulated_and_never_touched() {
    let mut search = accepted(2);
    let foreign = FoundJob { name: name(0), record: Ok(None), need: Need::Cpu };
    assert_eq!(restore::on_found(&mut search, vec![foreign]), [Effect::Ask(cpu(1))], "its index counts as drawn");
    let theirs = |attempts| Theirs { state: Some(JobState::Done), attempts, elsewhere: None };
    assert_eq!(restore::on_foreign(&mut search, &name(0), theirs(1)), [Effect::Tabulate { job: name(0) }]);
    assert_eq!(restore::on_foreign(&mut search, &name(0), theirs(2)), []);
    assert_eq!(search.jobs[&name(0)].history.attempts, 2, "as its record counts them");
    let draw = Effect::Draw { index: 1, lease: Some(lease(1)), failure: None };
    assert_eq!(react::on_slot(&mut search, lease(1), 0), [draw]);
}

#[test]
fn an_index_whose_folders_name_was_taken_is_drawn_once_it_is_free() {
    let mut search = accepted(1);
    react::on_slot(&mut search, lease(1), 0);
    react::on_not_drawn(&mut search, 0, NotDrawn::NameTaken);
    assert_eq!((search.next_index(), search.taken.first()), (None, Some(&0)));
    assert_eq!(restore::on_freed(&mut search, &[0]), [Effect::Ask(cpu(1))]);
    assert_eq!((search.next_index(), search.taken.first()), (Some(0), None));
    // Somebody has run it under another name meanwhile.
    react::on_not_drawn(&mut search, 0, NotDrawn::NameTaken);
    search.add(name(7), Job::new(Some(0), Need::Cpu, Standing::Foreign(None)));
    restore::on_freed(&mut search, &[0]);
    assert_eq!(search.next_index(), None);
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

/// Job 0, whose record says running with a wish, and whose trainer was seen so.
fn asked(request: PendingRequest, trainer: TrainerSeen) -> (Search, Vec<Effect>) {
    let mut search = Search { terms: Some(terms(1)), ..Search::default() };
    let mut found = found(running(), trainer);
    if let Ok(Some(record)) = &mut found[0].record {
        record.history.pending = Some(request);
    }
    let effects = restore::on_found(&mut search, found);
    (search, effects)
}

#[test]
fn what_was_asked_of_a_dead_daemon_is_done_by_the_next_one() {
    for (request, reason, standing) in [
        (PendingRequest::Pause, StopReason::Pause, Standing::Paused),
        (PendingRequest::Cancel, StopReason::Cancel, Standing::Cancelled),
    ] {
        let (search, _) = asked(request, TrainerSeen::Gone(None));
        assert_eq!(search.jobs[&name(0)].standing, standing);
        let (mut search, effects) = asked(request, TrainerSeen::Alive(device("cpu")));
        assert_eq!(effects, [Effect::Claim { job: name(0), device: device("cpu") }]);
        let effects = restore::on_claimed(&mut search, &name(0), lease(9));
        assert_eq!(effects.last(), Some(&Effect::Stop { job: name(0) }), "{effects:?}");
        assert_eq!(search.jobs[&name(0)].standing, Standing::Stopping(lease(9), reason));
        attempt_end::on_ended(&mut search, &name(0), &ended(Some(Ended::Interrupted { sentence: None })));
        assert_eq!((&search.jobs[&name(0)].standing, search.jobs[&name(0)].history.pending), (&standing, None));
    }
}

#[test]
fn an_unclear_job_becomes_what_somebody_says_once_nobody_holds_it() {
    use crate::engine::command::{Command, on_command};
    let table = [
        (Command::CancelJob(name(0)), Standing::Cancelled),
        (Command::PauseJob(name(0)), Standing::Paused),
        (Command::RetryJob(name(0)), Standing::Waiting),
    ];
    for (command, standing) in table {
        let mut search = accepted(1);
        restore::on_found(&mut search, found(running(), unclear("far", Holder::Elsewhere)));
        on_command(&mut search, command).expect("asked");
        restore::on_looked_again(&mut search, &name(0), unclear("held", Holder::Here(None)), 0);
        assert_eq!(search.jobs[&name(0)].standing, Standing::Unclear("held".into()), "somebody may train it");
        restore::on_looked_again(&mut search, &name(0), unclear("far", Holder::Nobody), 0);
        assert_eq!(search.jobs[&name(0)].standing, standing);
    }
}

#[test]
fn a_job_whose_record_cannot_be_read_keeps_its_index_and_is_left_alone_until_it_can() {
    let mut search = accepted(2);
    let unreadable = FoundJob {
        name: name(0),
        record: Err(Unread { why: "no JSON".into(), trainer: TrainerSeen::Gone(None) }),
        need: Need::Cpu,
    };
    restore::on_found(&mut search, vec![unreadable.clone()]);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Unclear("no JSON".into()));
    assert_eq!(search.next_index(), Some(1));
    restore::on_found(&mut search, vec![unreadable]);
    assert_eq!(search.next_index(), Some(1), "still");
    restore::on_found(&mut search, found(running(), TrainerSeen::Alive(device("cpu"))));
    assert_eq!(search.jobs[&name(0)].standing, Standing::Adopting, "its live trainer is found after all");
}

#[test]
fn what_is_asked_of_a_job_is_kept_while_its_record_cannot_be_read() {
    use crate::engine::command::{Command, on_command};
    let mut search = accepted(1);
    let unread = Unread { why: "no JSON".into(), trainer: TrainerSeen::Gone(None) };
    let unread = || vec![FoundJob { name: name(0), record: Err(unread.clone()), need: Need::Cpu }];
    restore::on_found(&mut search, unread());
    on_command(&mut search, Command::PauseJob(name(0))).expect("asked");
    restore::on_found(&mut search, unread());
    restore::on_found(&mut search, found(running(), TrainerSeen::Gone(None)));
    assert_eq!(search.jobs[&name(0)].standing, Standing::Paused);
}

#[test]
fn a_scan_changes_nothing_about_a_job_that_was_drawn_since_it_began() {
    let found = || found(JobState::Paused, TrainerSeen::Gone(None));
    let mut drawing = accepted(1);
    react::on_slot(&mut drawing, lease(1), 100);
    for mut search in [with_running(1), drawing] {
        let before = search.clone();
        assert_eq!(restore::on_found(&mut search, found()), []);
        assert_eq!(search, before);
    }
}

#[test]
fn a_live_trainer_keeps_its_slot_while_its_jobs_record_cannot_be_read() {
    let unread = |trainer: TrainerSeen| {
        let record = Err(Unread { why: "no JSON".into(), trainer });
        vec![FoundJob { name: name(0), record, need: Need::Cpu }]
    };
    let held = |name: Option<&str>| unclear("held", Holder::Here(name.map(device)));
    for seen in [TrainerSeen::Alive(device("cpu")), held(Some("cpu"))] {
        let mut search = Search { terms: Some(terms(1)), ..Search::default() };
        assert_eq!(restore::on_found(&mut search, unread(seen.clone())), [claim("cpu")]);
        assert_eq!(restore::on_claimed(&mut search, &name(0), lease(9)), []);
        assert_eq!(restore::on_found(&mut search, unread(seen)), [], "it has it already");
        assert_eq!(restore::on_found(&mut search, unread(held(None))), [], "somebody holds it still, wherever");
        let read = restore::on_found(&mut search.clone(), found(running(), TrainerSeen::Alive(device("cpu"))));
        assert_eq!(read, [Effect::Tabulate { job: name(0) }, claim("cpu"), release(9, None)], "claimed anew first");
        for gone in [TrainerSeen::Gone(None), unclear("free", Holder::Nobody), unclear("far", Holder::Elsewhere)] {
            assert_eq!(restore::on_found(&mut search.clone(), unread(gone)), [release(9, None)], "its trainer is gone");
        }
        assert_eq!(restore::on_gone(&mut search, &[name(0)])[0], release(9, None));
    }
}

#[test]
fn a_checkpoint_made_while_nobody_watched_forgives_and_is_recorded_so() {
    let mut search = Search { terms: Some(terms(1)), ..Search::default() };
    let mut found = found(running(), TrainerSeen::Alive(device("cpu")));
    if let Ok(Some(record)) = &mut found[0].record {
        record.checkpoints = 3;
    }
    restore::on_found(&mut search, found);
    let effects = restore::on_claimed(&mut search, &name(0), lease(9));
    let mut update = update(running(), 2, 0);
    update.history.checkpoints_seen = 3;
    assert_eq!(effects[0], Effect::Record { job: name(0), update });
}

#[test]
fn a_lent_job_is_the_daemons_again_once_its_borrower_has_ended() {
    let mut elsewhere = found(running(), TrainerSeen::Gone(None));
    if let Ok(Some(record)) = &mut elsewhere[0].record {
        record.ours = false;
    }
    let mut search = Search { terms: Some(terms(1)), ..Search::default() };
    restore::on_found(&mut search, elsewhere.clone());
    assert_eq!(search.jobs[&name(0)].standing, Standing::Foreign(Some(running())));
    assert_eq!(search.jobs[&name(0)].history.attempts, 2, "as its record counts them");
    restore::on_found(&mut search, elsewhere);
    assert_eq!(search.jobs[&name(0)].standing, Standing::Foreign(Some(running())), "as long as it runs elsewhere");
    let done = restore::on_found(&mut search.clone(), found(JobState::Done, TrainerSeen::Gone(None)));
    assert!(done.contains(&Effect::Tabulate { job: name(0) }), "its row is another now: {done:?}");
    let effects = restore::on_found(&mut search, found(running(), TrainerSeen::Gone(None)));
    assert_eq!(search.jobs[&name(0)].standing, Standing::Waiting);
    assert_eq!(search.jobs[&name(0)].history.failures_in_a_row, 1, "lost, and not counted");
    assert_eq!(effects.last(), Some(&Effect::Ask(cpu(1))));
}

#[test]
fn a_job_lent_to_another_machine_comes_back_once_somebody_says_so() {
    use crate::engine::command::{Command, on_command};
    let elsewhere = |away| {
        let mut elsewhere = found(running(), TrainerSeen::Gone(None));
        if let Ok(Some(record)) = &mut elsewhere[0].record {
            (record.ours, record.elsewhere) = (false, Some(RunElsewhere { pid: 12, host: "node-7".into(), away }));
        }
        let mut search = Search { terms: Some(terms(1)), ..Search::default() };
        restore::on_found(&mut search, elsewhere);
        search
    };
    let mut here = elsewhere(false);
    on_command(&mut here, Command::RetryJob(name(0))).expect_err("it is seen to live");
    assert!(known(&here).contains("process 12") && !known(&here).contains("retry"), "{}", known(&here));
    let table = [
        (Command::CancelJob(name(0)), Standing::Cancelled),
        (Command::PauseJob(name(0)), Standing::Paused),
        (Command::RetryJob(name(0)), Standing::Waiting),
    ];
    for (command, standing) in table {
        let mut search = elsewhere(true);
        assert!(["node-7", "neurosearch retry"].iter().all(|word| known(&search).contains(word)), "{}", known(&search));
        let (_, effects) = on_command(&mut search, command.clone()).expect("asked");
        assert_eq!(effects, [], "its record is not the daemon's to write yet");
        assert_eq!(search.jobs[&name(0)].standing, Standing::Foreign(Some(running())));
        // A look finds that nobody holds it, and nothing of how its trainer ended.
        restore::on_found(&mut search, found(running(), unclear("far", Holder::Nobody)));
        let job = &search.jobs[&name(0)];
        assert_eq!((&job.standing, &job.elsewhere, job.history.pending), (&standing, &None, None));
        // It was alive after all, and its job came to rest before the wish was heeded.
        let mut search = elsewhere(true);
        on_command(&mut search, command).expect("asked");
        restore::on_found(&mut search, found(JobState::Paused, TrainerSeen::Gone(None)));
        let job = &search.jobs[&name(0)];
        assert_eq!((&job.standing, job.history.pending), (&standing, None));
    }
}

fn known(search: &Search) -> String {
    super::super::explain::known(search, &name(0), &search.jobs[&name(0)]).sentence()
}
