//! The daemon's actors over another executor: jobs are submitted, wait, run, are adopted, stopped, lost and tried again.

use crate::harness::{drop_space, space};
use crate::queue::{Cluster, Queue};
use crate::stand_in::{json, until};
use neurosearch::daemon::boot;
use neurosearch::daemon::configuration::Configuration;
use neurosearch::daemon::context::Services;
use neurosearch::daemon::logging::{self, Filter};
use neurosearch::store::settings::Settings;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread::JoinHandle;

/// There is one log in a process.
static LOG: LazyLock<Filter> = LazyLock::new(|| logging::start("off").expect("the only log of this process"));

/// The actors of a daemon in this process, on a thread of their own. Dropping it ends them as a crash would.
struct Actors {
    system: actix::System,
    thread: Option<JoinHandle<()>>,
}

impl Actors {
    fn start(root: &Path, cluster: &Cluster) -> Self {
        let settings = Settings {
            watch: vec![root.to_path_buf()],
            rescan_seconds: 1,
            settle_milliseconds: 100,
            stall_seconds: 1,
            stop_grace_seconds: 1,
            ..Settings::default()
        };
        let configuration = Configuration::first(move || Ok(settings.clone())).expect("settings");
        let executor = Arc::new(Queue::of(cluster));
        let services = Services::new(configuration, LOG.clone(), executor).expect("this process");
        let (told, heard) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let system = actix::System::new();
            system.block_on(async { drop(boot::start_searching(&services)) });
            told.send(actix::System::current()).expect("heard");
            system.run().expect("a clean end");
        });
        Actors { system: heard.recv().expect("started"), thread: Some(thread) }
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        self.system.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("its actors end");
        }
    }
}

