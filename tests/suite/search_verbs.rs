//! The verbs that look at a search space without a daemon: `validate`, `sample`, `schema` and `init`.

use crate::harness::tempdir;
use crate::needs::needs;
use crate::quarter::{Quarter, neurosearch};
use crate::stand_in::until;
use crate::terminal::Terminal;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::space::SearchSpace;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn validate_accepts_a_good_space_and_tells_every_fault_on_its_own_line() {
    let quarter = Quarter::new();
    let launch = text(&quarter.launch());
    let missing = neurosearch(&["validate", &launch]);
    assert_eq!(missing.status.code(), Some(4), "{}", stderr(&missing));
    quarter.space(json!({}));
    let good = neurosearch(&["validate", &launch]);
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    quarter.space(json!({"n_convblock": 3, "dropout": 2}));
    let bad = neurosearch(&["validate", &launch]);
    assert_eq!((bad.status.code(), stderr(&bad).lines().count()), (Some(3), 2), "{}", stderr(&bad));
    assert!(stderr(&bad).lines().all(|line| line.contains("random_search.json: line 1, column ")));
    quarter.space(json!({"caps_dir": "/nowhere"}));
    let no_data = neurosearch(&["validate", &launch]);
    assert_eq!(no_data.status.code(), Some(3));
    assert!(stderr(&no_data).contains("caps_dir: cannot list /nowhere"), "{}", stderr(&no_data));
}

#[test]
fn validate_says_what_to_do_about_missing_data_and_a_missing_gpu() {
    let quarter = Quarter::new();
    let launch = text(&quarter.launch());
    let asked = |changes: Value| {
        quarter.space(changes);
        let gpus = quarter.launch().with_file_name("no-gpus.json");
        fs::write(&gpus, "[]").expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_neurosearch"));
        let output = command.args(["validate", &launch]).env("NEUROSEARCH_GPU_LISTING", gpus).output().expect("it runs");
        (output.status.code(), stderr(&output))
    };
    let (code, said) = asked(json!({"use_cpu": false}));
    assert!(code == Some(0) && said.contains("shows no GPU") && said.contains("\"use_cpu\": true"), "{said}");
    let (code, said) = asked(json!({"use_cpu": true}));
    assert!(code == Some(0) && !said.contains("GPU"), "{said}");
    for (changes, cure) in [
        (json!({"diagnoses": ["AD", "CN", "BV"]}), "BV.tsv is not there; put the label's table there, or leave the label out"),
        (json!({"mode": "roi", "roi_list": ["nowhere"]}), "mask.nii.gz is not there; put the mask there, or take its region"),
        (json!({"caps_dir": "/no\nwhere"}), "cannot list /no\\nwhere"),
    ] {
        let (code, said) = asked(changes);
        assert!(code == Some(3) && said.contains(cure), "{said}");
        assert!(said.lines().all(|line| line.starts_with("neurosearch: ") && line.contains("random_search.json")), "{said}");
    }
}

#[test]
fn sample_prints_the_same_options_for_the_same_seed() {
    let quarter = Quarter::new();
    let launch = text(&quarter.launch());
    quarter.space(
        json!({"mode": ["image", "patch", "slice"], "patch_size": [15, 20], "discarded_slices": 15, "learning_rate": [2, 5]}),
    );
    let five = neurosearch(&["sample", &launch, "-n", "5", "--seed", "3"]);
    assert_eq!(five.status.code(), Some(0), "{}", stderr(&five));
    let lines: Vec<String> = stdout(&five).lines().map(str::to_string).collect();
    assert_eq!(lines.len(), 5);
    for line in &lines {
        let (options, notices) = JobOptions::from_json(line, "sample", Path::new("/")).expect("readable");
        assert_eq!(notices, []);
        assert!(options.fc.is_some() && options.caps_dir.is_absolute() && options.seed.is_some());
    }
    let third = neurosearch(&["sample", &launch, "--index", "2", "--seed", "3"]);
    assert_eq!(stdout(&third).trim_end(), lines[2]);
    let other = neurosearch(&["sample", &launch, "-n", "5", "--seed", "4"]);
    assert_ne!(stdout(&other), stdout(&five));
}

