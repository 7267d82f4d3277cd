//! From the drop to the tables, and what a faulty, half-written or edited space file does, with the real daemon.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::needs::needs;
use crate::stand_in::{json, until};
use neurosearch::control::reply::SearchState;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

fn table(launch: &Path) -> String {
    fs::read_to_string(launch.join("analysis_loss.tsv")).unwrap_or_default()
}

/// The order in which jobs were started, by the daemon's log.
fn starts(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let started = log.lines().filter(|line| line.contains("trainer started"));
    started.filter_map(|line| Some(line.split("/job-").nth(1)?.split('"').next()?.to_string())).collect()
}

#[test]
fn a_dropped_space_runs_its_jobs_in_order_and_ends_in_the_tables() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("first");
    drop_space(&launch, &space(3, 1, &json!({})));
    daemon.wait_for("three jobs are done", &launch, |counts| counts.done == 3);
    assert_eq!(starts(&daemon), ["0", "1", "2"]);
    until("the tables have every job", || table(&launch).contains("job-2\t1\t") && launch.join("jobs.tsv").exists());
    assert_eq!(table(&launch).lines().count(), 5, "{}", table(&launch));
    let record = json(&launch.join("job-1/.neurosearch/job.json"));
    assert_eq!((&record["state"], &record["index"], &record["attempts"]), (&json!("done"), &json!(1), &json!(1)));
    let search = json(&launch.join(".neurosearch/search.json"));
    assert_eq!((&search["seed"], &search["n_jobs"]), (&json!(7), &json!(3)));
    assert_eq!(record["space_sha256"], search["space_sha256"]);
    assert_eq!(daemon.search(&launch).map(|search| search.state), Some(SearchState::Finished));
}

#[test]
fn a_watched_directory_may_be_a_launch_directory_and_a_job_folder_never() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    drop_space(&daemon.root, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &daemon.root, |counts| counts.done == 1);
    drop_space(&daemon.root.join("job-0"), &space(1, 1, &json!({})));
    let other = daemon.launch("other");
    drop_space(&other, &space(1, 1, &json!({})));
    daemon.wait_for("a later search is done", &other, |counts| counts.done == 1);
    assert_eq!(daemon.search(&daemon.root.join("job-0")), None);
}

#[test]
fn a_faulty_file_is_answered_beside_it_while_others_are_served() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let (bad, good) = (daemon.launch("bad"), daemon.launch("good"));
    drop_space(&bad, &space(1, 1, &json!({})).replacen("\"cnn\",", "\"cnn\"", 1));
    drop_space(&good, &space(1, 1, &json!({})));
    daemon.wait_for("the good search is done", &good, |counts| counts.done == 1);
    let error = bad.join("random_search.error");
    until("the fault is written beside the file", || error.exists());
    let text = fs::read_to_string(&error).expect("read");
    assert!(text.contains("random_search.json") && text.contains("line "), "{text}");
    let shown = daemon.search(&bad).expect("shown");
    assert_eq!(shown.state, SearchState::Refused);
    assert_eq!(shown.faults.join("\n"), text.trim_end());
    assert!(!bad.join("job-0").exists(), "no job starts on half a truth");
    drop_space(&bad, &space(1, 1, &json!({})));
    daemon.wait_for("the mended search is done", &bad, |counts| counts.done == 1);
    until("the error is gone", || !error.exists());
}

#[test]
fn missing_data_is_a_fault_that_goes_away_when_the_data_comes() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("early");
    let caps = dir.path().join("caps");
    drop_space(&launch, &space(1, 1, &json!({ "caps_dir": caps })));
    let error = launch.join("random_search.error");
    until("the fault is written", || fs::read_to_string(&error).is_ok_and(|text| text.contains("caps_dir")));
    std::os::unix::fs::symlink(crate::stand_in::checkout("tests/fixtures/mni-quarter/caps"), &caps).expect("linked");
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    until("the error is gone", || !error.exists());
}

#[test]
fn a_file_that_is_still_being_written_starts_one_search_once_it_is_whole() {
    let Some(bash) = needs("bash") else { return };
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("slow");
    let whole = space(2, 1, &json!({}));
    // A writer that never pauses for as long as a file must rest.
    let script = "for i in $(seq 1 60); do head -c $((${#1} * i / 60)) <<< \"$1\" > \"$2\"; sleep 0.02; done";
    let path = launch.join("random_search.json");
    assert!(Command::new(bash).args(["-c", script, "bash", &whole]).arg(&path).status().expect("bash runs").success());
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    assert_eq!(daemon.log().matches("random_search.json is accepted").count(), 1, "{}", daemon.log());
    assert!(!launch.join("random_search.error").exists());
    assert_eq!(starts(&daemon), ["0", "1"]);
}

