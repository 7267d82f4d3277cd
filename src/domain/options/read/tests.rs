//! Tests of reading and writing a job's options.

use super::*;
use crate::domain::words::{Augmentation, Diagnosis, Normalization};
use serde_json::{Value, json};

const LEAST: &str = r#"{"mode": "slice", "network_type": "cnn", "caps_dir": "caps", "tsv_path": "/labels", "preprocessing": "t1-linear",
 "n_fcblocks": 2, "convolutions": {"conv0": {"in_channels": null, "out_channels": 4, "n_conv": 1, "d_reduction": "stride"}}}"#;

fn read(text: &str) -> Result<(JobOptions, Vec<Fault>), Faults> {
    JobOptions::from_json(text, "commandline.json", Path::new("/launch"))
}

/// The least options, changed by `change`.
fn changed(change: impl FnOnce(&mut Map<String, Value>)) -> Result<(JobOptions, Vec<Fault>), Faults> {
    let mut map: Map<String, Value> = serde_json::from_str(LEAST).expect("an object");
    change(&mut map);
    read(&Value::Object(map).to_string())
}

fn with(key: &str, value: Value) -> Result<(JobOptions, Vec<Fault>), Faults> {
    changed(|map| {
        map.insert(key.to_string(), value);
    })
}

fn keys_at_fault(result: Result<(JobOptions, Vec<Fault>), Faults>) -> Vec<String> {
    result.expect_err("a fault").faults.into_iter().map(|fault| fault.key).collect()
}

#[test]
fn absent_keys_take_the_defaults_and_two_of_them_are_noticed() {
    let (options, notices) = read(LEAST).expect("readable");
    assert_eq!(options.caps_dir, Path::new("/launch/caps"));
    assert_eq!(options.tsv_path, Path::new("/labels"));
    assert_eq!(options.diagnoses, [Diagnosis::Ad, Diagnosis::Cn]);
    assert_eq!((options.epochs, options.batch_size, options.nproc, options.use_cpu), (20, 2, 2, false));
    assert_eq!((options.learning_rate, options.weight_decay, options.wd_bool), (1e-4, 1e-4, true));
    assert_eq!(options.network_normalization, Some(Normalization::Batch));
    assert_eq!(options.folds, Folds::Single);
    assert_eq!((options.seed, options.fc, options.transfer_path), (None, None, None));
    let slice = ModeOptions::Slice { slice_direction: 0, discarded_slices: [20, 20], use_extracted_slices: false };
    assert_eq!(options.mode, slice);
    assert_eq!(options.convolutions[0].in_channels, 3);
    assert_eq!(notices.iter().map(|n| n.key.as_str()).collect::<Vec<_>>(), ["diagnoses", "epochs"]);
}

#[test]
fn without_wd_bool_the_weight_decay_is_zero_and_written_so() {
    let decay = |wd_bool: bool| {
        let result = changed(|map| {
            map.insert("weight_decay".into(), json!(0.03));
            map.insert("wd_bool".into(), json!(wd_bool));
        });
        result.expect("readable").0
    };
    assert_eq!((decay(true).weight_decay, decay(true).wd_bool), (0.03, true));
    assert_eq!((decay(false).weight_decay, decay(false).wd_bool), (0.0, false));
    assert_eq!(decay(false).to_json()["weight_decay"], json!(0.0));
}

#[test]
fn evaluation_steps_are_rounded_up_to_whole_steps_of_the_optimizer() {
    for (given, accumulation, taken) in [(1, 1, 1), (1, 4, 4), (5, 4, 8), (8, 4, 8), (0, 4, 0)] {
        let result = changed(|map| {
            map.insert("evaluation_steps".into(), json!(given));
            map.insert("accumulation_steps".into(), json!(accumulation));
        });
        assert_eq!(result.expect("readable").0.evaluation_steps, taken, "{given} {accumulation}");
    }
}

