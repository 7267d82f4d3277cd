//! The table of hand-made bad search spaces: values that a key does not take, and texts that are no space at all.

use serde_json::{Value, json};

/// Keys that take a whole number of at least 1, sampled or fixed.
const COUNTS: [&str; 9] = [
    "n_convblocks",
    "n_fcblocks",
    "n_conv",
    "accumulation_steps",
    "patch_size",
    "stride_size",
    "first_conv_width",
    "epochs",
    "batch_size",
];

/// Keys that take real numbers.
const REALS: [&str; 5] = ["learning_rate", "weight_decay", "dropout", "tolerance", "selection_threshold"];

/// Keys that take true or false.
const SWITCHES: [&str; 7] =
    ["use_cpu", "baseline", "unnormalize", "wd_bool", "use_extracted_patches", "use_extracted_slices", "uncropped_roi"];

/// Keys that take one of a few words.
const WORDS: [&str; 7] =
    ["mode", "network_type", "preprocessing", "d_reduction", "network_normalization", "sampler", "transfer_learning_selection"];

/// A key and a value that it does not take.
pub fn bad_keys() -> Vec<(&'static str, Value)> {
    let mut cases = Vec::new();
    let mut add = |keys: &[&'static str], values: &[Value]| {
        cases.extend(keys.iter().flat_map(|key| values.iter().map(|value| (*key, value.clone()))));
    };
    let no_count = [json!(0), json!(-1), json!(1.5), json!("3"), json!(true), json!({}), json!([]), json!(1e300), json!([[1]])];
    add(&COUNTS, &no_count);
    add(&REALS, &[json!("0.1"), json!(true), json!({}), json!([]), json!([1, 2, 3]), json!(["a", "b"])]);
    add(&["dropout"], &[json!(-0.1), json!(1), json!(1.0), json!([0.5, 1.5]), json!([0.4, 0.2])]);
    add(&["selection_threshold"], &[json!(-0.5), json!(2), json!([0.9, 0.1])]);
    add(&["tolerance"], &[json!(-1e-9)]);
    add(&["n_convblocks", "n_fcblocks", "n_conv", "patch_size"], &[json!([4, 2]), json!([1, 2, 3]), json!([0, 3])]);
    add(&SWITCHES, &[json!("yes"), json!(1), json!(0), json!({}), json!([]), json!("false"), json!([true, "no"])]);
    add(&WORDS, &[json!(""), json!("nonsense"), json!(7), json!(true), json!({}), json!([]), json!(["nonsense"])]);
    add(&["mode"], &[json!("Image"), json!("image "), json!(["image", "cube"]), json!("\u{1b}[31mimage")]);
    add(&["network_type"], &[json!("multicnn"), json!("CNN"), json!(["cnn", 3])]);
    add(&["preprocessing"], &[json!("t1-linear-downsampled"), json!("shepplogan"), json!("t1_linear")]);
    add(&["caps_dir", "tsv_path"], &[json!(3), json!([]), json!({}), json!("/nonexistent/anywhere"), json!("")]);
    add(&["diagnoses"], &[json!([]), json!("AD"), json!(["AD", "XX"]), json!([1]), json!({}), json!(["AD"])]);
    add(&["nproc", "patience", "evaluation_steps"], &[json!(-1), json!(0.5), json!("2"), json!(true), json!([1]), json!(1e300)]);
    add(&["channels_limit"], &[json!(0), json!(-4), json!("64"), json!([64]), json!(2.5)]);
    add(&["n_splits"], &[json!(-1), json!("5"), json!(1.5), json!([5]), json!(3)]);
    add(&["split"], &[json!([1]), json!([-1]), json!(["0"]), json!([0.5]), json!("0"), json!({})]);
    add(&["data_augmentation"], &[json!(true), json!("Noise"), json!(["noise"]), json!([3]), json!({})]);
    add(&["discarded_slices"], &[json!(-1), json!([1, 2, 3]), json!("20"), json!([20, -1]), json!(1_000_000), json!({})]);
    add(&["slice_direction"], &[json!(3), json!(-1), json!("0"), json!(0.5), json!([0, 3]), json!({})]);
    add(&["roi_list"], &[json!("left"), json!([3]), json!({}), json!(["no_such_region"]), json!(["../../etc/passwd"])]);
    add(&["transfer_learning_path"], &[json!(3), json!({}), json!("/nonexistent/job"), json!([1])]);
    let of_ours =
        [json!(3), json!([]), json!({ "n_jobs": -1 }), json!({ "seed": "7" }), json!({ "jobs": 3 }), json!({ "seed": 1.5 })];
    add(&["neurosearch"], &of_ours);
    let prefixes = ["../x", "a/b", "", "-x", "\n", &"x".repeat(200)].map(|prefix| json!({ "job_prefix": prefix }));
    add(&["neurosearch"], &prefixes);
    for (key, value) in [
        ("loss", json!("L1")),
        ("optimizer", json!("SGD")),
        ("multi_cohort", json!(true)),
        ("atlas_weight", json!(2)),
        ("predict_atlas_intensities", json!(["AAL2"])),
        ("merged_tsv_path", json!("/x")),
        ("epoch", json!(3)),
        ("learning-rate", json!(3)),
        ("EPOCHS", json!(3)),
        ("gpu", json!(true)),
        ("__proto__", json!({})),
    ] {
        add(&[key], &[value]);
    }
    cases
}

/// Bytes that are no space, and a word of the answer.
pub fn bad_texts(good: &str) -> Vec<(Vec<u8>, &'static str)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut cases = vec![
        (Vec::new(), "line 1"),
        (text(" \n\t "), "line"),
        (text("null"), "object"),
        (text("[]"), "object"),
        (text("\"mode\""), "object"),
        (text("3"), "object"),
        (text("{}"), "mode"),
        (text("{,}"), "line 1"),
        (text("{\"mode\"}"), "line 1"),
        (text("{\"mode\": }"), "line 1"),
        (text("{\"mode\": 'image'}"), "line 1"),
        (text("{mode: \"image\"}"), "line 1"),
        (text("{\"mode\": \"image\\q\"}"), "line 1"),
        (text("{\"mode\": \"\\ud800\"}"), "line 1"),
        (text("{\"mode\": 01}"), "line 1"),
        (text("{\"mode\": NaN}"), "line 1"),
        (text("{\"mode\": Infinity}"), "line 1"),
        (text("{\"mode\": \"a\nb\"}"), "line 1"),
        (text("// a remark\n{}"), "line 1"),
        (good.replace("\"cnn\",", "\"cnn\"").into_bytes(), "line"),
        (good.replace("\"cnn\",", "\"cnn\",,").into_bytes(), "line"),
        (good.replacen('}', ",}", 1).into_bytes(), "line"),
        (good.replace("\"mode\"", "\"epochs\": 1, \"mode\"").into_bytes(), "epochs"),
        (format!("{good}{good}").into_bytes(), "line"),
        (format!("{good} trailing").into_bytes(), "line"),
        (format!("\u{feff}{good}").into_bytes(), "line 1"),
        (text(&"[".repeat(100_000)), "line 1"),
        (text(&"{\"a\":".repeat(50_000)), "line 1"),
        (vec![b' '; (1 << 20) + 1], "1 MiB"),
        (vec![0; 100], "line 1"),
        (vec![0xff, 0xfe, b'{', 0, b'}', 0], "UTF-8"),
        (vec![0xc3, 0x28], "UTF-8"),
    ];
    // Cut off anywhere, as by a full disk.
    cases.extend((1..20).map(|part| (good.as_bytes()[..good.len() * part / 20].to_vec(), "line")));
    cases
}
