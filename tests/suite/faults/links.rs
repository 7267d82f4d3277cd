//! Links, pipes and devices where the daemon reads and writes: nothing behind a link is touched, nothing waits, the others are served.

use super::check::{assert_whole, files, job};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, pipe, space, tempdir};
use crate::stand_in::until;
use neurosearch::control::reply::{Best, Log};
use neurosearch::control::request::Retry;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder outside of every watched one, with files that nobody may touch.
fn precious(dir: &Path, names: &[&str]) -> PathBuf {
    let folder = dir.join("precious");
    for name in names {
        fs::create_dir_all(folder.join(name).parent().expect("a folder")).expect("made");
        fs::write(folder.join(name), "precious").expect("written");
    }
    folder
}

fn assert_untouched(folder: &Path, names: &[&str]) {
    let mut wanted: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    wanted.sort();
    assert_eq!(files(folder), wanted, "nothing came and nothing went");
    for path in wanted {
        assert_eq!(fs::read_to_string(&path).expect("read"), "precious", "{}", path.display());
    }
}

/// Another directory is searched to its end: whatever one directory holds, the daemon goes on.
fn assert_others_are_served(daemon: &Daemon, name: &str) {
    let launch = daemon.launch(name);
    drop_space(&launch, &space(2, 1, &json!({})));
    wait(daemon, &launch, "another search is done", |counts| counts.done == 2);
    assert_whole(&launch, 2, 1);
}

#[test]
fn a_private_folder_that_is_a_link_is_told_and_nothing_behind_it_touched() {
    let dir = tempdir();
    let names = ["search.json", "lock", "new-plans/thesis.txt", ".search.json.1-1.tmp"];
    let folder = precious(dir.path(), &names);
    let daemon = Daemon::start(dir.path(), &setup(2));
    let launch = daemon.launch("linked");
    symlink(&folder, launch.join(".neurosearch")).expect("linked");
    drop_space(&launch, &space(1, 1, &json!({})));
    until("it is told", || daemon.search(&launch).is_some_and(|search| format!("{search:?}").contains("no link is followed")));
    assert_others_are_served(&daemon, "other");
    assert_untouched(&folder, &names);
    assert!(!launch.join("job-0").exists(), "nothing is started");
    fs::remove_file(launch.join(".neurosearch")).expect("removed");
    wait(&daemon, &launch, "the job is done once the link is gone", |counts| counts.done == 1);
    assert_untouched(&folder, &names);
}

#[test]
fn a_jobs_private_folder_that_is_a_link_is_told_and_nothing_behind_it_is_touched() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("linked");
    drop_space(&launch, &space(2, 1, &json!({})));
    daemon.wait_for("both jobs are done", &launch, |counts| counts.done == 2);
    daemon.terminate();
    let names = ["job.json", "lock", "attempt-1.log", ".job.json.1-1.tmp", "progress.json", "end.json"];
    let folder = precious(dir.path(), &names);
    let private = job(&launch, 0).private();
    fs::remove_dir_all(&private).expect("removed");
    symlink(&folder, &private).expect("linked");
    daemon.start_again(&setup(1));
    until("it is told", || {
        daemon.search(&launch).is_some_and(|search| search.alarms.iter().any(|alarm| alarm.contains("no link is followed")))
    });
    assert_others_are_served(&daemon, "other");
    assert_untouched(&folder, &names);
}

#[test]
fn a_log_behind_a_link_is_neither_shown_nor_written() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN", "fail"));
    let launch = daemon.launch("logs");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job has failed", &launch, |counts| counts.failed == 1);
    let folder = precious(dir.path(), &["secret"]);
    let [first, second] = [1, 2].map(|attempt| job(&launch, 0).attempt_log(attempt));
    fs::remove_file(&first).expect("removed");
    for log in [first, second] {
        symlink(folder.join("secret"), log).expect("linked");
    }
    let path = job(&launch, 0).path().display().to_string();
    let error = daemon.client().get::<Log>("/v1/logs", &[("path", &path)]).expect_err("refused").to_string();
    assert!(error.contains("link") && !error.contains("precious"), "{error}");
    // The next attempt would write where the second link leads.
    daemon.client().change(&Retry { target: Some(path), ..Retry::default() }.into()).expect("taken");
    until("it is told why nothing starts", || {
        daemon.search(&launch).is_some_and(|search| format!("{search:?}").contains("link"))
    });
    assert_untouched(&folder, &["secret"]);
}

#[test]
fn pipes_and_devices_where_files_should_be_keep_nobody_waiting() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &setup(2));
    let [record, lock, table, fault] = ["record", "lock", "table", "fault"].map(|name| daemon.launch(name));
    for launch in [&record, &lock, &table] {
        drop_space(launch, &space(1, 1, &json!({})));
        daemon.wait_for("the job is done", launch, |counts| counts.done == 1);
    }
    daemon.terminate();
    for path in [&*job(&record, 0).record(), &*job(&lock, 0).lock(), &lock.join(".neurosearch/lock"), &table.join("jobs.tsv")] {
        fs::remove_file(path).expect("removed");
        pipe(path);
    }
    // What is read from it never ends.
    symlink("/dev/zero", fault.join("random_search.error")).expect("linked");
    drop_space(&fault, &space(1, 0, &json!({})));
    daemon.start_again(&setup(2));
    for launch in [&record, &lock] {
        until("it is told", || daemon.search(launch).is_some_and(|search| format!("{search:?}").contains("regular file")));
    }
    until("the fault is told in a file of its own", || {
        fs::symlink_metadata(fault.join("random_search.error")).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
    });
    let name = table.display().to_string();
    // Either the pipe is refused, or the table was written anew meanwhile.
    if let Err(error) = daemon.client().get::<Best>("/v1/best", &[("launch", &name)]) {
        assert!(error.to_string().contains("regular file"), "{error}");
    }
    assert_others_are_served(&daemon, "other");
}
