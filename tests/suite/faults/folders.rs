//! Folders and files that are not what they seem: links, other people's files, open doors, and what dead processes left.

use super::check::{assert_nothing_lost, assert_readable, assert_whole, files, job};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::needs::skip;
use crate::stand_in::{neurosearch, said, until};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Stdio;

/// Waits until the space file is refused with these words, and asserts that nothing was made of it.
fn refused(daemon: &Daemon, launch: &Path, words: &str) {
    until(&format!("it is refused: {words}"), || {
        daemon.search(launch).is_some_and(|search| search.faults.iter().any(|fault| fault.contains(words)))
    });
    assert!(!launch.join("job-0").exists());
}

#[test]
fn faults_of_a_directory_with_a_line_feed_in_its_name_are_a_line_each() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("first\nsecond");
    drop_space(&launch, r#"{"mode": "cube", "network_type": "tree"}"#);
    let faults = || daemon.search(&launch).map(|search| search.faults).unwrap_or_default();
    until("it is refused", || !faults().is_empty());
    let told = faults();
    assert!(told.len() > 1 && told.iter().all(|fault| fault.contains("first\\nsecond/random_search.json: ")), "{told:#?}");
    until("the file says so", || launch.join("random_search.error").exists());
    let text = fs::read_to_string(launch.join("random_search.error")).expect("read");
    assert_eq!(text.lines().collect::<Vec<_>>(), told);
    // What is wrong with the file as a whole, too.
    fs::remove_file(launch.join("random_search.json")).expect("removed");
    fs::create_dir(launch.join("random_search.json")).expect("made");
    until("it is refused again", || matches!(faults().as_slice(), [one] if one.contains("not a regular file")));
}

#[test]
fn a_linked_space_file_or_one_in_an_open_directory_is_refused_until_it_is_put_right() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let [hard, soft, open] = ["hard", "soft", "open"].map(|name| daemon.launch(name));
    let elsewhere = dir.path().join("elsewhere.json");
    fs::write(&elsewhere, space(1, 1, &json!({}))).expect("written");
    fs::hard_link(&elsewhere, hard.join("random_search.json")).expect("linked");
    symlink(&elsewhere, soft.join("random_search.json")).expect("linked");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("opened");
    drop_space(&open, &space(1, 1, &json!({})));
    refused(&daemon, &soft, "regular file");
    refused(&daemon, &open, "chmod o-w");
    refused(&daemon, &hard, "hard links");
    fs::remove_file(elsewhere).expect("removed");
    fs::remove_file(soft.join("random_search.json")).expect("removed");
    drop_space(&soft, &space(1, 1, &json!({})));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("closed");
    for launch in [&hard, &soft, &open] {
        wait(&daemon, launch, "the job is done", |counts| counts.done == 1);
        assert_whole(launch, 1, 1);
    }
}

#[test]
fn a_space_file_of_another_user_is_refused_until_it_is_the_directorys_owners() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give a file away; the rule itself is tested where the file is read.
        return skip("root, who alone can give a file away");
    }
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("foreign");
    let text = launch.join("random_search.json");
    fs::write(launch.join("new"), space(1, 1, &json!({}))).expect("written");
    chown(launch.join("new"), Some(65534), Some(65534)).expect("given away");
    fs::rename(launch.join("new"), &text).expect("renamed");
    refused(&daemon, &launch, "belongs to user 65534");
    chown(&text, Some(0), Some(0)).expect("taken back");
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    assert_whole(&launch, 1, 1);
}

#[test]
fn a_link_where_a_job_should_be_is_never_followed_and_the_search_goes_on_without_it() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("linked");
    let target = dir.path().join("precious");
    fs::create_dir(&target).expect("made");
    fs::write(target.join("commandline.json"), "{}").expect("written");
    symlink(&target, launch.join("job-1")).expect("linked");
    fs::write(launch.join("job-2"), "not a folder").expect("written");
    drop_space(&launch, &space(4, 1, &json!({})));
    wait(&daemon, &launch, "the other jobs are done", |counts| counts.done == 2 && counts.undrawn == 0);
    assert_eq!(files(&target), [target.join("commandline.json")], "nothing was written through the link");
    assert_eq!(fs::read_to_string(launch.join("job-2")).expect("left as it was"), "not a folder");
    assert_readable(&launch);
}

