//! `generate` from the search space to the results, with a stand-in for the trainer.

use crate::harness::tempdir;
use crate::needs::{needs, skip};
use crate::stand_in::{Signal, checkout, json, launch, neurosearch, said, signal, until};
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn generate(dir: &Path, name: &str) -> Command {
    let mut command = neurosearch(dir);
    command.args(["generate", dir.join("launch").to_str().expect("plain"), name]);
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("the program runs")
}

#[test]
fn a_job_is_drawn_trained_and_recorded_without_a_daemon() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"neurosearch": {"seed": 7}}));
    let output = output(&mut generate(dir.path(), "first"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let job = launch.join("first");
    let record = json(&job.join(".neurosearch/job.json"));
    assert_eq!((&record["state"], &record["index"], &record["search_seed"]), (&json!("done"), &json!(0), &json!(7)));
    assert_eq!((&record["attempts"], &record["starter"]), (&json!(1), &json!("command")));
    let options = json(&job.join("commandline.json"));
    assert!(options["fc"].is_object() && options["seed"].is_u64(), "{options}");
    assert!(job.join("fold-0/cnn_classification/best_loss/validation_image_level_metrics.tsv").is_file());
    assert!(!launch.join(".neurosearch").exists(), "a launch directory that is nobody's stays as it is");
}

#[test]
fn the_same_seed_and_index_give_the_same_options_under_any_name() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"learning_rate": [2, 6], "dropout": [0, 0.9]}));
    for (name, index) in [("a", "3"), ("b", "3"), ("c", "4")] {
        let output = output(generate(dir.path(), name).args(["--seed", "11", "--index", index]));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
    let options = |name: &str| json(&launch.join(name).join("commandline.json"));
    assert_eq!(options("a"), options("b"));
    assert_ne!(options("a"), options("c"));
}

#[test]
fn the_first_unused_index_is_drawn_and_a_new_seed_is_recorded() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    for (name, expected) in [("job-1", 0), ("other", 1), ("third", 2)] {
        let output = output(&mut generate(dir.path(), name));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let record = json(&launch.join(name).join(".neurosearch/job.json"));
        assert_eq!(record["index"], json!(expected), "{name}");
        assert!(record["search_seed"].is_u64());
    }
}

#[test]
fn those_who_draw_at_the_same_time_get_an_index_each() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"neurosearch": {"seed": 5}}));
    let failpoints = dir.path().join("failpoints");
    let slow = failpoints.join("write:%.new-first.#%commandline.json=wait+");
    std::fs::create_dir(&failpoints).expect("made");
    std::fs::write(&slow, "").expect("armed");
    let start = |name: &str| {
        let said = std::fs::File::create(dir.path().join(format!("{name}.stderr"))).expect("made");
        let mut command = generate(dir.path(), name);
        command.env("NEUROSEARCH_FAILPOINTS", &failpoints).stdout(Stdio::null()).stderr(said);
        command.spawn().expect("started")
    };
    let said = |name: &str| std::fs::read_to_string(dir.path().join(format!("{name}.stderr"))).expect("read");
    let mut first = start("first");
    let making = || std::fs::read_dir(&launch).expect("listed").flatten();
    until("the first has its index", || making().any(|entry| entry.file_name().to_string_lossy().starts_with(".new-first.")));
    let mut others = ["second", "third"].map(|name| (name, start(name)));
    for (name, other) in &mut others {
        let mut is_over = || other.try_wait().expect("asked").is_some();
        until("another waits, or has drawn", || said(name).contains("waiting for process") || is_over());
    }
    std::fs::remove_file(&slow).expect("let go");
    assert!(first.wait().expect("it ends").success(), "{}", said("first"));
    for (name, other) in &mut others {
        assert!(other.wait().expect("it ends").success(), "{}", said(name));
    }
    let mut indices =
        ["first", "second", "third"].map(|name| json(&launch.join(name).join(".neurosearch/job.json"))["index"].as_u64());
    indices.sort_unstable();
    assert_eq!(indices, [Some(0), Some(1), Some(2)]);
}