#[test]
fn what_is_written_reads_back_as_the_same_options_in_every_mode_and_bit_for_bit() {
    let modes = [
        json!({"mode": "image"}),
        json!({"mode": "patch", "patch_size": 7, "stride_size": 3, "use_extracted_patches": true, "selection_threshold": 0.3}),
        json!({"mode": "roi", "roi_list": ["left", "right"], "uncropped_roi": true}),
        json!({"mode": "slice", "discarded_slices": [3, 4], "slice_direction": 2}),
    ];
    for mode in modes {
        let result = changed(|map| {
            map.extend(mode.as_object().expect("an object").clone());
            map.insert("learning_rate".into(), json!(0.000_564_341_234_567_890_1));
            map.insert("dropout".into(), json!(0.067_922_803_279_176_41));
            map.insert("n_splits".into(), json!(5));
            map.insert("split".into(), json!([4, 1]));
            map.insert("data_augmentation".into(), json!(["Noise", null, "CropPad"]));
            map.insert("transfer_learning_path".into(), json!("job-0"));
            map.insert("seed".into(), json!(u64::MAX));
            map.insert("mine".into(), json!({"kept": 1}));
            map.insert("num_workers".into(), json!(3));
        });
        let (options, _) = result.expect("readable");
        let written = options.to_json().to_string();
        let (mut again, _) = read(&written).expect("readable");
        assert!(!written.contains("num_workers"), "{written}");
        // The one key that must not be written is the one that is lost.
        again.unknown.insert("num_workers".into(), json!(3));
        assert_eq!(again, options);
        assert_eq!(options.data_augmentation, [Augmentation::Noise, Augmentation::None, Augmentation::CropPad]);
    }
}

#[test]
fn a_single_split_and_the_slices_are_written_as_the_references_reader_needs_them() {
    let (options, _) = with("discarded_slices", json!(5)).expect("readable");
    let written = options.to_json();
    assert_eq!((&written["n_splits"], &written["split"]), (&json!(0), &json!([0])));
    assert_eq!(written["discarded_slices"], json!([5, 5]));
    assert_eq!(written["discarded_sliced"], json!([5, 5]));
    assert_eq!(written["convolutions"]["conv0"]["in_channels"], Value::Null);
    let image = with("mode", json!("image")).expect("readable").0.to_json();
    assert!(image.get("discarded_slices").is_none() && image.get("fc").is_none());
}

#[test]
fn the_references_own_files_are_readable_whole() {
    for run in ["image", "patch"] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden/training").join(run).join("commandline.json");
        let text = std::fs::read_to_string(path).expect("a file");
        let (options, notices) = read(&text).expect("readable");
        assert_eq!(notices, []);
        assert_eq!(options.folds, Folds::Splits { n: 2, chosen: vec![0] });
        assert_eq!(options.transfer_path.as_deref(), Some(Path::new("/launch/SOURCE")));
        assert!(options.unknown.is_empty());
    }
}

#[test]
fn a_fixed_architecture_and_options_that_are_not_supported_are_refused_by_name() {
    assert_eq!(keys_at_fault(with("model", json!("Conv5_FC3"))), ["model"]);
    assert_eq!(keys_at_fault(with("loss", json!("L1"))), ["loss"]);
    assert_eq!(keys_at_fault(with("atlas_weight", json!(0.5))), ["atlas_weight"]);
    assert_eq!(keys_at_fault(with("merged_tsv_path", json!("x"))), ["merged_tsv_path"]);
    for (key, value) in
        [("model", Value::Null), ("atlas_weight", json!(1.0)), ("merged_tsv_path", json!("")), ("loss", json!("default"))]
    {
        assert!(with(key, value).is_ok(), "{key}");
    }
}

#[test]
fn an_unknown_key_is_kept_with_a_warning() {
    let (options, notices) = with("colour", json!("blue")).expect("readable");
    assert_eq!(options.unknown["colour"], json!("blue"));
    assert!(notices.iter().any(|n| n.sentence.contains("colour")));
}

#[test]
fn unknown_keys_of_a_block_and_of_a_layer_are_kept_in_their_places_with_a_warning() {
    let block = json!({"in_channels": null, "out_channels": 4, "n_conv": 1, "d_reduction": "stride", "kernel": [3, 3]});
    let (options, notices) = changed(|map| {
        map.insert("convolutions".into(), json!({"conv0": block}));
        map.insert("fc".into(), json!({"FC0": {"in_features": 9, "out_features": 2, "bias": true}}));
    })
    .expect("readable");
    for (name, key) in [("convolutions.conv0", "kernel"), ("fc.FC0", "bias")] {
        let told = notices.iter().any(|n| n.key == name && n.sentence.contains(key) && n.place.is_some());
        assert!(told, "{notices:?}");
    }
    let written = options.to_json();
    assert_eq!(written["convolutions"]["conv0"], block);
    assert_eq!(written["fc"]["FC0"]["bias"], json!(true));
    assert_eq!(read(&written.to_string()).expect("readable").0, options);
}

