//! Networks that do not fit their device are foreseen: never launched, or drawn again, and said with both numbers.

use crate::harness::{Daemon, Setup, drop_space, space, tempdir};
use crate::stand_in::{checkout, json, launch, neurosearch, said, until};
use neurosearch::check;
use neurosearch::domain::space::SearchSpace;
use neurosearch::domain::space::draw::redraw;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Output;

const SEED: u64 = 7;
const JOBS: u64 = 8;

/// Half of the draws are of a network that no machine holds.
fn half_too_wide() -> Value {
    json!({ "first_conv_width": [2, 60_000], "channels_limit": 60_000, "n_convblocks": 4, "learning_rate": [2, 6] })
}

fn only_too_wide() -> Value {
    json!({ "first_conv_width": 60_000, "channels_limit": 60_000, "n_convblocks": 4 })
}

fn record(job: &Path) -> Value {
    json(&job.join(".neurosearch/job.json"))
}

fn was_started(job: &Path) -> bool {
    job.join(".neurosearch/starts").exists()
}

fn ask(daemon: &Daemon, args: &[&str]) -> Output {
    let mut command = neurosearch(&daemon.dir);
    command.env("NEUROSEARCH_SOCKET", daemon.dir.join("d.sock")).args(args).output().expect("the program runs")
}

#[test]
fn a_draw_too_large_for_its_gpu_fails_unrun_and_the_others_are_done() {
    let dir = tempdir();
    let memory = 200_000_000_u64;
    let gpus = dir.path().join("gpus.json");
    let gpu = json!([{ "index": 0, "uuid": "GPU-1a", "name": "T4", "memory_total": memory, "memory_free": memory }]);
    fs::write(&gpus, gpu.to_string()).expect("written");
    let config = "rescan_seconds = 1\nsettle_milliseconds = 100".to_string();
    let setup = Setup { config, ..Setup::default() }.with("NEUROSEARCH_GPU_LISTING", gpus.to_str().expect("plain"));
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("wide");
    let mut more = half_too_wide();
    more["use_cpu"] = json!(false);
    drop_space(&launch, &space(JOBS, 1, &more));
    daemon.wait_for("every job has ended", &launch, |counts| counts.done + counts.failed == JOBS);
    let counts = daemon.counts(&launch);
    assert!(counts.done > 0 && counts.failed > 0, "{counts:?}");
    let table = || fs::read_to_string(launch.join("analysis_loss.tsv")).unwrap_or_default();
    let whole = || {
        let lines = |name: &str| fs::read_to_string(launch.join(name)).unwrap_or_default().lines().count() as u64;
        let run = table().lines().last().and_then(|total| total.split('\t').nth(1)?.parse().ok());
        (lines("analysis_loss.tsv"), lines("jobs.tsv"), run) == (JOBS + 2, JOBS + 1, Some(counts.done))
    };
    until("the tables have every job and its result", whole);
    for job in daemon.jobs(&launch).jobs {
        let folder = launch.join(&job.name);
        let wide = job.state == "failed";
        assert_eq!(was_started(&folder), !wide, "{job:?}");
        let run = table().lines().find_map(|line| line.strip_prefix(&format!("{}\t", job.name))?.chars().next());
        assert_eq!(run, Some(if wide { '0' } else { '1' }), "{}", table());
        if wide {
            let sentence = job.sentence.unwrap_or_default();
            assert_eq!((job.class.as_deref(), job.attempts), (Some("too_large"), 0));
            assert!(sentence.contains("GPU-1a has 200 MB") && sentence.contains(" GB, and"), "{sentence}");
        }
    }
    let parameters = |job: &str| {
        let text = fs::read_to_string(launch.join("jobs.tsv")).expect("a table");
        let column = text.lines().next().and_then(|head| head.split('\t').position(|name| name == "parameters"));
        let row = text.lines().find(|line| line.starts_with(&format!("{job}\t"))).expect("a row").to_string();
        row.split('\t').nth(column.expect("a column")).expect("a cell").to_string()
    };
    for index in 0..JOBS {
        let name = format!("job-{index}");
        assert_eq!(record(&launch.join(&name))["footprint"]["parameters"].to_string(), parameters(&name));
    }
}

#[test]
fn with_redraw_every_job_fits_and_is_known_by_seed_index_and_the_number_of_its_draw() {
    let dir = tempdir();
    let mut setup = Setup::default();
    setup.config += "\non_too_large = \"redraw\"";
    let daemon = Daemon::start(dir.path(), &setup);
    let launch = daemon.launch("wide");
    let text = space(JOBS, 1, &half_too_wide());
    drop_space(&launch, &text);
    daemon.wait_for("every job is done", &launch, |counts| counts.done == JOBS);
    let parsed = SearchSpace::parse(&text, "random_search.json", &launch).expect("a space").space;
    let mut again = 0;
    for index in 0..JOBS {
        let job = launch.join(format!("job-{index}"));
        let redraws = record(&job)["redraws"].as_u64().expect("a number");
        again += redraws;
        let drawn = redraw(&parsed, SEED, index, redraws).expect("drawn");
        let options = check::job(&drawn).expect("it can train").to_json();
        assert_eq!(json(&job.join("commandline.json")), options, "job {index}, drawn again {redraws} times");
        if redraws > 0 {
            let shown = ask(&daemon, &["show", job.to_str().expect("plain")]);
            assert!(said(&shown).contains("the draws before did not fit"), "{}", said(&shown));
        }
    }
    assert!(again > 0, "half of the draws do not fit");
    let path = launch.join("job-0");
    let shown = ask(&daemon, &["show", path.to_str().expect("plain")]);
    let footprint = record(&path)["footprint"].clone();
    assert!(said(&shown).contains(&format!("{} parameters, about ", footprint["parameters"])), "{}", said(&shown));
    let shown = ask(&daemon, &["show", "--json", path.to_str().expect("plain")]);
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(shown["footprint"], footprint);
}

