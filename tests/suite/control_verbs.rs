//! Every verb of the command line that speaks with the daemon, against the real daemon.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{SOON, Signal, checkout, json, said, signal, until};
use crate::verbs::{granted, path, refused, verb};
use neurosearch::control::request::Request;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn a_search_that_is_done_is_listed_ranked_explained_and_its_logs_are_shown() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("shown");
    drop_space(&launch, &space(2, 1, &json!({})));
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    let job = launch.join("job-1");

    let listed = granted(dir.path(), &["jobs", path(&launch)]);
    assert!(listed.contains("job-0") && listed.contains("done"), "{listed}");
    let listed: Value = serde_json::from_str(&granted(dir.path(), &["jobs", path(&launch), "--json"])).expect("JSON");
    assert_eq!((&listed["version"], &listed["jobs"][1]["state"]), (&json!(1), &json!("done")));
    assert!(granted(dir.path(), &["show", path(&job)]).contains("job-1"));
    assert!(granted(dir.path(), &["explain", path(&job)]).contains("every fold has its results"));
    assert!(granted(dir.path(), &["logs", path(&job)]).contains("stand-in trainer, attempt 1"));
    assert!(granted(dir.path(), &["logs", "-f", path(&job)]).contains("stand-in trainer"), "it ends with the job");
    until("the ranking is there", || granted(dir.path(), &["best", path(&launch)]).contains("job-1"));
    let best: Value = serde_json::from_str(&granted(dir.path(), &["best", path(&launch), "--json"])).expect("JSON");
    assert_eq!((&best["jobs"][0]["job"], &best["jobs"][0]["best_balanced_accuracy"]), (&json!("job-0"), &json!(0.75)));
    let shown = granted(dir.path(), &["show", "shown/job-1"]);
    assert!(shown.contains("job-1"), "by what `status` calls it");
    assert!(shown.contains("balanced accuracy 0.7500 on the validation images"), "{shown}");
    assert!(granted(dir.path(), &["best", "shown"]).contains("job-1"));
    assert!(refused(dir.path(), &["explain", "shown"], 7).contains("is a search; name one of its jobs"));
    assert!(granted(dir.path(), &["ping"]).contains("neurosearchd"));
    assert!(granted(dir.path(), &["devices"]).contains("cpu"));

    for (args, why) in
        [(["pause", path(&job)], "job-1 is done and cannot be paused"), (["retry", path(&launch)], "no job has failed")]
    {
        let refused = refused(dir.path(), &args, 7);
        assert!(refused.contains(why), "{args:?}: {refused}");
    }
    assert!(refused(dir.path(), &["show", path(&launch.join("job-7"))], 7).contains("job-7"));
    assert!(refused(dir.path(), &["jobs", "/nowhere"], 7).contains("/nowhere"));
}

#[test]
fn a_job_and_a_search_are_paused_resumed_set_and_cancelled_by_their_paths() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN_PAUSE", "0.05"));
    let launch = daemon.launch("steered");
    drop_space(&launch, &space(2, 1000, &json!({})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);
    granted(dir.path(), &["pause", path(&launch)]);
    granted(dir.path(), &["pause", path(&launch.join("job-0"))]);
    daemon.wait_for("it is paused and no other began", &launch, |counts| counts.paused == 1 && counts.undrawn == 1);
    granted(dir.path(), &["set", path(&launch), "n_jobs=3", "priority=5", "slots=1", "time_limit_hours=2"]);
    let record = || json(&launch.join(".neurosearch/search.json"));
    until("the terms are recorded", || record()["n_jobs"] == json!(3) && record()["time_limit_hours"] == json!(2.0));
    assert_eq!((&record()["priority"], &record()["slots"], &record()["paused"]), (&json!(5), &json!(1), &json!(true)));
    assert!(refused(dir.path(), &["set", path(&launch), "priority=high"], 7).contains("priority"));
    assert!(refused(dir.path(), &["set", path(&launch), "priority"], 2).contains("KEY=VALUE"));
    granted(dir.path(), &["resume", path(&launch)]);
    granted(dir.path(), &["resume", path(&launch.join("job-0"))]);
    daemon.wait_for("a job runs again", &launch, |counts| counts.running == 1);
    granted(dir.path(), &["cancel", path(&launch)]);
    daemon.wait_for("what ran is cancelled and nothing begins", &launch, |counts| counts.running == 0 && counts.cancelled > 0);
    let status = daemon.search(&launch).expect("known");
    assert_eq!((status.n_jobs, status.counts.queued), (Some(3), 0));
}