#[test]
fn the_selection_of_a_transfer_is_written_as_it_was_read_though_there_is_no_source() {
    for word in ["best_loss", "best_balanced_accuracy"] {
        let (options, _) = with("transfer_learning_selection", json!(word)).expect("readable");
        let written = options.to_json();
        assert_eq!((&written["transfer_learning_path"], &written["transfer_learning_selection"]), (&Value::Null, &json!(word)));
    }
}

#[test]
fn every_fault_is_found_at_once_in_the_order_of_the_file() {
    let text = "{\"mode\": \"cube\",\n \"network_type\": \"cnn\", \"caps_dir\": 3,\n \"tsv_path\": \"/t\", \"preprocessing\": \"t1-linear\",\n \
                \"n_fcblocks\": 0, \"dropout\": 1.0, \"convolutions\": {\"conv0\": {\"out_channels\": 4, \"n_conv\": 0, \"d_reduction\": \"stride\"}}}";
    let faults = read(text).expect_err("faults").faults;
    let found: Vec<(&str, usize)> = faults.iter().map(|f| (f.key.as_str(), f.place.expect("a place").line)).collect();
    assert_eq!(found, [("mode", 1), ("caps_dir", 2), ("n_fcblocks", 4), ("dropout", 4), ("convolutions.conv0.n_conv", 4)]);
}

#[test]
fn blocks_have_to_follow_one_another_without_a_gap() {
    let block =
        |input: Value, output: usize| json!({"in_channels": input, "out_channels": output, "n_conv": 1, "d_reduction": "stride"});
    let gap = json!({"conv0": block(Value::Null, 4), "conv2": block(json!(4), 8)});
    assert_eq!(keys_at_fault(with("convolutions", gap)), ["convolutions"]);
    let broken = json!({"conv0": block(json!(3), 4), "conv1": block(json!(5), 8)});
    assert_eq!(keys_at_fault(with("convolutions", broken)), ["convolutions.conv1.in_channels"]);
    assert_eq!(keys_at_fault(with("convolutions", json!({"conv0": block(json!(1), 4)}))), ["convolutions.conv0.in_channels"]);
    assert_eq!(keys_at_fault(with("convolutions", json!({}))), ["convolutions"]);
}

#[test]
fn the_number_of_layers_may_be_said_by_their_widths_alone() {
    let (options, _) = changed(|map| {
        map.remove("n_fcblocks");
        map.insert(
            "fc".into(),
            json!({"FC0": {"in_features": 9, "out_features": 4}, "FC1": {"in_features": 4, "out_features": 2}}),
        );
    })
    .expect("readable");
    assert_eq!((options.n_fcblocks, options.fc.map(|fc| fc.len())), (2, Some(2)));
}

#[test]
fn the_two_names_of_the_discarded_slices_must_not_contradict_each_other() {
    let both = |second: Value| {
        changed(|map| {
            map.insert("discarded_slices".into(), json!(4));
            map.insert("discarded_sliced".into(), second);
        })
    };
    assert!(both(json!([4, 4])).is_ok());
    assert_eq!(keys_at_fault(both(json!([4, 5]))), ["discarded_sliced"]);
    let (options, _) = with("discarded_sliced", json!([1, 2])).expect("readable");
    assert!(matches!(options.mode, ModeOptions::Slice { discarded_slices: [1, 2], .. }));
}

#[test]
fn folds_are_checked_against_their_number() {
    assert_eq!(Folds::of(None, None), Ok(Folds::Single));
    assert_eq!(Folds::of(Some(0), Some(vec![0])), Ok(Folds::Single));
    assert_eq!(Folds::of(Some(3), None), Ok(Folds::Splits { n: 3, chosen: vec![0, 1, 2] }));
    assert!(Folds::of(None, Some(vec![1])).is_err());
    assert!(Folds::of(Some(3), Some(vec![3])).is_err());
}

#[test]
fn an_outline_needs_no_more_than_the_references_partial_files_have() {
    let outline = Outline::from_json(r#"{"mode": "image", "network_type": "cnn", "n_splits": 4}"#, "f").expect("readable");
    assert_eq!(outline.folds.indices(), [0, 1, 2, 3]);
}
