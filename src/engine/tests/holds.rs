//! What keeps a search from starting anything new, and how it goes on.

use super::*;
use crate::domain::missing_input::Input;
use crate::engine::command::on_shutdown;
use crate::engine::holds;

#[test]
fn a_full_disk_starts_nothing_new_and_records_are_made_up_for_later() {
    let mut search = with_running(2);
    let effects = holds::on_unsaved(&mut search, Some(&name(0)), "full".into());
    let probe = Effect::Probe { seconds: 1 };
    let say = Effect::Say("nothing new is started: full".into());
    assert_eq!(effects, [Effect::Tabulate { job: name(0) }, say, probe, Effect::Ask(cpu(0))]);
    assert_eq!(react::on_slot(&mut search, lease(2), 0), [release(2, None)]);
    let record = Effect::Record { job: name(0), update: update(running(), 1, 0) };
    let say = Effect::Say("nothing is in the way any more; the search goes on".into());
    assert_eq!(holds::on_room(&mut search), [say, record, Effect::TabulateAll, Effect::Ask(cpu(1))]);
    assert_eq!(holds::on_room(&mut search), []);
}

#[test]
fn a_disk_without_room_is_tried_ever_more_seldom_until_a_job_gets_somewhere() {
    let seconds = |effects: Vec<Effect>| {
        effects.iter().find_map(|effect| match effect {
            Effect::Probe { seconds } => Some(*seconds),
            _ => None,
        })
    };
    let mut search = with_running(1);
    let mut pauses = vec![seconds(holds::on_unsaved(&mut search, None, "full".into()))];
    for _ in 0..3 {
        pauses.push(seconds(holds::on_no_room(&mut search, "still full".into())));
    }
    assert_eq!(search.held(), Some("still full"));
    holds::on_room(&mut search);
    react::on_progress(&mut search, &name(0), 0, false);
    pauses.push(seconds(holds::on_unsaved(&mut search, None, "full again".into())));
    assert_eq!(pauses, [1, 2, 4, 8, 16].map(Some), "and a hold soon after counts on");
    holds::on_room(&mut search);
    react::on_progress(&mut search, &name(0), 1, false);
    assert_eq!(seconds(holds::on_unsaved(&mut search, None, "full".into())), Some(1));
    assert_eq!(seconds(holds::on_unsaved(&mut search, None, "full".into())), None, "one try at a time");
}

#[test]
fn inputs_out_of_reach_start_no_trainer_until_they_can_be_read_again() {
    let sentence = || "no /caps/x: EIO".to_string();
    let out_of_reach = Outcome {
        out_of_reach: Some(Input::File("/caps/x".into())),
        ..ended(Some(Ended::Interrupted { sentence: Some(sentence()) }))
    };
    let mut search = with_running(2);
    attempt_end::on_ended(&mut search, &name(0), &out_of_reach);
    assert_eq!(search.out_of_reach, Some(Input::File("/caps/x".into())));
    assert_eq!(holds::on_no_room(&mut search, sentence()), [Effect::Probe { seconds: 2 }]);
    assert_eq!(react::on_slot(&mut search, lease(2), 0), [release(2, None)]);
    holds::on_room(&mut search);
    assert!(search.is_open() && search.out_of_reach.is_none());
    // The same where a draw needs them.
    let mut search = with_running(1);
    react::on_not_drawn(&mut search, 1, NotDrawn::OutOfReach(sentence(), Some(Input::Directory("/caps/y".into()))));
    assert_eq!((search.held(), search.out_of_reach.clone()), (Some("no /caps/x: EIO"), Some(Input::Directory("/caps/y".into()))));
}

#[test]
fn an_edited_space_is_not_held_by_what_the_jobs_before_it_missed() {
    let mut search = with_running(1);
    let missed = Some(Input::Directory("/caps/subjects".into()));
    react::on_not_drawn(&mut search, 1, NotDrawn::OutOfReach("gone".into(), missed.clone()));
    react::on_space(&mut search, SpaceNews::Accepted(terms(1)));
    assert_eq!(search.out_of_reach, missed, "the file is as it was");
    react::on_space(&mut search, SpaceNews::Accepted(Terms { space_sha256: "edited".into(), ..terms(1) }));
    assert_eq!((search.out_of_reach.clone(), search.held()), (None, Some("gone")), "until the directory itself was tried");
    holds::on_room(&mut search);
    assert!(search.is_open());
}

#[test]
fn an_unwritten_record_is_tried_with_each_look_in_a_damaged_folder_else_with_room() {
    let mut search = accepted(0);
    for (index, unsaved, trouble) in [(0, true, None), (1, false, Some("damaged")), (2, true, Some("damaged"))] {
        let job = Job::new(Some(index), Need::Cpu, Standing::Paused);
        search.add(name(index), Job { unsaved, trouble: trouble.map(str::to_string), ..job });
    }
    let recorded = |effects: Vec<Effect>| {
        let job = |effect| if let Effect::Record { job, .. } = effect { Some(job) } else { None };
        effects.into_iter().filter_map(job).collect::<Vec<_>>()
    };
    assert_eq!(recorded(holds::on_looked(&search)), [name(2)]);
    holds::on_unsaved(&mut search, None, "full".into());
    assert_eq!(recorded(holds::on_room(&mut search)), [name(0)]);
}

#[test]
fn a_search_whose_directory_is_away_starts_nothing_and_goes_on_when_it_is_back() {
    let mut search = with_running(2);
    let effects = holds::on_away(&mut search, "gone".into());
    assert_eq!(effects, [Effect::Say("nothing new is started: gone".into()), Effect::Ask(cpu(0))]);
    assert_eq!(holds::on_away(&mut search, "gone".into()), []);
    assert_eq!(holds::on_room(&mut search), [], "room on the disk brings no directory back");
    let effects = holds::on_back(&mut search);
    assert_eq!(effects, [Effect::Say("the directory is back; the search goes on".into()), Effect::Ask(cpu(1))]);
    assert_eq!(holds::on_back(&mut search), []);
}

#[test]
fn a_daemon_that_stops_starts_nothing_even_when_the_disk_has_room_again() {
    let mut search = with_running(2);
    holds::on_unsaved(&mut search, None, "full".into());
    on_shutdown(&mut search);
    holds::on_room(&mut search);
    assert!(!search.is_open());
}

#[test]
fn a_damaged_record_is_shown_and_tried_again_while_the_search_goes_on() {
    let mut search = with_running(2);
    let effects = holds::on_damaged(&mut search, &name(0), "no JSON".into());
    let tabulate = Effect::Tabulate { job: name(0) };
    assert_eq!(effects, [tabulate.clone(), Effect::Say("job-0: no JSON".into())]);
    assert_eq!(holds::on_damaged(&mut search, &name(0), "no JSON".into()), std::slice::from_ref(&tabulate), "said once");
    assert!(search.is_open());
    let record = Effect::Record { job: name(0), update: update(running(), 1, 0) };
    assert_eq!(holds::on_looked(&search), [record]);
    let saved = holds::on_saved(&mut search, &name(0));
    assert_eq!(saved, [tabulate], "its row says what its record says");
    assert_eq!((holds::on_looked(&search), search.jobs[&name(0)].trouble.clone()), (vec![], None));
}
