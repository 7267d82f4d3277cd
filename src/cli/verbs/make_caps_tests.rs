//! Tests of the synthetic CAPS: that it is read back as what it claims to be, twice the same, and never over another.

use super::*;
use crate::domain::data::extract;
use crate::domain::options::JobOptions;
use crate::store::data::item_reader::ItemReader;
use crate::store::data::labels::read_fold;
use crate::store::data::volumes::Keeping;
use crate::testing::tempdir;
use clap::Parser;
use serde_json::json;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(out: &Path, more: &[&str]) -> Args {
    let words = ["make-caps", out.to_str().expect("UTF-8"), "--shape", "12x14x13", "--subjects", "8"];
    Line::try_parse_from(words.iter().chain(more)).expect("parsed").args
}

fn make(out: &Path, more: &[&str]) -> VerbResult {
    run(&args(out, more), &mut Out::to(std::io::sink()))
}

fn options(out: &Path, more: serde_json::Value) -> JobOptions {
    let mut keys = json!({
        "mode": "image", "network_type": "cnn", "caps_dir": out.join("caps"), "tsv_path": out.join("labels"),
        "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"], "n_fcblocks": 1, "epochs": 1, "seed": 1,
        "convolutions": {"conv0": {"in_channels": null, "out_channels": 2, "n_conv": 1, "d_reduction": "MaxPooling"}},
    });
    keys.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    JobOptions::from_json(&keys.to_string(), "commandline.json", Path::new("/")).expect("options").0
}

/// Reads every item of every image of fold 0; gives the number of items.
fn read_all(options: &JobOptions) -> usize {
    let labels = read_fold(options, 0).expect("labels");
    let rows: Vec<_> = labels.train.iter().chain(&labels.validation).collect();
    let reader = ItemReader::open(options, rows[0], &Keeping::default()).expect("opened");
    let mut values = Vec::new();
    for row in &rows {
        reader.look(row).expect("there");
        for item in 0..reader.items_per_image() {
            reader.read(row, item, &mut values).expect("read");
            assert_eq!(values.len(), reader.shape(item).iter().product::<usize>());
        }
    }
    rows.len() * reader.items_per_image()
}

#[test]
fn every_mode_reads_what_was_made_from_images_and_from_extracted_items() {
    let dir = tempdir();
    make(dir.path(), &["--tensors", "patch,slice,roi", "--patch-size", "6", "--stride-size", "6"]).expect("made");
    let count = |more| read_all(&options(dir.path(), more));
    assert_eq!(count(json!({"mode": "image"})), 8);
    for extracted in [false, true] {
        assert_eq!(count(json!({"mode": "patch", "patch_size": 6, "stride_size": 6, "use_extracted_patches": extracted})), 8 * 8);
        assert_eq!(
            count(json!({"mode": "slice", "slice_direction": 1, "discarded_slices": [5, 6], "use_extracted_slices": extracted})),
            8 * 3
        );
        for uncropped in [false, true] {
            let more = json!({"mode": "roi", "network_type": "multicnn", "roi_list": ["left", "both"], "uncropped_roi": uncropped, "use_extracted_roi": extracted});
            assert_eq!(count(more), 8 * 2);
        }
    }
}

#[test]
fn extracted_items_hold_what_is_cut_on_the_fly() {
    let dir = tempdir();
    make(dir.path(), &["--tensors", "patch,slice,roi", "--patch-size", "6", "--stride-size", "5"]).expect("made");
    for (mut keys, flag) in [
        (json!({"mode": "patch", "patch_size": 6, "stride_size": 5}), "use_extracted_patches"),
        (json!({"mode": "slice", "slice_direction": 2, "discarded_slices": [4, 4]}), "use_extracted_slices"),
        (json!({"mode": "roi", "roi_list": ["left"]}), "use_extracted_roi"),
    ] {
        let items = [false, true].map(|extracted| {
            keys[flag] = json!(extracted);
            let options = options(dir.path(), keys.clone());
            let row = read_fold(&options, 0).expect("labels").train[1].clone();
            let mut values = Vec::new();
            let reader = ItemReader::open(&options, &row, &Keeping::default()).expect("opened");
            reader.read(&row, reader.items_per_image() - 1, &mut values).expect("read");
            values
        });
        assert!(items[0] == items[1], "{keys}");
    }
}

#[test]
fn the_other_pipelines_have_tensors_and_probabilities_where_they_claim_them() {
    for (preprocessing, brightest) in [("t1-extensive", 100.0..1001.0), ("t1-volume", 0.1..1.001)] {
        let dir = tempdir();
        make(dir.path(), &["--preprocessing", preprocessing, "--masks"]).expect("made");
        let options = options(dir.path(), json!({"preprocessing": preprocessing, "unnormalize": true}));
        let row = read_fold(&options, 0).expect("labels").train[0].clone();
        let mut values = Vec::new();
        ItemReader::open(&options, &row, &Keeping::default()).and_then(|reader| reader.read(&row, 0, &mut values)).expect("read");
        assert!(brightest.contains(&extract::range(&values).1), "{preprocessing}");
        assert!(make(&dir.path().join("other"), &["--preprocessing", preprocessing, "--tensors", "roi"]).is_err());
    }
}

