//! Tests of reading a search space: what is accepted, and every fault with its place.

use super::*;
use crate::domain::job::JobName;
use serde_json::{Map, Value, json};

const LEAST: &str = r#"{"mode": "image", "network_type": "cnn", "caps_dir": "caps", "tsv_path": "/labels", "preprocessing": "t1-linear",
 "n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1}"#;

fn parse(text: &str) -> Result<Parsed, Faults> {
    SearchSpace::parse(text, "random_search.json", Path::new("/launch"))
}

fn with(changes: Value) -> Result<Parsed, Faults> {
    let mut map: Map<String, Value> = serde_json::from_str(LEAST).expect("an object");
    map.extend(changes.as_object().expect("an object").clone());
    parse(&Value::Object(map).to_string())
}

fn space(changes: Value) -> SearchSpace {
    with(changes).expect("a space").space
}

fn keys_at_fault(changes: Value) -> Vec<String> {
    let shown = changes.to_string();
    match with(changes) {
        Ok(_) => panic!("accepted: {shown}"),
        Err(faults) => faults.faults.into_iter().map(|fault| fault.key).collect(),
    }
}

#[test]
fn the_documentations_example_is_refused_for_its_missing_comma_and_read_with_it() {
    let broken = include_str!("documentation.json");
    let faults = parse(broken).expect_err("a comma is missing").faults;
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].place.map(|p| (p.line, p.column)), Some((17, 1)));
    assert!(faults[0].sentence.contains("comma") && faults[0].sentence.contains("network_normalization"), "{}", faults[0]);

    let Parsed { space, notices, .. } =
        parse(&broken.replace("[null, \"BatchNorm\"]", "[null, \"BatchNorm\"],")).expect("a space");
    assert_eq!(notices, []);
    assert_eq!(space.mode, [Mode::Patch, Mode::Image]);
    assert_eq!(space.learning_rate, Span { low: 2.0, high: 5.0 });
    assert_eq!(space.network_normalization, [None, Some(Normalization::Batch)]);
    assert_eq!(space.n_convblocks, Span { low: 2, high: 6 });
    assert_eq!((space.channels_limit, space.epochs), (64, 100));
}

#[test]
fn absent_and_null_keys_take_their_defaults() {
    let Parsed { space: least, notices, .. } = parse(LEAST).expect("a space");
    assert_eq!(notices.iter().map(|n| n.key.as_str()).collect::<Vec<_>>(), ["diagnoses", "epochs"]);
    assert_eq!(least.caps_dir, Path::new("/launch/caps"));
    assert_eq!((least.diagnoses.as_slice(), least.epochs), ([Diagnosis::Ad, Diagnosis::Cn].as_slice(), 20));
    assert_eq!((least.channels_limit, least.batch_size, least.nproc, least.use_cpu), (512, 2, 2, false));
    assert_eq!((least.d_reduction.as_slice(), least.n_conv), ([Reduction::MaxPooling].as_slice(), Span { low: 1, high: 1 }));
    assert_eq!(least.network_normalization, [Some(Normalization::Batch)]);
    assert_eq!((least.learning_rate, least.weight_decay), (Span { low: 4.0, high: 4.0 }, Span { low: 4.0, high: 4.0 }));
    assert_eq!(
        (least.wd_bool.as_slice(), least.dropout, least.patience, least.tolerance),
        ([true].as_slice(), Span::default(), 0, 0.0)
    );
    assert_eq!(
        (least.baseline.as_slice(), least.unnormalize.as_slice(), least.data_augmentation.len()),
        ([false].as_slice(), [false].as_slice(), 0)
    );
    assert_eq!((least.sampler.as_slice(), least.evaluation_steps), ([SamplerKind::Random].as_slice(), 0));
    assert_eq!((&least.folds, least.transfer_learning_path.as_slice()), (&Folds::Single, [None].as_slice()));
    assert_eq!(least.transfer_learning_selection, [Selection::BestBalancedAccuracy]);
    assert_eq!((least.patch_size, least.stride_size), (Span { low: 50, high: 50 }, Span { low: 50, high: 50 }));
    assert_eq!(
        (least.discarded_slices, least.slice_direction.as_slice(), least.selection_threshold),
        ([20, 20], [0].as_slice(), None)
    );
    assert_eq!(least.own, Own { n_jobs: None, seed: None, job_prefix: "job".to_string() });

    let mut nulls = Map::new();
    for key in TABLES.iter().flat_map(|table| table.iter()) {
        if key.default != keys::Fallback::Mandatory && !key.kind.takes_null() {
            nulls.insert(key.name.to_string(), Value::Null);
        }
    }
    let mut with_nulls = space(Value::Object(nulls));
    with_nulls.origin = least.origin.clone();
    assert_eq!(with_nulls, least);
}

