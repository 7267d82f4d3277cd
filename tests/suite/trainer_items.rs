//! What a network gets to see of an image: extracted items, regions, the tensors of every pipeline, by a network that tells.

use super::trainer_run::{Job, json_of, table};
use super::trainer_small::{Small, assert_says, at, columns, dots, flat_probe, odds, probe, spoilt_tensor};
use neurosearch::domain::words::Preprocessing;
use neurosearch::store::data::caps::{Names, SliceChannel};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

const SIX: [&str; 6] = ["ad0", "ad1", "ad2", "cn0", "cn1", "cn2"];
const SLOPE: f32 = 10.0;

/// What stands first in an extracted item, in 255ths of 1; the images themselves have 100.
fn level(participant: &str, item: usize) -> usize {
    20 * item + if participant.starts_with("ad") { 150 } else { 50 }
}

/// A value that 8 bits cut to `level`.
fn value(level: usize) -> f32 {
    (level as f32 + 0.5) / 255.0
}

/// How an image has extracted items: options, the source's model, the file of an item and its shape.
struct Extracted {
    options: Value,
    key: &'static str,
    item: &'static str,
    file: fn(&Small, &str, usize) -> PathBuf,
    shape: Vec<usize>,
    /// Id of the first item.
    first: usize,
}

fn kinds() -> [Extracted; 4] {
    let roi = |uncropped: bool| json!({ "mode": "roi", "roi_list": ["front", "back"], "uncropped_roi": uncropped });
    [
        Extracted {
            options: json!({ "mode": "patch", "patch_size": 2, "stride_size": 2 }),
            key: "use_extracted_patches",
            item: "patch",
            file: |small, participant, item| small.file(participant, &small.caps.patch(at(participant), 2, 2, item)),
            shape: vec![1, 2, 2, 2],
            first: 0,
        },
        Extracted {
            options: roi(false),
            key: "use_extracted_roi",
            item: "roi",
            file: |small, participant, item| {
                small.file(participant, &small.caps.roi(at(participant), ["front", "back"][item], false))
            },
            shape: vec![1, 2, 2, 2],
            first: 0,
        },
        Extracted {
            options: roi(true),
            key: "use_extracted_roi",
            item: "roi",
            file: |small, participant, item| {
                small.file(participant, &small.caps.roi(at(participant), ["front", "back"][item], true))
            },
            shape: vec![1, 2, 2, 4],
            first: 0,
        },
        Extracted {
            options: json!({ "mode": "slice", "slice_direction": 2, "discarded_slices": [1, 1] }),
            key: "use_extracted_slices",
            item: "slice",
            file: |small, participant, item| {
                small.file(participant, &small.caps.slice(at(participant), 2, SliceChannel::Rgb, item + 1))
            },
            shape: vec![3, 2, 2],
            first: 1,
        },
    ]
}

impl Extracted {
    /// Images of 2 x 2 x 4 voxels, masks of their two halves, and items that do not hold what the images do.
    fn small(&self) -> Small {
        self.small_under(Names::Old, "_T1w")
    }

    /// As [`Extracted::small`], with the masks under `names`, and names of images that begin with these entities.
    fn small_under(&self, names: Names, entities: &'static str) -> Small {
        let mut small = Small::new(Preprocessing::T1Linear);
        (small.names, small.entities) = (names, entities);
        small.labels_of_six();
        let shape = [2, 2, 4];
        let half =
            |from: usize| (0..16).map(|voxel| f32::from(u8::from((from..from + 2).contains(&(voxel % 4))))).collect::<Vec<_>>();
        small.mask("front", shape, &half(0));
        small.mask("back", shape, &half(2));
        for participant in SIX {
            // The last voxel, which no item begins with and no slice holds, is another: an image of one value is refused.
            let mut image = [value(100); 16];
            image[15] = 0.5;
            small.image(participant, shape, &image);
            for item in 0..2 {
                let values = vec![value(level(participant, item)); self.shape.iter().product()];
                small.tensor(&(self.file)(&small, participant, item), &self.shape, &values);
            }
        }
        small
    }

    fn job(&self, small: &Small, extracted: bool) -> Job {
        let model = if self.item == "slice" { flat_probe(SLOPE) } else { probe(self.shape[3] / 2, SLOPE) };
        let mut changes = self.options.clone();
        changes["transfer_learning_path"] = json!(small.source("source", "cnn", &[("best_loss", model)]));
        changes[self.key] = json!(extracted);
        small.job(changes)
    }

    /// The probability of class 1 of an item whose first voxel is this.
    fn says(&self, level: usize) -> f64 {
        // Slices go through 8 bits.
        let seen = if self.item == "slice" { level as f64 / 255.0 } else { f64::from(value(level)) };
        odds(f64::from(SLOPE), seen)
    }
}

