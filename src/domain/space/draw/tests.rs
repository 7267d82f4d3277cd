//! Tests of a job's draw: distributions, conditions between variables, and the golden vectors.

use super::*;
use crate::domain::mode::ModeOptions;
use crate::domain::network::architecture::ConvBlock;
use crate::domain::words::Reduction;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

fn space(changes: Value) -> SearchSpace {
    let mut map = json!({"mode": "image", "network_type": "cnn", "caps_dir": "/caps", "tsv_path": "/labels", "preprocessing": "t1-linear",
        "n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1});
    map.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    SearchSpace::parse(&map.to_string(), "random_search.json", Path::new("/launch")).expect("a space").space
}

fn draws(space: &SearchSpace, n: u64) -> Vec<JobOptions> {
    (0..n).map(|index| draw(space, 11, index).expect("it goes together")).collect()
}

fn counts<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_insert(0) += 1;
    }
    counts
}

/// Whether counts of equally likely values lie within five standard deviations of what is expected.
fn is_even<T>(counts: &BTreeMap<T, u64>, kinds: usize, n: u64) -> bool {
    let expected = n as f64 / kinds as f64;
    let tolerance = 5.0 * (expected * (1.0 - 1.0 / kinds as f64)).sqrt();
    counts.len() == kinds && counts.values().all(|&count| (count as f64 - expected).abs() < tolerance)
}

#[test]
fn randint_reaches_both_ends_and_is_even() {
    let options = draws(&space(json!({"n_fcblocks": [2, 6], "n_convblocks": [1, 3]})), 5000);
    let layers = counts(options.iter().map(|o| o.n_fcblocks));
    assert_eq!((layers.first_key_value().map(|e| *e.0), layers.last_key_value().map(|e| *e.0)), (Some(2), Some(6)));
    assert!(is_even(&layers, 5, 5000), "{layers:?}");
    let blocks = counts(options.iter().map(|o| o.convolutions.len()));
    assert!(is_even(&blocks, 3, 5000), "{blocks:?}");
}

#[test]
fn each_element_of_a_choice_is_as_likely_as_often_as_it_is_given() {
    let options = draws(&space(json!({"first_conv_width": [4, 8, 16, 32], "sampler": ["random", "weighted"]})), 4000);
    assert!(is_even(&counts(options.iter().map(|o| o.convolutions[0].out_channels)), 4, 4000));
    assert!(is_even(&counts(options.iter().map(|o| o.sampler)), 2, 4000));
    let twice = draws(&space(json!({"first_conv_width": [4, 4, 8]})), 4000);
    let fours = counts(twice.iter().map(|o| o.convolutions[0].out_channels))[&4];
    assert!((2517..2817).contains(&fours), "{fours}");
}

#[test]
fn uniform_and_exponent_stay_in_their_intervals_and_fill_them_evenly() {
    let options = draws(&space(json!({"dropout": [0.1, 0.5], "learning_rate": [2, 5]})), 4000);
    assert!(options.iter().all(|o| (0.1..=0.5).contains(&o.dropout)));
    assert!(is_even(&counts(options.iter().map(|o| ((o.dropout - 0.1) / 0.1) as u32)), 4, 4000));
    assert!(options.iter().all(|o| (1e-5..=1e-2).contains(&o.learning_rate)));
    assert!(is_even(&counts(options.iter().map(|o| -o.learning_rate.log10() as u32)), 3, 4000));
}

#[test]
fn single_values_are_themselves_and_an_exponents_is_ten_to_its_minus() {
    let options = draw(&space(json!({"dropout": 0.3, "learning_rate": 3, "weight_decay": -2})), 5, 5).expect("it goes together");
    assert_eq!((options.dropout, options.learning_rate, options.weight_decay), (0.3, 1e-3, 100.0));
}

#[test]
fn the_number_of_convolutions_is_drawn_anew_for_each_block() {
    let options = draws(&space(json!({"n_conv": [1, 3], "n_convblocks": 4})), 3000);
    let first_and_last = counts(options.iter().map(|o| (o.convolutions[0].n_conv, o.convolutions[3].n_conv)));
    assert!(is_even(&first_and_last, 9, 3000), "{first_and_last:?}");
}

#[test]
fn weight_decay_is_zero_where_it_is_not_used_and_drawn_where_it_is() {
    for options in draws(&space(json!({"wd_bool": [true, false], "weight_decay": [2, 4]})), 200) {
        assert_eq!(options.wd_bool, options.weight_decay > 0.0);
    }
}

#[test]
fn inner_evaluations_fall_on_steps() {
    for options in draws(&space(json!({"evaluation_steps": 7, "accumulation_steps": [1, 4]})), 100) {
        assert!(options.evaluation_steps >= 7 && options.evaluation_steps < 7 + options.accumulation_steps);
        assert_eq!(options.evaluation_steps % options.accumulation_steps, 0);
    }
}

#[test]
fn the_network_type_is_drawn_among_those_that_the_mode_allows() {
    let both = space(json!({"mode": ["image", "patch"], "network_type": ["cnn", "multicnn", "autoencoder"]}));
    let drawn = counts(draws(&both, 3000).iter().map(|o| (o.mode.mode(), o.network_type)));
    assert_eq!(drawn.len(), 5, "{drawn:?}");
    assert!(!drawn.contains_key(&(Mode::Image, NetworkType::MultiCnn)));

    let multi = space(json!({"mode": ["image", "patch"], "network_type": "multicnn"}));
    let results: Vec<Result<JobOptions, Misfit>> = (0..50).map(|index| draw(&multi, 1, index)).collect();
    assert!(results.iter().any(|r| r.as_ref().is_ok_and(|o| o.mode.mode() == Mode::Patch)));
    let misfit = results.iter().find_map(|r| r.as_ref().err()).expect("mode image was drawn");
    assert_eq!(misfit.fault.key, "network_type");
    let options = misfit.options.as_ref().expect("what was drawn");
    assert_eq!((options.mode.mode(), options.network_type), (Mode::Image, NetworkType::MultiCnn));
}

