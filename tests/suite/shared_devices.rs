//! GPUs as `devices` shows them and as jobs get them, with a listing in the driver's place, and slots shared between searches.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir, trainers};
use crate::stand_in::until;
use crate::verbs::{granted, path, refused};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn gpu(index: u32, pids: &[u32]) -> Value {
    let processes: Vec<Value> = pids.iter().map(|pid| json!({ "pid": pid })).collect();
    json!({"index": index, "uuid": format!("GPU-{index}a"), "name": format!("NVIDIA Model {index}"), "memory_total": 80_u64 << 30,
        "memory_free": 79_u64 << 30, "utilization": 7, "processes": processes})
}

/// A daemon that finds these GPUs, with more configuration if any.
fn with_gpus(dir: &Path, gpus: &[Value], config: &str) -> Daemon {
    list(dir, gpus);
    let config = format!("rescan_seconds = 1\nsettle_milliseconds = 100\n{config}");
    let setup = Setup { config, environment: Vec::new() };
    let listing = dir.join("gpus.json").display().to_string();
    Daemon::start(dir, &setup.with("NEUROSEARCH_GPU_LISTING", listing).with("STAND_IN_PAUSE", "0.2"))
}

fn list(dir: &Path, gpus: &[Value]) {
    fs::write(dir.join("gpus.new"), json!(gpus).to_string()).expect("written");
    fs::rename(dir.join("gpus.new"), dir.join("gpus.json")).expect("renamed");
}

/// The variables that the one trainer below `root` was started with.
fn environment(daemon: &Daemon) -> Vec<String> {
    let pids = trainers(&daemon.root);
    let [pid] = pids.as_slice() else { panic!("one trainer: {pids:?}") };
    let environ = fs::read(format!("/proc/{pid}/environ")).expect("read");
    environ.split(|byte| *byte == 0).map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

#[test]
fn a_gpu_is_bound_by_its_uuid_and_one_that_others_occupy_is_left_alone_and_shown_so() {
    let dir = tempdir();
    // Process 1 is nobody's trainer.
    let daemon = with_gpus(dir.path(), &[gpu(0, &[1]), gpu(1, &[]), gpu(2, &[])], "exclude_devices = [\"GPU-2a\"]");
    let launch = daemon.launch("gpus");
    drop_space(&launch, &space(3, 5000, &json!({"use_cpu": false})));
    daemon.wait_for("a job runs", &launch, |counts| counts.running == 1);
    until("its trainer has said who it is", || trainers(&daemon.root).len() == 1);
    let variables = environment(&daemon);
    for wanted in ["CUDA_VISIBLE_DEVICES=GPU-1a", "CUDA_DEVICE_ORDER=PCI_BUS_ID", "NEUROSEARCH_DEVICE=GPU-1a"] {
        assert!(variables.iter().any(|variable| variable == wanted), "{wanted}: {variables:?}");
    }
    let shown = granted(dir.path(), &["devices"]);
    for words in ["GPU 0", "left alone", "(pid 1)", "NVIDIA Model 1", "79.0 of 80.0 GiB free", "7 %", "1 of 1", "GPU-1a"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("Model 2"), "it is excluded: {shown}");
    let said = granted(dir.path(), &["explain", path(&launch.join("job-1"))]);
    assert!(said.contains("GPU-0a is out of use: left alone") && said.contains("the one slot of GPU-1a is taken"), "{said}");
}

#[test]
fn a_gpu_is_drained_by_number_or_name_and_keeps_its_name_when_gone() {
    let dir = tempdir();
    let daemon = with_gpus(dir.path(), &[gpu(0, &[1]), gpu(1, &[])], "devices = [\"cpu\", \"GPU-0a\", \"GPU-1a\", \"GPU-9z\"]");
    until("the devices are known", || daemon.status().devices.len() == 3);
    let socket = dir.path().join("d.sock");
    assert!(granted(Path::new("/"), &["devices", "drain", "1", "--socket", path(&socket)]).contains("GPU-1a takes no new job"));
    assert!(granted(dir.path(), &["devices", "restore", "nvidia model 1"]).contains("GPU-1a takes jobs again"));
    assert!(granted(dir.path(), &["devices", "restore", "gpu-0"]).contains("when this is over: left alone"));
    assert!(refused(dir.path(), &["devices", "drain", "gpu"], 7).contains("write more"));
    let answer: Value = serde_json::from_str(&granted(dir.path(), &["devices", "drain", "cpu", "--json"])).expect("JSON");
    assert!(answer["done"][0].as_str().is_some_and(|done| done.contains("cpu")), "{answer}");
    let alarms = daemon.status().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("GPU-9z")), "{alarms:?}");

    list(dir.path(), &[gpu(0, &[1])]);
    let gone = || daemon.status().devices.into_iter().find(|device| device.id == "GPU-1a" && device.out_of_use.is_some());
    until("it is missed", || gone().is_some());
    assert_eq!(gone().map(|device| device.name), Some("NVIDIA Model 1".to_string()));
    assert!(granted(dir.path(), &["devices", "restore", "GPU-1a"]).contains("no longer found"));
    assert!(daemon.status().alarms.iter().any(|alarm| alarm.contains("GPU-1a")), "{:?}", daemon.status().alarms);
}

#[test]
fn two_searches_share_the_slots_by_priority_then_evenly_and_within_their_own_limits() {
    let dir = tempdir();
    let config = "devices = \"cpu\"\nslots_per_device = 2\nrescan_seconds = 1\nsettle_milliseconds = 100";
    let setup = Setup { config: config.to_string(), environment: Vec::new() };
    let daemon = Daemon::start(dir.path(), &setup.with("STAND_IN_PAUSE", "0.2"));
    let (one, two) = (daemon.launch("one"), daemon.launch("two"));
    let running = || [&one, &two].map(|launch| daemon.counts(launch).running);
    granted(dir.path(), &["drain"]);
    for launch in [&one, &two] {
        drop_space(launch, &space(6, 5000, &json!({})));
        until("it waits", || daemon.counts(launch).undrawn == 6);
    }
    granted(dir.path(), &["resume"]);
    until("each has one of the two slots", || running() == [1, 1]);
    // A slot that one may no longer use goes to the other.
    granted(dir.path(), &["set", path(&one), "slots=0"]);
    granted(dir.path(), &["cancel", path(&one.join("job-0"))]);
    until("the other has both", || running() == [0, 2]);
    granted(dir.path(), &["set", path(&one), "slots=all", "priority=5"]);
    granted(dir.path(), &["cancel", path(&two.join("job-0"))]);
    until("the more urgent has the one that came free", || running() == [1, 1]);
    granted(dir.path(), &["cancel", path(&two.join("job-1"))]);
    until("and the next", || running() == [2, 0]);
}