#[test]
fn extracted_items_are_read_where_they_are_asked_for_and_not_otherwise() {
    for kind in kinds() {
        let small = kind.small();
        for extracted in [true, false] {
            let job = kind.job(&small, extracted);
            job.train();
            let says = |participant: &'static str, item: usize| {
                // Outside its mask, which the second region begins with, an uncropped image is 0.
                let outside = !extracted && item == 1 && kind.shape == [1, 2, 2, 4];
                let whole = if outside { odds(f64::from(SLOPE), 0.0) } else { kind.says(100) };
                let probability = if extracted { kind.says(level(participant, item)) } else { whole };
                (participant, kind.first + item, probability)
            };
            let expected = [says("ad2", 0), says("ad2", 1), says("cn2", 0), says("cn2", 1)];
            let file = format!("validation_{}_level_prediction.tsv", kind.item);
            assert_says(&job, &file, &format!("{}_id", kind.item), &expected);
        }
    }
}

/// The tables of an image's votes, and of its items.
fn tables_of(kind: &Extracted, job: &Job) -> [String; 2] {
    let items = format!("validation_{}_level_prediction.tsv", kind.item);
    let folder = job.fold(0).join("cnn_classification/best_loss");
    ["validation_image_level_prediction.tsv", &items].map(|name| fs::read_to_string(folder.join(name)).expect("written"))
}

#[test]
fn the_same_images_and_items_give_the_same_results_under_every_name() {
    for kind in kinds() {
        for extracted in [true, false] {
            let old = kind.small();
            let expected = tables_of(&kind, kind.job(&old, extracted).train());
            // Today's names, and a further entity. ClinicaDL leaves that out of the names of regions, which we find either way.
            for entities in ["", "_run-01"] {
                let small = kind.small_under(Names::Today, entities);
                let today = kind.job(&small, extracted);
                assert_eq!(tables_of(&kind, today.train()), expected, "{} {entities}", kind.item);
            }
        }
    }
}

#[test]
fn items_are_those_of_the_image_that_is_trained_on() {
    for kind in kinds() {
        let small = kind.small_under(Names::Today, "_run-01");
        let expected = tables_of(&kind, kind.job(&small, true).train());
        // Those of another run lie beside them, and are not looked at. Then they are the only ones.
        let paths = SIX.map(|participant| [0, 1].map(|item| (kind.file)(&small, participant, item)));
        let of_run_2 = |path: &PathBuf| path.to_string_lossy().replace("run-01", "run-02");
        for path in paths.iter().flatten() {
            small.tensor(of_run_2(path).as_ref(), &kind.shape, &vec![value(3); kind.shape.iter().product()]);
        }
        assert_eq!(tables_of(&kind, kind.job(&small, true).train()), expected, "{}", kind.item);
        paths.iter().flatten().for_each(|path| fs::remove_file(path).expect("removed"));
        let (class, sentence) = kind.job(&small, true).failure();
        assert!(class == "bad_data" && sentence.contains("is not there"), "{}: {sentence}", kind.item);
    }
}

#[test]
fn a_slice_in_one_channel_is_the_same_as_in_three() {
    let kind = kinds().into_iter().last().expect("slices");
    let small = kind.small();
    let expected = tables_of(&kind, kind.job(&small, true).train());
    for participant in SIX {
        for item in 0..2 {
            fs::remove_file((kind.file)(&small, participant, item)).expect("removed");
            let single = small.caps.slice(at(participant), 2, SliceChannel::Single, item + 1);
            small.tensor(&small.file(participant, &single), &[1, 2, 2], &[value(level(participant, item)); 4]);
        }
    }
    assert_eq!(tables_of(&kind, kind.job(&small, true).train()), expected);
}

#[test]
fn an_extracted_item_that_is_missing_of_another_shape_or_no_tensor_is_named() {
    for kind in kinds() {
        let small = kind.small();
        let path = (kind.file)(&small, "cn1", 1);
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let refused = |cause: &str| {
            let (class, sentence) = kind.job(&small, true).failure();
            assert_eq!(class, "bad_data", "{sentence}");
            assert!(sentence.contains(&name) && sentence.contains(cause), "{sentence}");
        };
        fs::remove_file(&path).expect("removed");
        refused("");
        small.tensor(&path, &[1, 3, 1, 2], &[0.5; 6]);
        refused("1 x 3 x 1 x 2");
        let marker = small.path("executed");
        spoilt_tensor(&path, &marker);
        refused("posix.system");
        assert!(!marker.exists(), "nothing of it may be executed");
    }
}