#[test]
fn folds_cover_every_participant_once_and_never_on_both_sides() {
    let dir = tempdir();
    make(dir.path(), &["--folds", "3", "--sessions", "2", "--diagnoses", "AD,CN"]).expect("made");
    let mut validated = Vec::new();
    for fold in 0..3 {
        for baseline in [false, true] {
            let labels = read_fold(&options(dir.path(), json!({"n_splits": 3, "baseline": baseline})), fold).expect("labels");
            let sessions = if baseline { 1 } else { 2 };
            assert_eq!(labels.train.len() + sessions * labels.validation.len(), 8 * sessions);
            for side in [&labels.train, &labels.validation] {
                assert!([0, 1].iter().all(|class| side.iter().any(|row| row.class == *class)), "fold {fold}");
            }
            assert!(labels.train.iter().all(|row| labels.validation.iter().all(|other| other.participant != row.participant)));
            if baseline {
                validated.extend(labels.validation.into_iter().map(|row| row.participant));
            }
        }
    }
    validated.sort();
    assert_eq!(validated, (0..8).map(|i| format!("sub-SYN{i:04}")).collect::<Vec<_>>());
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let dir = tempdir();
    let files = |name: &str, seed: &str, difficulty: &str| {
        make(&dir.path().join(name), &["--seed", seed, "--difficulty", difficulty, "--tensors", "image"]).expect("made");
        let caps = Caps::new(dir.path().join(name).join("caps"), Preprocessing::T1Linear);
        let at = crate::store::data::caps::CapsSession { participant: "sub-SYN0003", session: "ses-M000" };
        let prefix = caps.prefix(at, Names::Today);
        [caps.nifti(at)[0].clone(), caps.tensor(at)].map(|file| fs::read(file.of(&prefix)).expect("read"))
    };
    for (easy, hard) in [("0", "0.5"), ("0.7", "1")] {
        let named = |name: &str| format!("{name}-{easy}");
        let (first, again) = (files(&named("a"), "5", easy), files(&named("b"), "5", easy));
        assert!(first == again, "{easy}");
        for other in [files(&named("c"), "6", easy), files(&named("d"), "5", hard)] {
            assert!(first[0] != other[0] && first[1] != other[1], "{easy}");
        }
    }
}

#[test]
fn names_are_todays_or_those_of_the_first_versions() {
    for (options, session, entities, masks) in
        [(&[][..], "ses-M000", "", "masks"), (&["--names", "0.2.2"], "ses-M00", "_T1w", "masks/roi_based")]
    {
        let dir = tempdir();
        make(dir.path(), &[&["--masks"], options].concat()).expect("made");
        let image = format!("sub-SYN0003_{session}{entities}_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_T1w.nii.gz");
        let template = "tpl-MNI152NLin2009cSym";
        for path in [
            format!("caps/subjects/sub-SYN0003/{session}/t1_linear/{image}"),
            format!("caps/{masks}/{template}/{template}_desc-Crop_res-1x1x1_roi-left_mask.nii.gz"),
        ] {
            assert!(dir.path().join(&path).is_file(), "{path}");
        }
        let labels = fs::read_to_string(dir.path().join("labels/train/AD.tsv")).expect("read");
        assert!(labels.lines().skip(1).all(|line| line.contains(&format!("\t{session}\t"))), "{labels}");
    }
    assert!(parse_names("0.3").is_err());
}

#[test]
fn nothing_is_written_over_an_earlier_caps() {
    let dir = tempdir();
    make(dir.path(), &[]).expect("made");
    assert_eq!(make(dir.path(), &[]).map_err(|failure| failure.exit), Err(Exit::Exists));
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_written() {
    let dir = tempdir();
    for more in [
        &["--folds", "5"][..],
        &["--tensors", "patch", "--patch-size", "13"],
        &["--diagnoses", "AD,AD"],
        &["--diagnoses", "AD,CN,MCI,sMCI,pMCI"],
    ] {
        assert_eq!(make(dir.path(), more).map_err(|failure| failure.exit), Err(Exit::Usage), "{more:?}");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    }
    for bad in ["12x14", "12x14x0", "12x14x13x1", "ax1x1", "12x14x513", "12xx14x13"] {
        assert!(parse_shape(bad).is_err(), "{bad}");
    }
    for bad in ["-0.1", "1.1", "NaN", "inf", "hard", ""] {
        assert!(parse_difficulty(bad).is_err(), "{bad}");
    }
}