#[test]
fn sample_takes_the_files_seed_and_says_which_one_it_drew_where_there_is_none() {
    let quarter = Quarter::new();
    let launch = text(&quarter.launch());
    quarter.space(json!({"neurosearch": {"seed": 3}, "dropout": [0, 0.5]}));
    let seeded = neurosearch(&["sample", &launch]);
    assert_eq!(stdout(&seeded), stdout(&neurosearch(&["sample", &launch, "--seed", "3"])));
    quarter.space(json!({"dropout": [0, 0.5]}));
    let drawn = neurosearch(&["sample", &launch]);
    let seed =
        stderr(&drawn).split("--seed ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a seed").to_string();
    assert_eq!(stdout(&neurosearch(&["sample", &launch, "--seed", &seed])), stdout(&drawn));
}

#[test]
fn sample_shows_a_person_a_table_that_fits_and_json_lines_where_they_are_asked_for() {
    let Some(tmux) = needs("tmux") else { return };
    let quarter = Quarter::new();
    let launch = text(&quarter.launch());
    quarter.space(json!({"mode": ["image", "patch"], "patch_size": 20, "learning_rate": [2, 5]}));
    let dir = tempdir();
    let terminal = Terminal::open(tmux, dir.path(), 130, 50);
    let mut run = 0;
    let mut typed = |columns: u16, more: &str| {
        run += 1;
        terminal.resize(columns, 50);
        let program = env!("CARGO_BIN_EXE_neurosearch");
        terminal
            .keys(&[&format!("clear; {program} sample {launch} -n 4 --seed 3 {more}; echo run {run} ended with $?"), "Enter"]);
        until("it has ended", || terminal.screen().contains(&format!("run {run} ended with 0")));
        terminal.screen()
    };
    let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let memory: Vec<Value> = stdout(&neurosearch(&["sample", &launch, "-n", "4", "--seed", "3", "--footprint"]))
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for (columns, wide) in [(130, true), (60, false)] {
        let shown = typed(columns, "");
        assert_eq!(shown.contains("DROPOUT"), wide, "{shown}");
        assert!(!shown.contains('{'), "{shown}");
        for job in &memory {
            let row = shown.lines().map(words).find(|row| row.first().is_some_and(|name| *name == job["job"])).expect("a row");
            assert_eq!(row[1], job["parameters"].to_string(), "{shown}");
        }
    }
    let raw: String = typed(220, "| cat").split_whitespace().collect();
    assert_eq!(raw.matches("\"learning_rate\":").count(), 4, "{raw}");
    let raw: String = typed(220, "--json").split_whitespace().collect();
    assert_eq!(raw.matches("\"learning_rate\":").count(), 4, "{raw}");
}