#[test]
fn a_modes_own_variables_are_drawn_for_that_mode_alone() {
    let space = space(json!({"mode": ["image", "patch", "roi", "slice"], "patch_size": [10, 12], "slice_direction": [0, 1, 2],
        "selection_threshold": [0.5, 0.6], "discarded_slices": [4, 5]}));
    for options in draws(&space, 200) {
        assert_eq!(options.selection_threshold.is_some(), options.mode.mode() != Mode::Image);
        assert_eq!(options.convolutions[0].in_channels, options.channels());
        match options.mode {
            ModeOptions::Patch { patch_size, stride_size, .. } => assert!((10..=12).contains(&patch_size) && stride_size == 50),
            ModeOptions::Slice { slice_direction, discarded_slices, .. } => {
                assert!(slice_direction < 3 && discarded_slices == [4, 5])
            }
            ModeOptions::Image | ModeOptions::Roi { .. } => {}
        }
    }
}

#[test]
fn a_draw_depends_on_seed_and_index_alone_and_a_further_variable_leaves_the_others() {
    let plain = space(json!({"learning_rate": [2, 5], "n_convblocks": [2, 6]}));
    let more = space(json!({"learning_rate": [2, 5], "n_convblocks": [2, 6], "dropout": [0, 0.5], "neurosearch": {"n_jobs": 3}}));
    let backwards: Vec<JobOptions> = (0..20).rev().map(|index| draw(&plain, 3, index).expect("drawn")).collect();
    for (index, later) in (0..20).zip(backwards.iter().rev()) {
        assert_eq!(draw(&plain, 3, index).as_ref(), Ok(later));
        let other = draw(&more, 3, index).expect("drawn");
        assert_eq!(
            (other.learning_rate, other.convolutions.len(), other.seed),
            (later.learning_rate, later.convolutions.len(), later.seed)
        );
        assert_ne!(draw(&plain, 4, index).map(|o| o.learning_rate), Ok(later.learning_rate));
    }
}

#[test]
fn a_redraw_depends_on_seed_index_and_number_alone_and_the_first_draw_is_number_0() {
    let space = space(json!({"learning_rate": [2, 5]}));
    let rate = |seed, index, number| redraw(&space, seed, index, number).expect("drawn").learning_rate;
    assert_eq!(redraw(&space, 3, 1, 0), draw(&space, 3, 1));
    assert_eq!(rate(3, 1, 2), rate(3, 1, 2));
    let all = [rate(3, 1, 0), rate(3, 1, 1), rate(3, 1, 2), rate(3, 2, 1), rate(4, 1, 1), rate(3, 2, 2)];
    let different: std::collections::BTreeSet<u64> = all.iter().map(|rate| rate.to_bits()).collect();
    assert_eq!(different.len(), all.len());
    assert_ne!(redraw(&space, 3, 1, 1).expect("drawn").seed, draw(&space, 3, 1).expect("drawn").seed, "it trains anew");
}

#[test]
fn every_drawn_number_survives_writing_and_reading_bit_for_bit() {
    let space = space(json!({"learning_rate": [1, 9], "weight_decay": [1, 9], "dropout": [0, 0.99]}));
    for options in draws(&space, 500) {
        let text = options.to_json().to_string();
        let (again, _) = JobOptions::from_json(&text, "commandline.json", Path::new("/launch")).expect("readable");
        assert_eq!(again, options);
    }
}

#[test]
fn the_drawn_selection_of_a_transfer_is_written_with_and_without_a_source() {
    let space = space(json!({"transfer_learning_path": [null, "source"],
        "transfer_learning_selection": ["best_loss", "best_balanced_accuracy"]}));
    let drawn = draws(&space, 400).into_iter().map(|options| {
        let written = options.to_json();
        let selection = written["transfer_learning_selection"].as_str().expect("a word").to_string();
        (written["transfer_learning_path"].is_null(), selection)
    });
    assert!(is_even(&counts(drawn), 4, 400));
}

#[test]
fn widths_double_up_to_the_limit() {
    let options =
        draw(&space(json!({"first_conv_width": 48, "channels_limit": 64, "n_convblocks": 3, "d_reduction": "stride"})), 0, 0);
    let block = |in_channels, out_channels| ConvBlock { in_channels, out_channels, n_conv: 1, d_reduction: Reduction::Stride };
    assert_eq!(options.expect("drawn").convolutions, [block(1, 48), block(48, 64), block(64, 64)]);
}

#[test]
fn the_golden_vectors_are_drawn_again() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/draws.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("the vectors")).expect("JSON");
    let space = SearchSpace::parse(&vectors["space"].to_string(), "draws.json", Path::new("/launch")).expect("a space").space;
    let jobs = vectors["jobs"].as_array().expect("a list");
    assert!(jobs.len() >= 20);
    for job in jobs {
        let (seed, index) = (job["seed"].as_u64().expect("a seed"), job["index"].as_u64().expect("an index"));
        let drawn = draw(&space, seed, index).map(|options| options.to_json());
        assert_eq!(drawn.as_ref().ok(), job.get("options"), "seed {seed}, index {index}");
        assert_eq!(drawn.err().map(|misfit| misfit.fault.key), job.get("refused").and_then(Value::as_str).map(str::to_string));
    }
}