#[test]
fn a_colleague_who_may_only_read_the_lock_for_drawing_still_takes_it() {
    let Some(setpriv) = needs("setpriv") else { return };
    if !rustix::process::geteuid().is_root() {
        return skip("root, who alone can become another user");
    }
    let dir = tempdir();
    // The checkout may lie where the other user may not look.
    let open = dir.path().join("open");
    let mut copy = Command::new("cp");
    copy.args(["-r", "-T"]).arg(checkout("tests/fixtures/mni-quarter")).arg(&open);
    assert!(copy.status().expect("cp runs").success());
    let trainer = open.join("trainer");
    std::fs::copy(checkout("tests/programs/stand-in-trainer"), &trainer).expect("copied");
    let launch = launch(dir.path(), json!({ "caps_dir": open.join("caps"), "tsv_path": open.join("labels") }));
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("opened");
    chown(&launch, None, Some(61_001)).expect("shared");
    std::fs::set_permissions(&launch, PermissionsExt::from_mode(0o770)).expect("opened");
    std::fs::write(launch.join(".drawing"), "").expect("written");
    std::fs::set_permissions(launch.join(".drawing"), PermissionsExt::from_mode(0o644)).expect("closed");
    let own = generate(dir.path(), "theirs");
    let mut theirs = Command::new(setpriv);
    theirs.args(["--reuid", "61001", "--regid", "61001", "--clear-groups"]).arg(own.get_program()).args(own.get_args());
    theirs.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("NEUROSEARCH_TRAINER", trainer);
    let output = output(&mut theirs);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn the_documented_flags_win_over_the_file_in_either_spelling() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"use_cpu": false, "nproc": 4}));
    let flags = ["--use_cpu", "--nproc", "0", "--batch-size", "3", "--evaluation_steps", "2", "--n-splits", "2", "--split", "1"];
    let output = output(generate(dir.path(), "x").args(flags));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let options = json(&launch.join("x/commandline.json"));
    let got = ["use_cpu", "nproc", "batch_size", "evaluation_steps", "n_splits", "split"].map(|key| options[key].clone());
    assert_eq!(json!(got), json!([true, 0, 3, 2, 2, [1]]));
    assert!(launch.join("x/fold-1/cnn_classification").is_dir() && !launch.join("x/fold-0").exists());
}

#[test]
fn a_flag_that_cannot_be_is_the_command_lines_fault_and_leaves_nothing() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"n_splits": 2}));
    for (flag, value) in [("--batch_size", "0"), ("--split", "3"), ("--n_splits", "100000000")] {
        for verb in [vec!["generate", "launch", "x"], vec!["sample", "launch"]] {
            let refused = output(neurosearch(dir.path()).current_dir(dir.path()).args(&verb).args([flag, value]));
            assert_eq!(refused.status.code(), Some(2), "{verb:?} {flag}: {}", said(&refused));
            assert!(said(&refused).contains(&format!(": {}: ", &flag[2..])), "{}", said(&refused));
        }
    }
    for (flag, value, why) in [("--index", "1000000", "at most 1000000 jobs"), ("--seed", "x", "not a whole number from 0")] {
        let refused = output(generate(dir.path(), "x").args([flag, value]));
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(why), "{}", said(&refused));
    }
    assert_eq!(std::fs::read_dir(&launch).expect("listed").count(), 1);
}

#[test]
fn what_a_killed_generate_was_making_goes_with_the_next_one() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    let failpoints = dir.path().join("failpoints");
    std::fs::create_dir(&failpoints).expect("made");
    std::fs::write(failpoints.join("write:%.new-x.#%commandline.json=kill"), "").expect("armed");
    let unfinished = || {
        let names = std::fs::read_dir(&launch).expect("listed").map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".new-x.")).count()
    };
    let killed = output(generate(dir.path(), "x").env("NEUROSEARCH_FAILPOINTS", &failpoints));
    assert_eq!((killed.status.code(), unfinished()), (None, 1), "{}", said(&killed));
    let next = output(&mut generate(dir.path(), "x"));
    assert_eq!((next.status.code(), unfinished()), (Some(0), 0), "{}", said(&next));
}

#[test]
fn a_folder_that_is_there_is_never_touched_and_the_error_says_what_goes_on_with_it() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    let job = launch.join("x");
    std::fs::create_dir(&job).expect("made");
    std::fs::write(job.join("commandline.json"), "mine").expect("written");
    let output = output(&mut generate(dir.path(), "x"));
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("neurosearch continue"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(&job).expect("listed").count(), 1);
}

#[test]
fn names_and_spaces_that_are_refused_leave_nothing_behind() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"epochs": 0, "mod": "image"}));
    for name in ["../x", ".x", "a b"] {
        assert_eq!(output(&mut generate(dir.path(), name)).status.code(), Some(2), "{name:?}");
    }
    let refused = output(&mut generate(dir.path(), "x"));
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    for word in ["epochs", "mod", "line 1"] {
        assert!(said(&refused).contains(word), "{}", said(&refused));
    }
    assert_eq!(std::fs::read_dir(&launch).expect("listed").count(), 1);
}