#[test]
fn sample_names_the_jobs_that_would_fail_and_their_class() {
    let quarter = Quarter::new();
    quarter.space(json!({"mode": ["image", "patch"], "patch_size": 20, "network_type": "multicnn"}));
    let output = neurosearch(&["sample", &text(&quarter.launch()), "-n", "20", "--seed", "1"]);
    let failed = stderr(&output).lines().filter(|line| line.contains("would fail: bad_options: network_type")).count();
    assert!(failed > 0 && failed + stdout(&output).lines().count() == 20, "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_schema_in_config_is_the_one_that_the_program_prints() {
    let printed = stdout(&neurosearch(&["schema"]));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/random_search.schema.json");
    let kept = fs::read_to_string(kept).expect("the schema");
    assert!(printed == kept, "make it anew: neurosearch schema > config/random_search.schema.json");
}

/// Whether `value` is valid by the words of JSON Schema that the schema uses.
fn is_valid(schema: &Value, value: &Value) -> bool {
    let is_type = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    };
    let length = || value.as_array().map_or(0, Vec::len) as u64;
    schema.as_object().expect("a schema").iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "title" | "description" | "default" => true,
        "type" => match rule {
            Value::Array(names) => names.iter().any(|name| is_type(name.as_str().expect("a name"))),
            name => is_type(name.as_str().expect("a name")),
        },
        "enum" => rule.as_array().expect("values").contains(value),
        "const" => rule == value,
        "anyOf" => rule.as_array().expect("schemas").iter().any(|one| is_valid(one, value)),
        "minimum" => value.as_f64().is_none_or(|x| x >= rule.as_f64().expect("a bound")),
        "maximum" => value.as_f64().is_none_or(|x| x <= rule.as_f64().expect("a bound")),
        "exclusiveMaximum" => value.as_f64().is_none_or(|x| x < rule.as_f64().expect("a bound")),
        "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().expect("a length")),
        // The one pattern used, that of names.
        "pattern" => value.as_str().is_none_or(|text| neurosearch::domain::job::JobName::try_from(text.to_string()).is_ok()),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(rule, item))),
        "minItems" => !value.is_array() || length() >= rule.as_u64().expect("a length"),
        "maxItems" => !value.is_array() || length() <= rule.as_u64().expect("a length"),
        "uniqueItems" => value.as_array().is_none_or(|items| (1..items.len()).all(|i| !items[..i].contains(&items[i]))),
        "properties" => value
            .as_object()
            .is_none_or(|map| map.iter().all(|(key, value)| rule.get(key).is_none_or(|schema| is_valid(schema, value)))),
        "required" => rule.as_array().expect("keys").iter().all(|key| value.get(key.as_str().expect("a key")).is_some()),
        "additionalProperties" => {
            value.as_object().is_none_or(|map| map.keys().all(|key| schema["properties"].get(key).is_some()))
        }
        other => panic!("no word {other}"),
    })
}