#[test]
fn a_job_of_ones_own_choosing_is_queued_and_trained() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("chosen");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the drawn job is done", &launch, |counts| counts.done == 1);
    let own = dir.path().join("mine").join("commandline.json");
    fs::create_dir(dir.path().join("mine")).expect("made");
    let mut options = json(&launch.join("job-0/commandline.json"));
    options["learning_rate"] = json!(0.25);
    options.as_object_mut().expect("an object").remove("seed");
    fs::write(&own, options.to_string()).expect("written");
    granted(dir.path(), &["enqueue", path(&launch), path(&own)]);
    daemon.wait_for("it is done too", &launch, |counts| counts.done == 2);
    let trained = json(&launch.join("chosen-0/commandline.json"));
    assert_eq!(trained["learning_rate"], json!(0.25));
    assert!(trained["seed"].is_u64(), "{trained}");
    options["batch_size"] = json!(0);
    fs::write(&own, options.to_string()).expect("written");
    let refused = refused(dir.path(), &["enqueue", path(&launch), path(&own)], 7);
    assert!(refused.contains(&format!("{}: line 1, column", own.display())) && refused.contains("batch_size"), "{refused}");
    options["batch_size"] = json!(1);
    options["fc"]["FC0"]["in_features"] = json!(1);
    fs::write(&own, options.to_string()).expect("written");
    let misfit = self::refused(dir.path(), &["enqueue", path(&launch), path(&own)], 7);
    assert!(misfit.contains(&format!("{}: bad_options: fc: found", own.display())), "{misfit}");
    assert!(!launch.join("chosen-1").exists());
}

#[test]
fn a_drained_machine_or_device_starts_nothing_until_it_is_back() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    granted(dir.path(), &["drain"]);
    let launch = daemon.launch("drained");
    drop_space(&launch, &space(1, 1, &json!({})));
    until("the search is accepted", || daemon.search(&launch).is_some_and(|search| search.seed.is_some()));
    assert!(daemon.status().alarms.iter().any(|alarm| alarm.contains("resume")), "{:?}", daemon.status().alarms);
    let explained = || granted(dir.path(), &["explain", path(&launch.join("job-0"))]);
    let (machine, device) = ("this machine is drained", "cpu is out of use: drained by hand");
    assert!(explained().contains(machine) && !explained().contains(device), "{}", explained());
    granted(dir.path(), &["devices", "drain", "cpu"]);
    granted(dir.path(), &["resume"]);
    // A slot that was lent at the end of the one drain would have come before these questions.
    assert!(explained().contains(device) && !explained().contains(machine), "{}", explained());
    assert_eq!(daemon.counts(&launch).undrawn, 1, "the device is still out of use");
    let devices = granted(dir.path(), &["devices", "--json"]);
    assert!(devices.contains("drained by hand"), "{devices}");
    granted(dir.path(), &["devices", "restore", "cpu"]);
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    assert!(refused(dir.path(), &["devices", "drain", "GPU-none"], 7).contains("GPU-none"));
}

#[test]
fn directories_are_watched_and_left_while_the_daemon_runs() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let other = dir.path().join("other");
    fs::create_dir(&other).expect("made");
    drop_space(&other, &space(1, 1, &json!({})));
    assert!(granted(dir.path(), &["add", path(&other)]).contains("watch"));
    daemon.wait_for("its job is done", &other, |counts| counts.done == 1);
    // Refused while the daemon still writes what the job's end brings, and then only in these words.
    until("it may be left", || {
        let output = verb(dir.path(), &["remove", path(&other)]);
        let left = output.status.success();
        assert!(left || said(&output).contains("at this moment; ask again"), "{}", said(&output));
        left
    });
    until("it is left", || daemon.search(&other).is_none());
    assert!(refused(dir.path(), &["remove", path(&other)], 7).contains("not watched"));
    assert!(refused(dir.path(), &["add", "/no/such/directory"], 7).contains("/no/such/directory"));
    // Its lock is free again: another daemon may serve it.
    assert!(!neurosearch::store::fs::lock::is_held(&other.join(".neurosearch/lock")).expect("looked"));
    granted(dir.path(), &["reload"]);
}