#[test]
fn every_default_of_the_table_is_a_value_of_its_key() {
    for key in TABLES.iter().chain(&[keys::OWN, keys::COMMANDLINE]).flat_map(|table| table.iter()) {
        if let keys::Fallback::By(text) = key.default {
            let default = positioned_json::parse(text).expect("JSON").root;
            assert!(key.kind.holds(&default), "{}: {text}", key.name);
        }
    }
}

#[test]
fn no_normalisation_can_be_written_as_null_or_as_the_references_none() {
    for none in [json!(null), json!("None"), json!([null]), json!(["None"])] {
        assert_eq!(space(json!({"network_normalization": none})).network_normalization, [None]);
    }
    assert_eq!(keys_at_fault(json!({"network_normalization": "none"})), ["network_normalization"]);
    assert_eq!(keys_at_fault(json!({"sampler": ["random", null]})), ["sampler"]);
}

#[test]
fn mandatory_keys_that_are_missing_or_null_are_all_named() {
    let faults = parse("{\"mode\": null}").expect_err("nothing is there").faults;
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in ["mode", "network_type", "caps_dir", "tsv_path", "preprocessing", "n_convblocks", "first_conv_width", "n_fcblocks"]
    {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
    assert_eq!(keys.len(), 8);
    assert!(faults.iter().all(|fault| fault.place.is_some()));
}

#[test]
fn all_faults_come_at_once_with_line_column_found_and_allowed() {
    let text = LEAST
        .replace("\"n_convblocks\": 2", "\"n_convblock\": 2,\n  \"n_convblocks\": [3, 1]")
        .replace("\"image\"", "[\"image\", \"cube\"]");
    let faults = parse(&text).expect_err("three faults").faults;
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(
        lines,
        [
            "line 1, column 20: mode: found \"cube\", allowed: image, patch, roi or slice",
            "line 2, column 2: n_convblock: unknown key; the nearest known one is \"n_convblocks\"",
            "line 3, column 19: n_convblocks: found [3,1], allowed: a pair [min, max] with min at most max",
        ]
    );
}

#[test]
fn values_out_of_range_are_refused_one_by_one() {
    let bad = [
        ("epochs", json!(0)),
        ("epochs", json!(2.5)),
        ("epochs", json!([1, 2])),
        ("n_convblocks", json!([0, 2])),
        ("n_convblocks", json!([1])),
        ("n_convblocks", json!([1, 2, 3])),
        ("n_convblocks", json!(1.0)),
        ("first_conv_width", json!([])),
        ("first_conv_width", json!([4, 0])),
        ("n_fcblocks", json!(-1)),
        ("channels_limit", json!(0)),
        ("d_reduction", json!("maxpooling")),
        ("n_conv", json!(0)),
        ("batch_size", json!(0)),
        ("nproc", json!(-1)),
        ("use_cpu", json!("yes")),
        ("evaluation_steps", json!(-1)),
        ("baseline", json!(1)),
        ("unnormalize", json!([true, 1])),
        ("data_augmentation", json!(true)),
        ("data_augmentation", json!(["Blur"])),
        ("sampler", json!("x")),
        ("n_splits", json!(-1)),
        ("split", json!([1])),
        ("split", json!([])),
        ("split", json!([0, 0])),
        ("split", json!(0)),
        ("learning_rate", json!([5, 2])),
        ("learning_rate", json!("4")),
        ("learning_rate", json!(1e300)),
        ("wd_bool", json!([])),
        ("dropout", json!(1.0)),
        ("dropout", json!([0, 1])),
        ("dropout", json!(-0.1)),
        ("patience", json!(-1)),
        ("tolerance", json!(-0.5)),
        ("accumulation_steps", json!(0)),
        ("transfer_learning_path", json!(3)),
        ("transfer_learning_path", json!("")),
        ("transfer_learning_selection", json!("best")),
        ("patch_size", json!(0)),
        ("stride_size", json!([0, 3])),
        ("use_extracted_patches", json!([true])),
        ("roi_list", json!([])),
        ("roi_list", json!("left")),
        ("roi_list", json!(["../x"])),
        ("roi_list", json!(["a", "a"])),
        ("uncropped_roi", json!(0)),
        ("discarded_slices", json!([1, 2, 3])),
        ("discarded_slices", json!([])),
        ("discarded_slices", json!(-1)),
        ("slice_direction", json!([0, 3])),
        ("selection_threshold", json!([0, 1.5])),
        ("diagnoses", json!([])),
        ("diagnoses", json!("AD")),
        ("diagnoses", json!(["AD", "AD"])),
        ("diagnoses", json!(["AD", "XX"])),
        ("caps_dir", json!(["a"])),
        ("preprocessing", json!("shepplogan")),
        ("preprocessing", json!("t1-linear-downsampled")),
        ("mode", json!([])),
        ("loss", json!("L1Loss")),
        ("optimizer", json!("SGD")),
        ("multi_cohort", json!(true)),
        ("atlas_weight", json!(2)),
        ("predict_atlas_intensities", json!([])),
        ("merged_tsv_path", json!("x")),
        ("diagnoses", json!(["AD", "MCI"])),
        ("neurosearch", json!([])),
    ];
    for (key, value) in bad {
        assert_eq!(keys_at_fault(json!({key: value.clone()})), [key], "{key}: {value}");
    }
}

#[test]
fn single_values_lists_and_pairs_are_taken_as_their_sampling_says() {
    let space = space(json!({
        "first_conv_width": [4, 8, 8], "dropout": [0, 0.5], "learning_rate": 2.5, "accumulation_steps": [1, 3], "wd_bool": [true, false],
        "data_augmentation": ["Noise", "None", null], "discarded_slices": [3], "roi_list": ["left"], "selection_threshold": 0,
        "transfer_learning_path": [null, "job-0"], "n_splits": 3, "split": [2, 0], "atlas_weight": 1.0, "merged_tsv_path": ""
    }));
    assert_eq!(space.first_conv_width, [4, 8, 8]);
    assert_eq!(space.dropout, Span { low: 0.0, high: 0.5 });
    assert_eq!(space.learning_rate, Span { low: 2.5, high: 2.5 });
    assert_eq!(space.accumulation_steps, Span { low: 1, high: 3 });
    assert_eq!(space.data_augmentation, [Augmentation::Noise, Augmentation::None, Augmentation::None]);
    assert_eq!((space.discarded_slices, space.roi_list), ([3, 3], Some(vec!["left".to_string()])));
    assert_eq!(space.selection_threshold, Some(Span::default()));
    assert_eq!(space.transfer_learning_path, [None, Some(PathBuf::from("/launch/job-0"))]);
    assert_eq!(space.folds, Folds::Splits { n: 3, chosen: vec![2, 0] });
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let faults = parse(&LEAST.replace("\"mode\"", "\"n_fcblocks\": 3, \"mode\"")).expect_err("twice").faults;
    assert_eq!(faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(), ["n_fcblocks"]);
}

#[test]
fn the_searchs_own_key_is_checked_like_the_others() {
    let own = space(json!({"neurosearch": {"n_jobs": 3, "seed": u64::MAX, "job_prefix": "run"}})).own;
    assert_eq!(own, Own { n_jobs: Some(3), seed: Some(u64::MAX), job_prefix: "run".to_string() });
    let longest = space(json!({"neurosearch": {"job_prefix": "x".repeat(79)}})).own.job_prefix;
    JobName::numbered(&longest, u64::MAX).expect("every job of an accepted search has a name");
    for (own, key) in [
        (json!({"n_jobs": 0}), "neurosearch.n_jobs"),
        (json!({"seed": -1}), "neurosearch.seed"),
        (json!({"job_prefix": "../x"}), "neurosearch.job_prefix"),
        (json!({"job_prefix": "x".repeat(80)}), "neurosearch.job_prefix"),
        (json!({"jobs": 3}), "neurosearch.jobs"),
    ] {
        assert_eq!(keys_at_fault(json!({"neurosearch": own})), [key]);
    }
}

#[test]
fn a_space_is_refused_only_where_no_draw_can_train() {
    assert_eq!(keys_at_fault(json!({"network_type": "multicnn"})), ["network_type"]);
    assert!(with(json!({"network_type": "multicnn", "mode": ["image", "patch"]})).is_ok());
    assert_eq!(keys_at_fault(json!({"diagnoses": ["CN", "sMCI"]})), ["diagnoses"]);
    assert!(with(json!({"diagnoses": ["CN"], "network_type": ["cnn", "autoencoder"]})).is_ok());
    assert_eq!(
        keys_at_fault(json!({"mode": "patch", "use_extracted_patches": true, "preprocessing": "t1-volume"})),
        ["use_extracted_patches"]
    );
    assert_eq!(keys_at_fault(json!({"mode": "roi", "uncropped_roi": true})), ["uncropped_roi"]);
    assert_eq!(keys_at_fault(json!({"mode": "roi", "use_extracted_roi": true})), ["use_extracted_roi"]);
    assert_eq!(keys_at_fault(json!({"mode": "roi", "preprocessing": "t1-extensive"})), ["roi_list"]);
    assert!(with(json!({"mode": "roi", "preprocessing": ["t1-extensive", "t1-linear"]})).is_ok());
}

#[test]
fn flags_win_over_the_file_and_are_held_to_the_same_bounds() {
    let file = || space(json!({"n_splits": 4, "split": [3], "batch_size": 7}));
    let flags = Flags { use_cpu: true, nproc: Some(0), n_splits: Some(5), ..Flags::default() };
    let changed = file().override_with(&flags).expect("allowed");
    assert!(changed.use_cpu);
    assert_eq!((changed.nproc, changed.batch_size), (0, 7));
    assert_eq!(changed.folds, Folds::Splits { n: 5, chosen: vec![3] });
    let refused = |flags: Flags| file().override_with(&flags).expect_err("refused").key;
    assert_eq!(refused(Flags { batch_size: Some(0), ..Flags::default() }), "batch_size");
    assert_eq!(refused(Flags { n_splits: Some(2), ..Flags::default() }), "split");
    assert_eq!(refused(Flags { split: Some(vec![4]), ..Flags::default() }), "split");
    assert_eq!(refused(Flags { split: Some(vec![]), ..Flags::default() }), "split");
}

#[test]
fn no_damage_to_a_text_makes_the_reader_panic_or_leave_its_place() {
    use rand_chacha::rand_core::RngCore;
    let whole = include_str!("documentation.json").replace("[null, \"BatchNorm\"]", "[null, \"BatchNorm\"],").into_bytes();
    let mut random = crate::domain::seed::stream(1, "damage", &[]);
    let mut number = |below: usize| random.next_u64() as usize % below;
    for _ in 0..3000 {
        let mut text = whole.clone();
        for _ in 0..=number(3) {
            let at = number(text.len());
            match number(3) {
                0 => text[at] = b"{}[]\",:0e-\\u\xff\n"[number(14)],
                1 => drop(text.drain(at..(at + number(20)).min(text.len()))),
                _ => text.extend_from_within(at..(at + number(20)).min(whole.len()).min(text.len()).max(at)),
            }
            if text.is_empty() {
                text.push(b'{');
            }
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().count();
        for fault in parse(&text).err().into_iter().flat_map(|faults| faults.faults) {
            assert!(fault.place.is_none_or(|place| place.line <= lines + 1), "{fault}");
        }
    }
}

#[test]
fn very_many_faults_are_counted_and_very_many_values_are_one_fault() {
    let many: Map<String, Value> = (0..500).map(|i| (format!("key{i}"), json!(0))).collect();
    let faults = with(Value::Object(many)).expect_err("unknown keys").faults;
    assert_eq!((faults.len(), faults[100].sentence.as_str()), (101, "and 400 more faults"));
    assert_eq!(keys_at_fault(json!({"first_conv_width": vec![0; 5000]})), ["first_conv_width"]);
}

#[test]
fn a_launch_directory_that_json_could_not_name_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let base = Path::new(std::ffi::OsStr::from_bytes(b"/launch-\xff"));
    let faults = SearchSpace::parse(LEAST, "random_search.json", base).expect_err("not UTF-8").faults;
    assert!(faults.len() == 1 && faults[0].sentence.contains("UTF-8"), "{faults:?}");
}

#[test]
fn of_what_is_no_object_no_key_is_missed() {
    for text in ["[]", "3"] {
        let refusal = parse(text).expect_err("refused").to_string();
        assert_eq!(refusal, format!("random_search.json: line 1, column 1: found {text}, allowed: an object, {{...}}"));
    }
}

#[test]
fn a_path_beside_the_launch_directory_is_that_beside_the_real_one() {
    for (given, expected) in [
        ("../caps", "/real/caps"),
        ("../../caps/./a", "/caps/a"),
        ("../../../../caps", "/caps"),
        ("..", "/real"),
        ("caps", "/launch/caps"),
        // Where a link may stand before the dots, only the system knows their parent.
        ("link/../caps", "/launch/link/../caps"),
        ("/data/../caps", "/data/../caps"),
    ] {
        let read = space(json!({"caps_dir": given, "tsv_path": given, "transfer_learning_path": [given, null]}));
        let space = read.without_detours(Path::new("/launch"), Path::new("/real/search"));
        let paths = [&space.caps_dir, &space.tsv_path, space.transfer_learning_path[0].as_ref().expect("a source")];
        assert_eq!(paths.map(|path| path.as_path()), [Path::new(expected); 3], "{given}");
    }
}