/// A search of `n_jobs` jobs of `epochs` epochs below the root.
fn search(dir: &Path, n_jobs: u64, epochs: u64) -> (PathBuf, PathBuf) {
    let root = dir.join("root");
    let launch = root.join("queued");
    fs::create_dir_all(&launch).expect("made");
    drop_space(&launch, &space(n_jobs, epochs, &json!({})));
    (root, launch)
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn private(launch: &Path, job: &str, name: &str) -> PathBuf {
    launch.join(job).join(".neurosearch").join(name)
}

fn record(launch: &Path, job: &str) -> Value {
    let path = private(launch, job, "job.json");
    if path.exists() { json(&path) } else { Value::Null }
}

fn is(launch: &Path, job: &str, state: &str) -> bool {
    record(launch, job)["state"] == json!(state)
}

/// The attempt of each epoch that the stand-in trainer did.
fn attempts(launch: &Path, job: &str) -> Vec<String> {
    let text = fs::read_to_string(private(launch, job, "epochs")).unwrap_or_default();
    text.lines().filter_map(|line| line.rsplit_once(' ').map(|(_, attempt)| attempt.to_string())).collect()
}

#[test]
fn a_job_may_wait_in_a_queue_for_as_long_as_it_likes_and_then_runs_to_its_end() {
    let dir = dir();
    let cluster = Cluster::default();
    cluster.hold(true);
    let (root, launch) = search(dir.path(), 2, 1);
    let _actors = Actors::start(&root, &cluster);
    // Longer than a trainer may be silent. The queue has two slots, of which the configuration knows nothing.
    until("both jobs wait", || cluster.submitted() == 2 && (0..2).all(|id| cluster.asked(id) >= 12));
    assert!(["job-0", "job-1"].iter().all(|job| record(&launch, job)["failures_in_a_row"] == json!(0)));
    assert_eq!(cluster.stops(), [], "none counts as stalled");
    cluster.hold(false);
    until("both are done", || ["job-0", "job-1"].iter().all(|job| is(&launch, job, "done")));
    assert_eq!(cluster.submitted(), 2);
    for job in ["job-0", "job-1"] {
        assert_eq!(record(&launch, job)["attempts"], json!(1));
        let run = &json(&private(&launch, job, "trainer.json"))["run"];
        assert!(run["queue"].is_u64() && run["process"].is_null(), "{run}");
    }
}

#[test]
fn the_next_daemon_adopts_what_runs_in_a_queue_and_stops_what_it_was_asked_to_stop() {
    let dir = dir();
    let cluster = Cluster::with("STAND_IN_PAUSE", "0.1");
    let (root, launch) = search(dir.path(), 2, 20);
    let actors = Actors::start(&root, &cluster);
    until("both jobs train", || ["job-0", "job-1"].iter().all(|job| !attempts(&launch, job).is_empty()));
    drop(actors);
    let mut asked = record(&launch, "job-0");
    asked["wish"] = json!("pause");
    fs::write(private(&launch, "job-0", "job.json"), asked.to_string()).expect("written");
    let _actors = Actors::start(&root, &cluster);
    until("one is paused and the other done", || is(&launch, "job-0", "paused") && is(&launch, "job-1", "done"));
    assert_eq!(cluster.submitted(), 2, "nothing was started again");
    assert_eq!(attempts(&launch, "job-1"), vec!["attempt-1"; 20]);
    assert!(attempts(&launch, "job-0").len() < 20, "it kept what it had");
}

#[test]
fn while_a_queue_does_not_answer_its_jobs_are_left_alone() {
    let dir = dir();
    let cluster = Cluster::with("STAND_IN_PAUSE", "0.1");
    let (root, launch) = search(dir.path(), 1, 40);
    let actors = Actors::start(&root, &cluster);
    until("the job trains", || !attempts(&launch, "job-0").is_empty());
    drop(actors);
    cluster.silence(true);
    let looked_for = cluster.looked_for();
    let _actors = Actors::start(&root, &cluster);
    until("the daemon has looked for it again and again", || cluster.looked_for() >= looked_for + 3);
    assert_eq!((cluster.submitted(), record(&launch, "job-0")["attempts"].clone()), (1, json!(1)));
    cluster.silence(false);
    until("it is done", || is(&launch, "job-0", "done"));
    assert_eq!(cluster.submitted(), 1);
}

#[test]
fn a_run_that_the_queue_has_lost_is_tried_again_and_not_counted() {
    let dir = dir();
    let cluster = Cluster::with("STAND_IN_PAUSE", "0.1");
    let (root, launch) = search(dir.path(), 1, 10);
    let _actors = Actors::start(&root, &cluster);
    until("the job trains", || !attempts(&launch, "job-0").is_empty());
    cluster.lose(0);
    until("it is done", || is(&launch, "job-0", "done"));
    let record = record(&launch, "job-0");
    assert_eq!((&record["attempts"], &record["failures_in_a_row"]), (&json!(2), &json!(0)));
    assert_eq!(record["last_failure"]["class"], json!("lost"));
    assert_eq!(cluster.submitted(), 2);
}

#[test]
fn an_end_without_a_word_is_counted_as_the_queue_tells_it() {
    let dir = dir();
    let cluster = Cluster::with("STAND_IN", "silent");
    let (root, launch) = search(dir.path(), 1, 1);
    let _actors = Actors::start(&root, &cluster);
    until("it was tried again", || record(&launch, "job-0")["attempts"].as_u64() >= Some(2));
    let record = record(&launch, "job-0");
    assert!(record["failures_in_a_row"].as_u64() >= Some(1), "{record}");
    assert_eq!(record["last_failure"]["class"], json!("device"));
    assert_eq!(record["last_failure"]["sentence"], json!("the queue says that the node failed"));
}

#[test]
fn a_stalled_trainer_of_a_queue_is_asked_to_stop_and_killed_when_it_does_not() {
    let dir = dir();
    let cluster = Cluster::with("STAND_IN", "deaf").and("STAND_IN_PAUSE", "600");
    let (root, launch) = search(dir.path(), 1, 1);
    let _actors = Actors::start(&root, &cluster);
    until("the stall is counted", || record(&launch, "job-0")["last_failure"]["class"] == json!("stalled"));
    assert_eq!(cluster.stops()[..2], [(0, "asked".to_string()), (0, "killed".to_string())]);
}