#[test]
fn without_a_trainer_or_a_gpu_nothing_is_drawn_and_the_sentence_names_the_cure() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"use_cpu": false}));
    let no_gpu = output(&mut generate(dir.path(), "x"));
    assert_eq!(no_gpu.status.code(), Some(1), "{}", said(&no_gpu));
    assert!(said(&no_gpu).contains("--use_cpu"), "{}", said(&no_gpu));
    let no_trainer = output(generate(dir.path(), "x").env("NEUROSEARCH_TRAINER", dir.path().join("absent")));
    assert_eq!(no_trainer.status.code(), Some(4), "{}", said(&no_trainer));
    assert!(said(&no_trainer).contains("NEUROSEARCH_TRAINER"), "{}", said(&no_trainer));
    assert!(!launch.join("x").exists());
}

#[test]
fn a_trainer_that_fails_crashes_or_lies_makes_a_failed_job_with_a_log() {
    let cases = [("fail", "bad_data"), ("crash", "crashed"), ("silent", "crashed"), ("empty", "crashed")];
    for (become_, class) in cases {
        let dir = tempdir();
        let launch = launch(dir.path(), json!({}));
        let output = output(generate(dir.path(), "x").env("STAND_IN", become_));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let log = launch.join("x/.neurosearch/attempt-1.log");
        assert!(said(&output).contains(class) && said(&output).contains(log.to_str().expect("plain")), "{}", said(&output));
        assert!(std::fs::read_to_string(&log).expect("a log").contains("stand-in trainer"));
        let record = json(&launch.join("x/.neurosearch/job.json"));
        assert_eq!((&record["state"], &record["class"]), (&json!("failed"), &json!(class)), "{become_}");
        assert!(!launch.join("x/fold-0/cnn_classification").exists());
    }
}

#[test]
fn ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on_and_going_on_repeats_no_epoch() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"epochs": 400, "n_splits": 2, "split": [0]}));
    let mut command = generate(dir.path(), "x");
    let child = command.env("STAND_IN_PAUSE", "0.01").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let epochs = launch.join("x/.neurosearch/epochs");
    until("three epochs", || std::fs::read_to_string(&epochs).is_ok_and(|text| text.lines().count() >= 3));
    signal(child.id(), Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let job = launch.join("x");
    assert!(said(&output).contains(&format!("neurosearch continue {}", job.display())), "{}", said(&output));
    assert_eq!(json(&job.join(".neurosearch/job.json"))["state"], json!("paused"));

    let report = job.join(".neurosearch/progress.json");
    let mut last = json(&report);
    last["loss_train"] = json!(98765.5);
    std::fs::write(&report, last.to_string()).expect("written");
    let output = neurosearch(dir.path()).arg("continue").arg(&job).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("98765.5"), "an earlier attempt's report is shown: {}", said(&output));
    let epochs = std::fs::read_to_string(&epochs).expect("read");
    let places: Vec<&str> = epochs.lines().filter_map(|line| line.rsplit_once(' ')).map(|(place, _)| place).collect();
    let expected: Vec<String> = (0..400).map(|epoch| format!("fold-0 epoch-{epoch}")).collect();
    assert_eq!(places, expected);
    assert!(epochs.contains("attempt-1") && epochs.contains("attempt-2"));
    let record = json(&job.join(".neurosearch/job.json"));
    assert_eq!((&record["state"], &record["attempts"]), (&json!("done"), &json!(2)));
}

#[test]
fn a_second_ctrl_c_ends_a_trainer_that_does_not_listen() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"epochs": 100000}));
    let mut command = generate(dir.path(), "x");
    command.envs([("STAND_IN", "deaf"), ("STAND_IN_PAUSE", "0.01")]);
    let mut child = command.stderr(Stdio::null()).spawn().expect("started");
    let epochs = launch.join("x/.neurosearch/epochs");
    until("an epoch", || std::fs::read_to_string(&epochs).is_ok_and(|text| !text.is_empty()));
    until("the end", || {
        signal(child.id(), Signal::INT);
        child.try_wait().expect("waited").is_some()
    });
    assert_eq!(child.wait().expect("waited").code(), Some(130));
    assert_eq!(json(&launch.join("x/.neurosearch/job.json"))["state"], json!("paused"));
}

