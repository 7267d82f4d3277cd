//! The ways in which people put a space file in place, and roots that go and come back: exactly one search each.

use super::check::{assert_whole, job, starts};
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::needs::needs;
use crate::stand_in::until;
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Puts `text` into a launch directory in some way.
type Arrival = fn(&Path, &str);

fn half_written(launch: &Path, text: &str) {
    let mut file = File::create(launch.join("random_search.json")).expect("made");
    for piece in text.as_bytes().chunks(text.len() / 40 + 1) {
        file.write_all(piece).expect("written");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copied(launch: &Path, text: &str) {
    let source = launch.with_extension("source.json");
    fs::write(&source, text).expect("written");
    let copy = Command::new("cp").arg(&source).arg(launch.join("random_search.json")).status();
    assert!(copy.expect("cp runs").success());
}

fn edited_in_place(launch: &Path, text: &str) {
    let path = launch.join("random_search.json");
    fs::write(&path, text.replace("\"epochs\": 1", "\"epochs\": 0")).expect("written");
    std::thread::sleep(Duration::from_millis(20));
    let mut file = File::options().write(true).truncate(true).open(&path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

fn saved_by_vim(launch: &Path, text: &str) {
    let (path, backup) = (launch.join("random_search.json"), launch.join("random_search.json~"));
    fs::write(&path, text).expect("written");
    fs::write(launch.join("4913"), "").expect("vim tries whether it may write");
    fs::remove_file(launch.join("4913")).expect("removed");
    fs::rename(&path, &backup).expect("renamed");
    fs::write(&path, text).expect("written");
    fs::remove_file(backup).expect("removed");
}

fn synchronised(launch: &Path, text: &str) {
    let temporary = launch.join(".random_search.json.Xy12Ab");
    let mut file = File::create(&temporary).expect("made");
    for piece in text.as_bytes().chunks(200) {
        file.write_all(piece).expect("written");
    }
    fs::rename(temporary, launch.join("random_search.json")).expect("renamed");
}

fn touched(launch: &Path, text: &str) {
    drop_space(launch, text);
    for _ in 0..5 {
        let file = File::options().append(true).open(launch.join("random_search.json")).expect("opened");
        file.set_modified(std::time::SystemTime::now()).expect("touched");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn however_a_space_file_arrives_it_starts_exactly_one_search() {
    if needs("cp").is_none() {
        return;
    }
    let arrivals: [(&str, Arrival); 7] = [
        ("half-written", half_written),
        ("copied", copied),
        ("renamed", drop_space),
        ("edited-in-place", edited_in_place),
        ("saved-by-vim", saved_by_vim),
        ("synchronised", synchronised),
        ("touched", touched),
    ];
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(4));
    std::thread::scope(|scope| {
        for (name, arrive) in arrivals {
            let launch = daemon.launch(name);
            scope.spawn(move || arrive(&launch, &space(2, 1, &json!({}))));
        }
    });
    for (name, _) in arrivals {
        let launch = daemon.root.join(name);
        wait(&daemon, &launch, &format!("both jobs of the {name} file are done"), |counts| counts.done == 2);
        assert_whole(&launch, 2, 1);
        assert!((0..2).all(|index| starts(&job(&launch, index)).len() == 1), "{name}");
        assert!(!launch.join("random_search.error").exists(), "{name}");
    }
}

#[test]
fn a_whole_launch_directory_that_is_moved_into_place_is_found() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1));
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("made");
    drop_space(&outside, &space(1, 1, &json!({})));
    let launch = daemon.root.join("moved");
    fs::rename(&outside, &launch).expect("moved");
    wait(&daemon, &launch, "the job is done", |counts| counts.done == 1);
    assert_whole(&launch, 1, 1);
}

#[test]
fn a_root_that_goes_while_a_job_runs_and_comes_back_loses_nothing() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(1).with("STAND_IN_PAUSE", "0.1"));
    let launch = daemon.launch("away");
    drop_space(&launch, &space(3, 3, &json!({})));
    daemon.wait_for("a job is done and another runs", &launch, |counts| counts.done == 1 && counts.running == 1);
    let away = dir.path().join("elsewhere");
    fs::rename(&daemon.root, &away).expect("moved away");
    until("the alarm is shown", || daemon.status().alarms.iter().any(|alarm| alarm.contains("root")));
    fs::rename(&away, &daemon.root).expect("moved back");
    wait(&daemon, &launch, "all jobs are done", |counts| counts.done == 3);
    assert_whole(&launch, 3, 3);
}
