//! The replies of the control socket against a sample of version 1, which is kept: what is in it stays, by name and type.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::needs::needs;
use crate::stand_in::{checkout, json, said, until};
use neurosearch::control::reply;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Command;

/// What a reply says only where there is something to say, else null.
const MAY_BE_NULL: [&str; 18] = [
    "seed",
    "n_jobs",
    "slots",
    "time_limit",
    "progress",
    "left_seconds",
    "index",
    "memory_total",
    "memory_free",
    "utilization",
    "out_of_use",
    "class",
    "sentence",
    "device",
    "since",
    "loss",
    "balanced_accuracy_train",
    "step_seconds",
];

fn sample() -> Map<String, Value> {
    json(&checkout("tests/fixtures/replies/v1.json")).as_object().expect("an object").clone()
}

/// Where the reply lacks something of the sample, or has it in another type.
fn faults(at: &str, sample: &Value, reply: &Value) -> Vec<String> {
    let key = at.rsplit('.').next().unwrap_or_default();
    match (sample, reply) {
        (Value::Object(sample), Value::Object(reply)) => {
            let each = sample.iter().map(|(key, value)| match reply.get(key) {
                Some(other) => faults(&format!("{at}.{key}"), value, other),
                None => vec![format!("{at}.{key} is missing")],
            });
            each.flatten().collect()
        }
        (Value::Array(sample), Value::Array(reply)) => match sample.first() {
            Some(sample) if reply.is_empty() => vec![format!("{at} is empty, and has to hold {sample}")],
            Some(sample) => reply.iter().flat_map(|item| faults(at, sample, item)).collect(),
            None => Vec::new(),
        },
        (Value::Null, _) => Vec::new(),
        (_, Value::Null) if MAY_BE_NULL.contains(&key) => Vec::new(),
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => {
            Vec::new()
        }
        _ => vec![format!("{at} is {reply}, and was {sample}")],
    }
}

/// Asks as a person without our program would.
fn curl(program: &Path, dir: &Path, target: &str, body: Option<&str>) -> Value {
    let mut command = Command::new(program);
    command.arg("--silent").arg("--unix-socket").arg(dir.join("d.sock"));
    if let Some(body) = body {
        command.args(["--header", "content-type: application/json", "--data", body]);
    }
    let output = command.arg(format!("http://localhost{target}")).output().expect("curl runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{target}: {e}: {}", said(&output)))
}

#[test]
fn every_reply_has_what_version_1_promised_asked_by_curl() {
    let Some(program) = needs("curl") else { return };
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("first");
    drop_space(&launch, &space(1, 1, &json!({})));
    daemon.wait_for("a job is done", &launch, |counts| counts.done == 1);
    let path = launch.display().to_string();
    let ask = |target: &str| curl(&program, dir.path(), target, None);
    until("it is ranked", || ask(&format!("/v1/best?launch={path}"))["ranked"] == json!(1));
    let body = json!({"target": path, "set": {"slots": "1", "time_limit_hours": "12", "priority": "2"}}).to_string();
    let posted = curl(&program, dir.path(), "/v1/set", Some(&body));
    // A second job that runs for as long as the test looks at it, and a third that waits.
    let mut daemon = daemon;
    daemon.terminate();
    daemon.start_again(&Setup::default().with("STAND_IN_PAUSE", "0.5"));
    drop_space(&launch, &space(3, 5000, &json!({})));
    until("a job reports", || {
        let running = daemon.search(&launch).map(|search| search.running).unwrap_or_default();
        running.iter().any(|job| job.progress.is_some())
    });
    let replies = [
        ("GET /v1/ping", ask("/v1/ping")),
        ("GET /v1/status", ask("/v1/status")),
        ("GET /v1/jobs", ask(&format!("/v1/jobs?launch={path}"))),
        ("GET /v1/job", ask(&format!("/v1/job?path={path}/job-2"))),
        ("GET /v1/best", ask(&format!("/v1/best?launch={path}&most=1"))),
        ("GET /v1/logs", ask(&format!("/v1/logs?path={path}/job-1"))),
        ("GET /v1/devices", ask("/v1/devices")),
        ("POST", posted),
        ("refusal", ask("/v1/job?path=/nowhere/job-0")),
    ];
    let sample = sample();
    assert_eq!(replies.len(), sample.len(), "each reply is held against its sample");
    for (name, reply) in &replies {
        let faults = faults(name, &sample[*name], reply);
        assert!(faults.is_empty(), "{faults:?} {reply:#}");
    }
}

#[test]
fn the_sample_is_still_understood_and_every_field_of_it_is_documented() {
    fn read<T: DeserializeOwned>(sample: &Map<String, Value>, name: &str) {
        serde_json::from_value::<T>(sample[name].clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let sample = sample();
    read::<reply::Pong>(&sample, "GET /v1/ping");
    read::<reply::Status>(&sample, "GET /v1/status");
    read::<reply::Jobs>(&sample, "GET /v1/jobs");
    read::<reply::OneJob>(&sample, "GET /v1/job");
    read::<reply::Best>(&sample, "GET /v1/best");
    read::<reply::Log>(&sample, "GET /v1/logs");
    read::<reply::Devices>(&sample, "GET /v1/devices");
    read::<reply::Changed>(&sample, "POST");
    read::<reply::Refusal>(&sample, "refusal");
    let documentation = std::fs::read_to_string(checkout("docs/control.md")).expect("read");
    let mut fields = Vec::new();
    sample.values().for_each(|reply| names(reply, &mut fields));
    let missing: Vec<&String> = fields.iter().filter(|field| !documentation.contains(&format!("`{field}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The names of all fields in it.
fn names(value: &Value, fields: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            fields.push(key.clone());
            names(value, fields);
        }),
        Value::Array(items) => items.iter().for_each(|item| names(item, fields)),
        _ => {}
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_type_is_found() {
    let sample = json!({"a": 1, "b": {"c": "x"}, "d": [{"e": true}], "seed": 7});
    let cases = [
        (json!({"a": 2, "b": {"c": "y"}, "d": [{"e": false}], "seed": null, "new": 1}), 0),
        (json!({"a": "2", "b": {"c": "y"}, "d": [{"e": false}], "seed": 7}), 1),
        (json!({"a": null, "b": {}, "d": [], "seed": 7}), 3),
        (json!({"a": 2, "b": {"c": "y"}, "d": [{"e": false}, {}]}), 2),
    ];
    for (reply, count) in cases {
        assert_eq!(faults("reply", &sample, &reply).len(), count, "{reply}");
    }
}