#[test]
fn the_default_regions_are_the_right_hippocampus_and_then_the_left_one() {
    let small = Small::new(Preprocessing::T1Linear);
    // As small as an image can be that holds both; each cube begins 25 voxels before its centre.
    let shape = [134, 121, 93];
    for (participant, right, left) in [("ad0", 0.5, 0.5), ("cn0", 0.5, 0.5), ("ad2", 0.9, 0.7), ("cn2", 0.3, 0.1)] {
        small.image(participant, shape, &dots(shape, &[([84, 71, 43], right), ([36, 71, 43], left)]));
    }
    for (diagnosis, train, validation) in [("AD", "ad0", "ad2"), ("CN", "cn0", "cn2")] {
        small.labels(&format!("train/{diagnosis}.tsv"), &[(train, diagnosis)]);
        small.labels(&format!("validation/{diagnosis}_baseline.tsv"), &[(validation, diagnosis)]);
    }
    let source = small.source("source", "cnn", &[("best_loss", probe(25 * 25 * 25, SLOPE))]);
    let job = small.job(json!({ "mode": "roi", "transfer_learning_path": source }));
    job.train();
    let says = |x: f64| odds(f64::from(SLOPE), x);
    let expected = [("ad2", 0, says(0.9)), ("ad2", 1, says(0.7)), ("cn2", 0, says(0.3)), ("cn2", 1, says(0.1))];
    assert_says(&job, "validation_roi_level_prediction.tsv", "roi_id", &expected);
}

#[test]
fn regions_of_unequal_size_are_a_multicnns_alone_and_each_is_the_box_of_its_mask() {
    let small = Small::new(Preprocessing::T1Linear);
    small.labels_of_six();
    let shape = [6, 4, 4];
    // The first region's weights are a half.
    small.mask("small", shape, &dots(shape, &[([0, 0, 0], 0.5), ([1, 1, 1], 0.5)]));
    small.mask("large", shape, &dots(shape, &[([1, 2, 2], 1.0), ([4, 3, 3], 1.0)]));
    for participant in SIX {
        let bright = participant.starts_with("ad");
        let (small_box, large_box) = if bright { (0.8, 0.6) } else { (0.4, 0.3) };
        small.image(participant, shape, &dots(shape, &[([0; 3], small_box), ([1, 2, 2], large_box)]));
    }
    // Position by position: the second network answers the other way round.
    let source = small.source("source", "multicnn", &[("cnn-0/best_loss", probe(1, 10.0)), ("cnn-1/best_loss", probe(2, -10.0))]);
    let options = json!({ "mode": "roi", "roi_list": ["small", "large"], "network_type": "multicnn",
        "transfer_learning_path": source, "seed": null });
    let job = small.job(options.clone());
    job.train();
    let expected =
        [("ad2", 0, odds(10.0, 0.4)), ("cn2", 0, odds(10.0, 0.2)), ("ad2", 1, odds(-10.0, 0.6)), ("cn2", 1, odds(-10.0, 0.3))];
    assert_says(&job, "validation_roi_level_prediction.tsv", "roi_id", &expected);
    let written = json_of(&job.folder.join("commandline.json"));
    assert!(written["seed"].is_u64() && written.get("fc").is_none(), "no widths fit both: {written}");
    for network_type in ["cnn", "autoencoder"] {
        let mut refused = options.clone();
        refused["network_type"] = json!(network_type);
        refused["transfer_learning_path"] = Value::Null;
        let (class, sentence) = small.job(refused).failure();
        assert!(class == "bad_options" && sentence.contains("roi_list"), "{sentence}");
    }
}

#[test]
fn the_whole_tensor_of_every_pipeline_is_what_is_trained_on() {
    for preprocessing in [Preprocessing::T1Extensive, Preprocessing::T1Volume, Preprocessing::T1Linear] {
        let small = Small::new(preprocessing);
        small.two_classes();
        if preprocessing == Preprocessing::T1Linear {
            // Beside a NIfTI volume, the tensor is the one that is used.
            for participant in SIX {
                let x = if participant.starts_with("ad") { 0.8 } else { 0.2 };
                small.tensor(
                    &small.file(participant, &small.caps.tensor(at(participant))),
                    &[1, 2, 2, 2],
                    &dots([2; 3], &[([0; 3], x)]),
                );
            }
        }
        let contrast = if preprocessing == Preprocessing::T1Linear { 0.8 } else { 0.9 };
        let source = small.source("source", "cnn", &[("best_loss", probe(1, SLOPE))]);
        let job = small.job(json!({ "transfer_learning_path": source }));
        job.train();
        let said = columns(&job, "validation_image_level_prediction.tsv", ["participant_id", "predicted_label"]);
        assert_eq!(said, [["ad2", "1"], ["cn2", "0"]]);
        let training = table(&job.fold(0).join("training.tsv"));
        let loss: f64 = training.rows[0].cells[training.column("loss_valid").expect("losses")].parse().expect("a number");
        let expected = -odds(f64::from(SLOPE), contrast).ln();
        assert!((loss - expected).abs() < 1e-5, "{preprocessing}: {loss}, not {expected}");
    }
}