#[test]
fn a_shutdown_with_its_trainers_keeps_their_epochs_and_the_next_start_goes_on() {
    let dir = tempdir();
    let setup = Setup::default().with("STAND_IN_PAUSE", "0.05");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("ended");
    drop_space(&launch, &space(1, 40, &json!({})));
    let epochs = || fs::read_to_string(launch.join("job-0/.neurosearch/epochs")).unwrap_or_default();
    until("an epoch is done", || epochs().lines().count() >= 2);
    granted(dir.path(), &["shutdown", "--stop-trainers"]);
    let begun = Instant::now();
    while !daemon.has_ended() {
        assert!(begun.elapsed() < SOON, "{}", daemon.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(json(&launch.join("job-0/.neurosearch/end.json"))["ended"], json!("interrupted"));
    assert_eq!(json(&launch.join("job-0/.neurosearch/job.json"))["state"], json!("queued"));
    daemon.start_again(&setup);
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    assert_eq!(epochs().lines().count(), 40, "no epoch is trained twice");
}

#[test]
fn watch_shows_the_status_again_and_again_until_it_is_interrupted() {
    let dir = tempdir();
    let _daemon = Daemon::start(dir.path(), &Setup::default());
    let shown = dir.path().join("shown");
    let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
    command.args(["watch", "--json"]).env("NEUROSEARCH_SOCKET", dir.path().join("d.sock"));
    let mut child = command.stdout(fs::File::create(&shown).expect("made")).stderr(Stdio::null()).spawn().expect("started");
    until("two answers", || fs::read_to_string(&shown).is_ok_and(|text| text.lines().count() >= 2));
    signal(child.id(), Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    let text = fs::read_to_string(&shown).expect("read");
    assert!(
        text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|status| status["version"] == json!(1))),
        "{text}"
    );
}

#[test]
fn without_a_daemon_each_verb_says_so_with_its_own_exit_code() {
    let dir = tempdir();
    for args in [&["ping"][..], &["jobs", "x"], &["pause", "x"], &["drain"], &["watch"], &["logs", "x"], &["best", "x"]] {
        assert!(refused(dir.path(), args, 6).contains("start neurosearchd"), "{args:?}");
    }
}

/// The verbs of the page's table of changes, with the fields that it names for each.
fn documented_verbs() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(checkout("docs/control.md")).expect("read");
    let (_, changes) = page.split_once("## Changing").expect("a part about changes");
    let rows = changes.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_string).collect::<BTreeSet<String>>();
    let mut verbs = BTreeMap::new();
    for row in rows.skip(2) {
        let cells: Vec<&str> = row.split('|').collect();
        for path in words(cells[1]) {
            verbs.insert(path.trim_start_matches("/v1/").to_string(), words(cells[2]));
        }
    }
    verbs
}

#[test]
fn the_page_documents_the_very_verbs_and_fields_that_a_request_has() {
    let fields = |read: &[&str]| read.iter().map(|field| field.to_string()).collect();
    let known: BTreeMap<String, BTreeSet<String>> =
        Request::VERBS.iter().map(|(verb, read)| (verb.to_string(), fields(read))).collect();
    assert_eq!(known, documented_verbs());
}

#[test]
fn the_daemon_names_the_verbs_that_it_knows_to_whoever_names_another() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let refused = daemon.client().post::<Value>("/v1/dance", &json!({})).expect_err("refused").to_string();
    let (_, named) = refused.split_once("that version 1 knows: ").unwrap_or_else(|| panic!("{refused}"));
    let named: BTreeSet<String> = named.split(", ").map(str::to_string).collect();
    assert_eq!(named, documented_verbs().into_keys().collect());
}