#[test]
fn the_schema_and_the_program_agree_on_what_is_allowed() {
    let schema: Value = serde_json::from_str(&stdout(&neurosearch(&["schema"]))).expect("JSON");
    let least = json!({"mode": "image", "network_type": "cnn", "caps_dir": "/c", "tsv_path": "/t", "preprocessing": "t1-linear",
        "n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1});
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(2.5),
        json!(0.5),
        json!(400),
        json!("None"),
        json!("x"),
        json!(""),
        json!([]),
        json!([1, 2]),
        json!([1, 2, 3]),
        json!([0.1, 0.2]),
        json!(["AD", "CN"]),
        json!(["AD", "AD"]),
        json!([null, "BatchNorm"]),
        json!(["Noise", null]),
        json!([true, false]),
        json!({}),
        json!({"n_jobs": 3}),
        json!({"n_job": 3}),
        json!("default"),
        json!("Adam"),
        json!("t1-linear"),
        json!(["image", "patch"]),
        json!(["MaxPooling"]),
        json!("best_loss"),
        json!([null, "/job"]),
        json!([0]),
        json!(["left"]),
    ];
    for key in schema["properties"].as_object().expect("keys").keys() {
        for value in &values {
            let mut space = least.clone();
            space[key] = value.clone();
            let parsed = SearchSpace::parse(&space.to_string(), "f", Path::new("/"));
            // What several keys together forbid is beyond a schema.
            let own_fault = parsed.err().is_some_and(|faults| {
                faults
                    .faults
                    .iter()
                    .any(|fault| !fault.sentence.contains("without n_splits") && !fault.sentence.contains("one class only"))
            });
            let together = (key == "network_type" && value == "multicnn") || key == "mode";
            if !together {
                assert_eq!(is_valid(&schema, &space), !own_fault, "{key}: {value}");
            }
        }
    }
}

#[test]
fn init_writes_a_space_that_lacks_nothing_but_the_data_and_never_overwrites() {
    let quarter = Quarter::new();
    let fresh = text(&quarter.path("new/launch"));
    assert_eq!(neurosearch(&["init", &fresh]).status.code(), Some(0));
    let refused = stderr(&neurosearch(&["validate", &fresh]));
    assert!(
        refused.contains("caps_dir: cannot list /path/to/caps") && refused.contains("tsv_path: cannot list /path/to/labels"),
        "{refused}"
    );
    assert_eq!(refused.lines().count(), 2);
    let explained = fs::read_to_string(quarter.path("new/launch/random_search.md")).expect("the page");
    assert!(explained.contains("## learning_rate") && explained.contains("default `4`"));
    let again = neurosearch(&["init", &fresh]);
    assert_eq!(again.status.code(), Some(5));
}

/// `init` on a machine with these GPUs, and the space that it wrote.
fn initialised(quarter: &Quarter, name: &str, tsv_path: &str, gpus: &str) -> (Output, Value) {
    let listing = quarter.path("gpus.json");
    fs::write(&listing, gpus).expect("written");
    let dir = quarter.path(name);
    let output = Command::new(env!("CARGO_BIN_EXE_neurosearch"))
        .arg("init")
        .arg(&dir)
        .args(["--caps-dir", &text(&quarter.path("caps")), "--tsv-path", tsv_path])
        .env("NEUROSEARCH_GPU_LISTING", &listing)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let space = fs::read_to_string(dir.join("random_search.json")).expect("the space");
    (output, serde_json::from_str(&space).expect("JSON"))
}

#[test]
fn init_on_ones_own_images_writes_a_space_of_which_every_job_can_train() {
    let quarter = Quarter::new();
    let (output, space) = initialised(&quarter, "own", &text(&quarter.path("labels")), "[]");
    assert!(stdout(&output).contains("42 x 52 x 45 voxels") && stdout(&output).contains("no GPU"), "{}", stdout(&output));
    assert_eq!((&space["use_cpu"], &space["n_splits"]), (&json!(true), &Value::Null));
    let own = text(&quarter.path("own"));
    let valid = neurosearch(&["validate", &own]);
    assert_eq!(valid.status.code(), Some(0), "{}", stderr(&valid));
    let drawn = neurosearch(&["sample", &own, "-n", "200", "--seed", "1"]);
    assert_eq!((drawn.status.code(), stdout(&drawn).lines().count()), (Some(0), 200), "{}", stderr(&drawn));
}

#[test]
fn init_sees_folds_and_gpus_and_says_why_images_gave_no_sizes() {
    let quarter = Quarter::new();
    let splits = quarter.path("splits");
    for side in ["train", "validation"] {
        let to = splits.join(format!("{side}_splits-3"));
        for split in 0..3 {
            let folder = to.join(format!("split-{split}"));
            fs::create_dir_all(&folder).expect("made");
            for entry in fs::read_dir(quarter.path("labels").join(side)).expect("listed") {
                let path = entry.expect("an entry").path();
                fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("copied");
            }
        }
    }
    let gpu = r#"[{"index":0,"uuid":"GPU-1a","name":"T4","memory_total":16,"memory_free":15,"processes":[]}]"#;
    let (_, space) = initialised(&quarter, "folds", &text(&splits), gpu);
    assert_eq!((&space["use_cpu"], &space["n_splits"]), (&json!(false), &json!(3)));
    let valid = neurosearch(&["validate", &text(&quarter.path("folds"))]);
    assert_eq!(valid.status.code(), Some(0), "{}", stderr(&valid));

    let (output, space) = initialised(&quarter, "wrong", "/no/labels", gpu);
    let said = stderr(&output);
    assert!(said.contains("tsv_path: cannot list /no/labels") && said.contains("169 x 208 x 179"), "{said}");
    assert_eq!(space["patch_size"], 50);
}