#[test]
fn what_dead_processes_left_is_swept_at_the_next_start() {
    let dir = tempdir();
    let mut daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("swept");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job is done", &launch, |counts| counts.done == 1);
    daemon.terminate();
    let private = launch.join(".neurosearch");
    fs::create_dir_all(private.join("new-job-9/.neurosearch")).expect("made");
    // Of a `generate` that was killed while it made its folder.
    let by_hand = launch.join(format!(".new-by-hand.{}", u32::MAX));
    fs::create_dir_all(by_hand.join(".neurosearch")).expect("made");
    let left: [std::path::PathBuf; 5] = [
        private.join(".search.json.1-1.tmp"),
        private.join(".probe.1-1.tmp"),
        launch.join(format!(".jobs.tsv.{}-2.tmp", u32::MAX)),
        launch.join(".random_search.error.1-3.tmp"),
        job(&launch, 0).private().join(".job.json.1-4.tmp").into(),
    ];
    for path in &left {
        fs::write(path, "half").expect("written");
    }
    fs::write(launch.join(".mine.tmp"), "not the daemon's").expect("written");
    daemon.start_again(&setup(1));
    let folders = [private.join("new-job-9"), by_hand];
    until("it is swept", || left.iter().chain(&folders).all(|path| !path.exists()));
    assert!(launch.join(".mine.tmp").exists(), "what is not ours stays");
    assert_nothing_lost(&launch, 1);
}

#[test]
fn a_new_daemon_removes_nothing_of_a_generate_that_is_at_work() {
    let dir = tempdir();
    let failpoints = dir.path().join("failpoints");
    fs::create_dir(&failpoints).expect("made");
    let held = failpoints.join("rename:%by-hand%.neurosearch%job.json=wait+");
    fs::write(&held, "").expect("armed");
    let mut daemon = Daemon::start(dir.path(), &setup(1));
    let launch = daemon.launch("shared");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the daemon's own job is done", &launch, |counts| counts.done == 1);
    daemon.terminate();
    let mut command = neurosearch(dir.path());
    command.args(["generate".as_ref(), launch.as_os_str(), "by-hand".as_ref()]).env("NEUROSEARCH_FAILPOINTS", &failpoints);
    let generate = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let half_written = || files(&launch.join("by-hand")).iter().any(|path| path.extension().is_some_and(|e| e == "tmp"));
    until("its record is half-written", half_written);
    daemon.start_again(&setup(1));
    until("the daemon has looked", || daemon.search(&launch).is_some() && daemon.jobs(&launch).jobs.len() == 2);
    assert!(half_written());
    fs::remove_file(held).expect("disarmed");
    let ended = generate.wait_with_output().expect("reaped");
    assert!(ended.status.success(), "{}", said(&ended));
    wait(&daemon, &launch, "both jobs are done", |counts| counts.done == 2);
    assert_readable(&launch);
}

#[test]
fn what_a_trainer_left_in_a_job_that_was_given_up_is_swept() {
    let dir = tempdir();
    let setup = setup(1).with("STAND_IN", "fail");
    let mut daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("given-up");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("the job has failed", &launch, |counts| counts.failed == 1);
    daemon.terminate();
    let models = job(&launch, 0).fold(0).path().join("models/best_loss");
    fs::create_dir_all(&models).expect("made");
    let progress = job(&launch, 0).private().join(".progress.json.1-5.tmp");
    let left = [progress.to_path_buf(), models.join(".model_best.pth.tar.1-6.tmp")];
    for path in &left {
        fs::write(path, "half").expect("written");
    }
    daemon.start_again(&setup);
    until("it is swept", || left.iter().all(|path| !path.exists()));
}