#[test]
fn a_running_daemons_own_names_are_refused_and_its_indices_left_to_it() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    let private = launch.join(".neurosearch");
    std::fs::create_dir(&private).expect("made");
    let search = json!({
        "version": 1, "seed": 5, "n_jobs": 20, "job_prefix": "job", "space": {}, "space_sha256": "", "paused": false,
        "priority": 0, "slots": null, "time_limit_hours": null
    });
    std::fs::write(private.join("search.json"), search.to_string()).expect("written");
    let held = neurosearch::store::fs::lock::take(&private.join("lock"), "{}").expect("taken");
    let refused = output(&mut generate(dir.path(), "job-3"));
    let made = output(&mut generate(dir.path(), "mine"));
    drop(held);
    assert_eq!(refused.status.code(), Some(5), "{}", said(&refused));
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let record = json(&launch.join("mine/.neurosearch/job.json"));
    assert_eq!((&record["index"], &record["search_seed"]), (&json!(20), &json!(5)));
}

#[test]
fn the_indices_of_a_search_that_no_daemon_runs_are_as_free_as_any() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({}));
    std::fs::create_dir(launch.join(".neurosearch")).expect("made");
    let search = json!({
        "version": 1, "seed": 5, "n_jobs": 20, "job_prefix": "job", "space": {}, "space_sha256": "", "paused": false,
        "priority": 0, "slots": null, "time_limit_hours": null
    });
    std::fs::write(launch.join(".neurosearch/search.json"), search.to_string()).expect("written");
    for (name, expected) in [("first", 0), ("second", 1)] {
        let output = output(&mut generate(dir.path(), name));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(json(&launch.join(name).join(".neurosearch/job.json"))["index"], json!(expected));
    }
}

#[test]
fn a_draw_that_does_not_go_together_leaves_its_options_and_stands_in_every_table() {
    let dir = tempdir();
    let launch =
        launch(dir.path(), json!({"mode": ["image", "patch"], "patch_size": 20, "stride_size": 20, "network_type": "multicnn"}));
    let mut codes = Vec::new();
    while !codes.contains(&1) {
        let name = format!("job-{}", codes.len());
        let output = output(generate(dir.path(), &name).args(["--seed", "1"]));
        codes.push(output.status.code().expect("it ends by itself"));
        assert!(codes.len() < 20 && matches!(codes.last(), Some(0 | 1)), "{}", said(&output));
    }
    let failed = format!("job-{}", codes.len() - 1);
    let options = json(&launch.join(&failed).join("commandline.json"));
    assert_eq!((&options["mode"], &options["network_type"]), (&json!("image"), &json!("multicnn")));
    let analysis = neurosearch(dir.path()).arg("analysis").arg(&launch).output().expect("the program runs");
    assert_eq!(analysis.status.code(), Some(0), "{}", said(&analysis));
    let table = |name: &str| std::fs::read_to_string(launch.join(name)).expect("a table");
    let row = |text: &str| text.lines().find(|line| line.starts_with(&format!("{failed}\t"))).expect("a row").to_string();
    assert!(row(&table("jobs.tsv")).contains("\tfailed\tbad_options\t\"network_type: "), "{}", table("jobs.tsv"));
    assert!(row(&table("analysis_loss.tsv")).starts_with(&format!("{failed}\t0\t")), "{}", table("analysis_loss.tsv"));
    let continued = neurosearch(dir.path()).arg("continue").arg(launch.join(&failed)).output().expect("the program runs");
    assert_eq!(continued.status.code(), Some(3), "{}", said(&continued));
    assert!(said(&continued).contains("network_type"), "{}", said(&continued));
}

#[test]
fn seed_index_and_flags_of_the_record_give_the_job_again() {
    let dir = tempdir();
    let launch = launch(dir.path(), json!({"learning_rate": [2, 6]}));
    let flags = ["--batch_size", "3", "--n_splits", "2", "--split", "1"];
    let output = output(generate(dir.path(), "x").args(flags).args(["--seed", "4"]));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let record = json(&launch.join("x/.neurosearch/job.json"));
    assert_eq!(record["flags"], json!({"batch_size": 3, "n_splits": 2, "split": [1]}));
    let again = |flags: &[&str]| {
        let output = neurosearch(dir.path()).arg("sample").arg(&launch).args(["--seed", "4"]).args(flags).output();
        serde_json::from_slice::<serde_json::Value>(&output.expect("the program runs").stdout).expect("a line of JSON")
    };
    assert_eq!(again(&flags), json(&launch.join("x/commandline.json")));
    assert_ne!(again(&[]), json(&launch.join("x/commandline.json")));
}
