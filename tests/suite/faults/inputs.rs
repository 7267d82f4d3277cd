//! Hand-made bad inputs, all dropped on one daemon: each is refused by name, none starts a job, and every directory is served once it is mended.

use super::bad_spaces::{bad_keys, bad_texts};
use super::counts::figure;
use super::{setup, wait};
use crate::harness::{Daemon, drop_space, space, tempdir};
use crate::stand_in::until;
use serde_json::{Value, json};
use std::fs;

#[test]
fn every_bad_input_is_refused_by_name_and_its_directory_is_served_once_it_is_mended() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &setup(4));
    let good = space(1, 1, &json!({}));
    let mut cases = Vec::new();
    for (key, value) in bad_keys() {
        let mut bad: Value = serde_json::from_str(&good).expect("JSON");
        let mode = if ["patch", "stride"].iter().any(|word| key.starts_with(word)) {
            "patch"
        } else if key.contains("slice") || key == "selection_threshold" {
            "slice"
        } else if key.contains("roi") {
            "roi"
        } else {
            "image"
        };
        bad["mode"] = json!(mode);
        bad[key] = value;
        cases.push((serde_json::to_string_pretty(&bad).expect("JSON").into_bytes(), key.to_string()));
    }
    cases.extend(bad_texts(&good).into_iter().map(|(bytes, word)| (bytes, word.to_string())));
    let launches: Vec<_> = (0..cases.len()).map(|index| daemon.launch(&format!("bad-{index}"))).collect();
    for (launch, (bytes, _)) in launches.iter().zip(&cases) {
        fs::write(launch.join("random_search.json"), bytes).expect("written");
    }
    until("every directory is judged", || {
        launches.iter().all(|launch| launch.join("random_search.error").exists() || launch.join("job-0").exists())
    });
    let accepted: Vec<String> = launches
        .iter()
        .zip(&cases)
        .filter(|(launch, _)| launch.join("job-0").exists())
        .map(|(_, (bytes, word))| format!("{word}: {}", String::from_utf8_lossy(bytes)))
        .collect();
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
    for (launch, (bytes, word)) in launches.iter().zip(&cases) {
        let error = launch.join("random_search.error");
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        let text = fs::read_to_string(&error).expect("read");
        assert!(text.contains(word.as_str()), "{word} is not named:\n{text}\n{}", shown());
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(!launch.join("job-0").exists(), "{}", launch.display());
    }
    // One of each kind of fault is mended, that the way back is open too.
    for launch in launches.iter().step_by(25) {
        drop_space(launch, &space(1, 1, &json!({})));
    }
    for launch in launches.iter().step_by(25) {
        wait(&daemon, launch, "the mended search is done", |counts| counts.done == 1);
        until("the error is gone", || !launch.join("random_search.error").exists());
    }
    figure("hand-made bad inputs, each refused by name, no job started", cases.len());
    assert!(cases.len() >= 300, "{}", cases.len());
}
