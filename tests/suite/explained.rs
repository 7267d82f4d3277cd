//! Why a job waits, as `explain` says it, and what `status` shows of a search that starts nothing.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::other_users::copy;
use crate::quarter::reorient;
use crate::stand_in::{checkout, until};
use crate::verbs::{granted, path, refused, verb};
use neurosearch::control::reply::SearchState;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A daemon whose one slot is taken by job-0 of a search of three, for longer than any test takes.
fn busy(dir: &Path) -> (Daemon, std::path::PathBuf) {
    let daemon = Daemon::start(dir, &Setup::default().with("STAND_IN_PAUSE", "0.2"));
    let launch = daemon.launch("waits");
    drop_space(&launch, &space(3, 5000, &json!({})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);
    (daemon, launch)
}

#[test]
fn a_job_that_is_not_drawn_yet_says_so_and_everything_that_it_waits_for() {
    let dir = tempdir();
    let (_daemon, launch) = busy(dir.path());
    let later = launch.join("job-2");
    let explained = || granted(dir.path(), &["explain", path(&later)]);
    let said = explained();
    for words in ["not drawn yet", "one other job of its search comes before it", "the one slot of cpu is taken"] {
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(said.matches("the CPU").count(), 1, "what it needs is said once: {said}");
    assert!(granted(dir.path(), &["show", path(&later)]).contains("undrawn"));
    assert!(refused(dir.path(), &["logs", path(&later)], 7).contains("never started"));
    assert!(refused(dir.path(), &["explain", path(&launch.join("job-3"))], 7).contains("n_jobs"));

    for (terms, undo, words) in [
        (&["drain"][..], &["resume"][..], "this machine is drained"),
        (&["devices", "drain", "cpu"], &["devices", "restore", "cpu"], "cpu is out of use: drained by hand"),
        (&["set", path(&launch), "slots=0"], &["set", path(&launch), "slots=all"], "slots=0"),
        (&["set", path(&launch), "slots=1"], &["set", path(&launch), "slots=all"], "slots=1"),
        (&["pause", path(&launch)], &["resume", path(&launch)], "its search is paused"),
    ] {
        granted(dir.path(), terms);
        assert!(explained().contains(words), "{terms:?}: {}", explained());
        granted(dir.path(), undo);
        assert!(!explained().contains(words), "{undo:?}: {}", explained());
    }
    drop_space(&launch, "{");
    until("the refusal is a reason", || explained().contains("random_search.json is refused"));
    let answer: Value = serde_json::from_str(&granted(dir.path(), &["explain", path(&later), "--json"])).expect("JSON");
    assert_eq!((&answer["job"]["state"], &answer["needs"]["device"]), (&json!("undrawn"), &json!("cpu")));
}

#[test]
fn a_search_of_a_higher_priority_comes_first_and_the_other_says_so() {
    let dir = tempdir();
    let (daemon, launch) = busy(dir.path());
    let other = daemon.launch("urgent");
    drop_space(&other, &space(1, 1, &json!({})));
    until("it waits too", || daemon.counts(&other).undrawn == 1);
    granted(dir.path(), &["set", path(&other), "priority=9"]);
    let said = granted(dir.path(), &["explain", path(&launch.join("job-1"))]);
    assert!(said.contains("one other search of a higher priority comes first"), "{said}");
    let status = granted(dir.path(), &["status"]);
    assert!(status.contains("priority 9"), "{status}");
}

#[test]
fn a_folder_that_cannot_be_read_is_an_alarm_and_the_search_is_not_called_held() {
    let dir = tempdir();
    let (daemon, launch) = busy(dir.path());
    // A record that is none: its job is left alone, and every other goes on.
    fs::create_dir_all(launch.join("strange/.neurosearch")).expect("made");
    fs::write(launch.join("strange/commandline.json"), "{}").expect("written");
    fs::write(launch.join("strange/.neurosearch/job.json"), "no record").expect("written");
    granted(dir.path(), &["reload"]);
    until("it is told", || daemon.search(&launch).is_some_and(|search| !search.alarms.is_empty()));
    assert_eq!(daemon.search(&launch).map(|search| search.state), Some(SearchState::Active));
}

#[test]
fn a_search_whose_time_is_over_is_held_and_says_when_that_was() {
    let dir = tempdir();
    let (daemon, launch) = busy(dir.path());
    granted(dir.path(), &["set", path(&launch), "time_limit_hours=0.00001", "slots=1"]);
    until("it is held", || daemon.search(&launch).is_some_and(|search| search.state == SearchState::Held));
    let limit = daemon.search(&launch).and_then(|search| search.time_limit).expect("a limit");
    assert_eq!(limit.hours, 0.00001);
    let status = granted(dir.path(), &["status"]);
    assert!(status.contains("time limit") && status.contains("at most 1 slot"), "{status}");
    assert!(granted(dir.path(), &["explain", path(&launch.join("job-1"))]).contains("time limit is over"));
    assert_eq!(daemon.counts(&launch).running, 1, "what runs goes on");
}

#[test]
fn searches_and_jobs_are_known_through_links_and_wrong_paths_named_whole() {
    let dir = tempdir();
    let (_daemon, launch) = busy(dir.path());
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&launch, &link).expect("linked");
    for (args, words) in [
        (["jobs", path(&link)], "job-0"),
        // It runs, or is being started.
        (["explain", path(&link.join("job-0"))], "on cpu"),
        (["explain", path(&launch.join("../waits/./job-2"))], "not drawn yet"),
        (["pause", path(&link)], "paused"),
        (["best", path(&link)], "no job has a result"),
    ] {
        let said = granted(dir.path(), &args);
        assert!(said.contains(words), "{args:?}: {said}");
    }
    let wrong = launch.parent().expect("a parent").join("waitss");
    let why = refused(dir.path(), &["pause", path(&wrong)], 7);
    assert!(why.contains(path(&wrong)) && why.contains("neither"), "{why}");
}

#[test]
fn the_log_of_a_job_that_is_tried_again_is_followed_to_its_last_attempt() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN", "crash"));
    let launch = daemon.launch("crashes");
    drop_space(&launch, &space(1, 1, &json!({})));
    until("it was started", || launch.join("job-0/.neurosearch/attempt-1.log").exists());
    let said = granted(dir.path(), &["logs", "-f", path(&launch.join("job-0"))]);
    // The first may have ended before it was asked for; none of those that followed is missed.
    for attempt in 3..=5 {
        assert!(said.contains(&format!("attempt {attempt}, on cpu")), "{said}");
    }
    assert!(!granted(dir.path(), &["logs", "--attempt", "1", "-f", path(&launch.join("job-0"))]).contains("attempt 2"));
}