#[test]
fn a_file_saved_by_an_editor_starts_exactly_one_search() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("edited");
    let path = launch.join("random_search.json");
    // As vim saves: the old file becomes a backup, a new one is written, the backup goes.
    fs::write(&path, space(2, 1, &json!({}))).expect("written");
    fs::rename(&path, launch.join("random_search.json~")).expect("renamed");
    fs::write(&path, space(2, 1, &json!({}))).expect("written");
    fs::remove_file(launch.join("random_search.json~")).expect("removed");
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    assert_eq!(starts(&daemon), ["0", "1"]);
}

#[test]
fn an_edit_of_a_running_search_counts_for_the_jobs_that_are_not_yet_drawn() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default().with("STAND_IN_PAUSE", "0.2"));
    let launch = daemon.launch("edited");
    drop_space(&launch, &space(2, 5, &json!({ "batch_size": 2 })));
    daemon.wait_for("the first job runs", &launch, |counts| counts.running == 1);
    drop_space(&launch, &space(3, 1, &json!({ "batch_size": 5 })));
    daemon.wait_for("all jobs are done", &launch, |counts| counts.done == 3);
    let batch = |job: &str| json(&launch.join(job).join("commandline.json"))["batch_size"].clone();
    assert_eq!((batch("job-0"), batch("job-1"), batch("job-2")), (json!(2), json!(5), json!(5)));
    assert!(daemon.log().contains("the space was edited"), "{}", daemon.log());
    let sha = |job: &str| json(&launch.join(job).join(".neurosearch/job.json"))["space_sha256"].clone();
    assert_ne!(sha("job-0"), sha("job-1"));
}

#[test]
fn a_watched_directory_that_goes_and_comes_back_is_served_again() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let away = dir.path().join("away");
    fs::rename(&daemon.root, &away).expect("renamed");
    until("the alarm is shown", || daemon.status().alarms.iter().any(|alarm| alarm.contains("root")));
    fs::create_dir(&daemon.root).expect("made");
    let launch = daemon.launch("later");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    assert_eq!(daemon.status().alarms, Vec::<String>::new());
}

#[test]
fn without_a_gpu_a_job_that_needs_one_fails_with_a_sentence_that_says_so() {
    let dir = tempdir();
    let daemon =
        Daemon::start(dir.path(), &Setup { config: "rescan_seconds = 1\nsettle_milliseconds = 100".into(), ..Setup::default() });
    let launch = daemon.launch("gpu");
    drop_space(&launch, &space(2, 1, &json!({ "use_cpu": false })));
    daemon.wait_for("both jobs have failed", &launch, |counts| counts.failed == 2);
    for job in daemon.jobs(&launch).jobs {
        let sentence = job.sentence.unwrap_or_default();
        assert_eq!(job.class.as_deref(), Some("device"));
        assert!(sentence.contains("GPU") && sentence.contains("use_cpu"), "{sentence}");
    }
    assert!(launch.join("job-1/commandline.json").exists());
    assert_eq!(starts(&daemon), Vec::<String>::new());
}

#[test]
fn the_tables_go_by_the_files_folds_else_by_each_jobs_own() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("folds");
    let until_folds = |wanted: &str| {
        let of = |text: &str| Some(text.lines().find(|line| line.starts_with("job-0\t"))?.rsplit('\t').next()?.to_string());
        until(&format!("the table counts {wanted} folds"), || of(&table(&launch)).as_deref() == Some(wanted));
    };
    drop_space(&launch, &space(1, 1, &json!({ "n_splits": 2 })));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    until_folds("2");
    let one = space(1, 1, &json!({ "n_splits": 2, "split": [0] }));
    drop_space(&launch, &one);
    until_folds("1");
    fs::remove_file(launch.join("random_search.json")).expect("removed");
    until_folds("2");
    drop_space(&launch, &one);
    until_folds("1");
    drop_space(&launch, "{}");
    until_folds("2");
}

#[test]
fn a_table_that_is_deleted_comes_back() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("tables");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    until("the table has the job", || table(&launch).contains("job-0\t1"));
    fs::remove_file(launch.join("analysis_loss.tsv")).expect("removed");
    until("the table is back", || table(&launch).contains("job-0\t1"));
}