#[test]
fn a_job_that_waited_for_its_slot_is_held_against_the_device_when_it_gets_one() {
    let dir = tempdir();
    let daemon = Daemon::start(dir.path(), &Setup::default());
    let launch = daemon.launch("chosen");
    drop_space(&launch, &space(1, 1, &only_too_wide()));
    daemon.wait_for("the search's own job has failed", &launch, |counts| counts.failed == 1);
    let sampled = ask(&daemon, &["sample", launch.to_str().expect("plain")]);
    let commandline = dir.path().join("commandline.json");
    fs::write(&commandline, &sampled.stdout).expect("written");
    let paths = [launch.to_str().expect("plain"), commandline.to_str().expect("plain")];
    let queued = ask(&daemon, &["enqueue", paths[0], paths[1]]);
    assert!(queued.status.success(), "{}", said(&queued));
    daemon.wait_for("it has failed too", &launch, |counts| counts.failed == 2);
    let job = launch.join("chosen-0");
    let at_end = || record(&job)["state"] == "failed";
    until("its record says so", at_end);
    let record = record(&job);
    assert_eq!((&record["class"], &record["attempts"]), (&json!("too_large"), &json!(0)));
    assert!(!was_started(&job));
}

#[test]
fn without_a_daemon_too_a_network_that_does_not_fit_is_not_launched() {
    let dir = tempdir();
    let launch = launch(dir.path(), only_too_wide());
    let folder = launch.to_str().expect("plain");
    let generated = neurosearch(dir.path()).args(["generate", folder, "x"]).output().expect("the program runs");
    assert_eq!(generated.status.code(), Some(1), "{}", said(&generated));
    let job = launch.join("x");
    let record = record(&job);
    assert_eq!((&record["state"], &record["class"], &record["attempts"]), (&json!("failed"), &json!("too_large"), &json!(0)));
    let sentence = record["sentence"].as_str().expect("a sentence");
    assert!(sentence.contains("cpu has ") && said(&generated).contains(sentence), "{}", said(&generated));
    let again = launch.join("again");
    for args in [
        vec!["continue".into(), job.clone().into_os_string()],
        vec!["retrain".into(), job.join("commandline.json").into_os_string(), again.clone().into_os_string()],
    ] {
        let refused = neurosearch(dir.path()).args(args).output().expect("the program runs");
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(said(&refused).contains("too_large: training needs about"), "{}", said(&refused));
    }
    assert!(!was_started(&job) && !again.exists());
}

#[test]
fn sample_says_what_each_job_takes_beside_its_options_or_in_their_place() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({ "neurosearch": { "seed": 3 } }));
    let sample = |more: &[&str]| {
        neurosearch(dir.path()).arg("sample").arg(&launch).args(["-n", "4"]).args(more).output().expect("the program runs")
    };
    let lines = |output: &Output| -> Vec<Value> {
        let text = String::from_utf8(output.stdout.clone()).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let (options, footprints) = (sample(&[]), sample(&["--footprint"]));
    assert!(lines(&options).iter().all(|line| line["convolutions"].is_object() && line.get("peak_bytes").is_none()));
    let footprints = lines(&footprints);
    assert_eq!(footprints.len(), 4);
    for (index, line) in footprints.iter().enumerate() {
        let (parameters, bytes) = (line["parameters"].as_u64().expect("a count"), line["peak_bytes"].as_u64().expect("bytes"));
        assert_eq!(line["job"], json!(format!("job-{index}")));
        assert!(bytes > 16 * parameters, "weights, gradients and Adam's moments alone are as much: {line}");
        assert_eq!(line["kept_bytes"], json!(8 * parameters), "the weights of the best by either selection");
        let text = format!("job-{index}: {parameters} parameters, about ");
        assert!(said(&options).contains(&text), "{text}: {}", said(&options));
    }
}

#[test]
fn a_batch_counts_no_more_items_than_there_are() {
    let space = |batch: u64| {
        let labels = checkout("tests/fixtures/mni-quarter/labels");
        let text = space(1, 1, &json!({ "batch_size": batch, "tsv_path": labels, "n_convblocks": 2, "n_fcblocks": 1 }));
        let space = SearchSpace::parse(&text, "random_search.json", Path::new("/")).expect("a space").space;
        check::weighed(&redraw(&space, 1, 0, 0).expect("drawn")).expect("it can train").1.peak_bytes
    };
    let train = ["AD", "CN"].map(|label| {
        let file = checkout("tests/fixtures/mni-quarter/labels/train").join(format!("{label}.tsv"));
        fs::read_to_string(file).expect("labels").lines().count() as u64 - 1
    });
    let all = train.iter().sum::<u64>();
    assert_eq!(space(all + 1000), space(all));
    assert!(space(all) > space(all - 2));
}