#[test]
fn status_shows_the_first_fault_of_a_search_and_how_many_more_and_the_notices_of_another() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let [refused, told] = ["refused", "told"].map(|name| daemon.launch(name));
    drop_space(&refused, &space(1, 1, &json!({"epochs": -1, "batch_size": 0, "n_splits": "many"})));
    // One image in another orientation, by its header.
    let quarter = checkout("tests/fixtures/mni-quarter");
    copy(&quarter, &dir.path().join("data"));
    let image = dir.path().join("data/caps/subjects/sub-MNI0003/ses-M00/t1_linear");
    let image = fs::read_dir(image).expect("listed").next().expect("one").expect("an entry").path();
    reorient(&image, [[-4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]);
    let data = json!({"caps_dir": "../../data/caps", "tsv_path": "../../data/labels"});
    drop_space(&told, &space(1, 1, &data));
    let mut status = String::new();
    until("both are looked at", || {
        status = granted(dir.path(), &["status"]);
        status.contains("fault") && status.contains("notice")
    });
    assert!(status.contains("epochs") && !status.contains("batch_size"), "{status}");
    let words: String = status.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("2 more faults, listed in random_search.error"), "{status}");
    assert!(words.contains("differ in orientation or voxel size") && words.contains("1 as"), "{status}");
    let listed = fs::read_to_string(refused.join("random_search.error")).expect("written");
    assert!(["epochs", "batch_size", "n_splits"].iter().all(|key| listed.contains(key)), "{listed}");
}

#[test]
fn words_that_a_verb_would_not_heed_are_refused() {
    let dir = tempdir();
    let (_daemon, launch) = busy(dir.path());
    let job = launch.join("job-0");
    for (args, words) in [
        (&["retry", "--class", "killed", path(&job)][..], "leave them out"),
        (&["retry", "--failed", path(&job)], "leave them out"),
        (&["retry", "--class", "sad", path(&launch)], "out_of_memory, too_large"),
        (&["set", path(&job), "n_jobs=4"], "instead of job-0"),
        (&["pause", path(&launch.join("job-2"))], "not drawn yet"),
    ] {
        let why = refused(dir.path(), args, 7);
        assert!(why.contains(words), "{args:?}: {why}");
    }
}

#[test]
fn a_search_without_its_file_is_held_until_it_is_finished() {
    let dir = tempdir();
    let hold = dir.path().join("hold");
    fs::write(&hold, "").expect("written");
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN_HOLD", hold.display().to_string()));
    let launch = daemon.launch("gone");
    let text = space(2, 1, &json!({}));
    drop_space(&launch, &text);
    daemon.wait_for("the first job runs", &launch, |counts| counts.running == 1);
    fs::remove_file(launch.join("random_search.json")).expect("removed");
    let search = || daemon.search(&launch).expect("it is known");
    until("it is told", || search().alarms.iter().any(|alarm| alarm.contains("random_search.json is gone")));
    fs::remove_file(&hold).expect("let go");
    until("it is held", || search().state == SearchState::Held);
    granted(dir.path(), &["set", path(&launch), "time_limit_hours=0.000001"]);
    until("its time is over", || search().alarms.iter().any(|alarm| alarm.contains("the time limit is over")));
    granted(dir.path(), &["set", path(&launch), "n_jobs=1"]);
    until("it is finished", || search().state == SearchState::Finished);
    assert_eq!(search().alarms, Vec::<String>::new());
}

#[test]
fn a_stray_file_with_a_jobs_name_is_an_alarm_and_the_job_is_drawn_once_it_is_gone() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("stray");
    fs::write(launch.join("job-0"), "notes").expect("written");
    drop_space(&launch, &space(2, 1, &json!({})));
    let alarms = || daemon.search(&launch).map(|search| search.alarms).unwrap_or_default();
    let named = |alarm: &String| alarm.contains("job-0 is not drawn") && alarm.contains(path(&launch.join("job-0")));
    until("the alarm names the file", || alarms().iter().any(named));
    daemon.wait_for("the other job is done", &launch, |counts| counts.done == 1);
    fs::remove_file(launch.join("job-0")).expect("removed");
    daemon.wait_for("it is drawn", &launch, |counts| counts.done == 2);
    until("the alarm is gone", || alarms().is_empty());
}

#[test]
fn a_job_that_somebody_made_in_a_watched_search_is_shown_as_its_record_has_it() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("watched");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the search's own job is done", &launch, |counts| counts.done == 1);
    let theirs = launch.join("job-9");
    granted(dir.path(), &["generate", path(&launch), "job-9", "--index", "9"]);
    // Refused until the daemon has seen the folder.
    let shown = || String::from_utf8_lossy(&verb(dir.path(), &["show", path(&theirs)]).stdout).into_owned();
    until("it is shown with its attempt", || shown().contains("attempts  1"));
    until("it is shown as done", || shown().contains("every fold has its results; it is not the daemon's"));
    granted(dir.path(), &["logs", path(&theirs)]);
}

#[test]
fn after_a_restart_a_failed_job_still_needs_the_device_that_its_options_say() {
    let dir = tempdir();
    let setup = Setup { config: "devices = \"cpu\"".into(), ..Setup::default() };
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("gpu");
    drop_space(&launch, &space(1, 1, &json!({ "use_cpu": false })));
    let failed = |daemon: &Daemon| daemon.wait_for("no GPU is here", &launch, |counts| counts.failed == 1);
    failed(&daemon);
    daemon.terminate();
    daemon.start_again(&setup);
    failed(&daemon);
    granted(dir.path(), &["retry", path(&launch), "--class", "device"]);
    let job = launch.join("job-0");
    until("it has failed again", || granted(dir.path(), &["explain", path(&job)]).contains("it failed (device)"));
    assert!(!job.join(".neurosearch/attempt-1.log").exists(), "no trainer was started");
}
