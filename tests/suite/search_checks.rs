//! Search spaces and jobs against data that lack something: each fault is named, with the file and the cause.

use crate::quarter::{Quarter, neurosearch, reorient};
use neurosearch::check;
use neurosearch::domain::job::FailureClass;
use neurosearch::domain::options::JobOptions;
use neurosearch::domain::space::SearchSpace;
use neurosearch::domain::space::draw::draw;
use neurosearch::domain::text::fault::{Fault, Faults};
use neurosearch::store::data::labels::{self, read_fold};
use neurosearch::store::formats::nifti;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn space(quarter: &Quarter, changes: Value) -> SearchSpace {
    let text = quarter.space(changes);
    let space = SearchSpace::parse(&text, "random_search.json", &quarter.launch()).expect("a space").space;
    space.without_detours(&quarter.launch(), &quarter.launch())
}

fn checked(quarter: &Quarter, changes: Value) -> Result<Vec<String>, Faults> {
    check::space(&space(quarter, changes))
}

fn faults(quarter: &Quarter, changes: Value) -> Vec<Fault> {
    checked(quarter, changes).expect_err("a fault").faults
}

/// The only fault, which has to stand at a place of the file and to contain every one of the words.
fn only_fault(quarter: &Quarter, changes: Value, key: &str, words: &[&str]) {
    let faults = faults(quarter, changes);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].key, key, "{}", faults[0]);
    assert!(faults[0].place.is_some(), "{}", faults[0]);
    for word in words {
        assert!(faults[0].sentence.contains(word), "{word} in {}", faults[0]);
    }
}

fn job(quarter: &Quarter, changes: Value) -> JobOptions {
    draw(&space(quarter, changes), 1, 0).expect("drawn")
}

#[test]
fn whole_data_are_accepted_for_every_mode_and_network_type() {
    let quarter = Quarter::new();
    let all = json!({"mode": ["image", "patch", "roi", "slice"], "network_type": ["autoencoder", "cnn", "multicnn"], "patch_size": [10, 42],
        "roi_list": ["left", "right"], "discarded_slices": 10, "slice_direction": [0, 1, 2], "n_splits": 2});
    checked(&quarter, all).expect("accepted");
    for mode in ["image", "patch", "slice"] {
        checked(&quarter, json!({"mode": mode, "patch_size": 20, "discarded_slices": 10})).expect("accepted");
    }
}

#[test]
fn a_missing_caps_and_missing_labels_are_both_named_at_once() {
    let quarter = Quarter::new();
    let faults = faults(&quarter, json!({"caps_dir": "/nowhere/caps", "tsv_path": "../no-labels"}));
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["caps_dir", "tsv_path"]);
    assert!(faults[0].sentence.contains("/nowhere/caps") && faults[1].sentence.contains("no-labels"));
}

#[test]
fn a_missing_label_file_is_named() {
    let quarter = Quarter::new();
    fs::remove_file(quarter.path("labels/train/CN.tsv")).expect("removed");
    only_fault(&quarter, json!({}), "tsv_path", &["train/CN.tsv"]);
    checked(&quarter, json!({"baseline": true})).expect("the baseline files are all there");
    checked(&quarter, json!({"baseline": [true, false]})).expect("some draws can train");
    only_fault(&quarter, json!({"n_splits": 3, "split": [1]}), "tsv_path", &["train_splits-3/split-1"]);
}

#[test]
fn one_missing_image_is_named_with_the_row_that_asks_for_it() {
    let quarter = Quarter::new();
    fs::remove_file(quarter.image(6)).expect("removed");
    only_fault(
        &quarter,
        json!({}),
        "caps_dir",
        &["sub-MNI0006 ses-M00", "line 3", "train/AD.tsv", "_T1w.nii.gz is not there", "put it there"],
    );
}

#[test]
fn an_image_of_another_size_is_named() {
    let quarter = Quarter::new();
    let path = quarter.image(10);
    fs::remove_file(&path).expect("removed");
    nifti::write_f32(&path, [42, 52, 44], &vec![0.5; 42 * 52 * 44]).expect("written");
    only_fault(&quarter, json!({}), "caps_dir", &["sub-MNI0010", "42 x 52 x 44", "42 x 52 x 45"]);
}

#[test]
fn an_image_that_is_cut_short_is_named() {
    let quarter = Quarter::new();
    let path = quarter.image(10);
    let bytes = fs::read(&path).expect("read");
    quarter.replace(&path, &bytes[..bytes.len() / 2]);
    only_fault(&quarter, json!({}), "caps_dir", &["sub-MNI0010"]);
}

#[test]
fn many_missing_images_are_counted_and_not_all_listed() {
    let quarter = Quarter::new();
    fs::remove_dir_all(quarter.path("caps/subjects")).expect("removed");
    let faults = faults(&quarter, json!({}));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].sentence.contains("23 more images are at fault likewise"), "{faults:?}");
}

#[test]
fn a_folder_that_is_named_otherwise_is_told_once_for_all() {
    let quarter = Quarter::new();
    for number in 0..24 {
        let session = quarter.path(&format!("caps/subjects/sub-MNI{number:04}/ses-M00"));
        fs::rename(&session, session.with_file_name("ses-M000")).expect("renamed");
    }
    let words = ["ses-M00 is not there, and ses-M000 is", "23 more images are at fault likewise"];
    only_fault(&quarter, json!({}), "caps_dir", &words);
}

#[test]
fn what_git_annex_keeps_elsewhere_is_told_of_images_masks_and_labels() {
    let quarter = Quarter::new();
    let annexed = |path: &Path| {
        fs::remove_file(path).expect("removed");
        std::os::unix::fs::symlink("../.git/annex/objects/Xx/Yy/SHA256E-s5--00", path).expect("linked");
    };
    let mask = quarter
        .path("caps/masks/roi_based/tpl-MNI152NLin2009cSym/tpl-MNI152NLin2009cSym_desc-Crop_res-1x1x1_roi-left_mask.nii.gz");
    annexed(&mask);
    only_fault(&quarter, json!({"mode": "roi", "roi_list": ["left"]}), "roi_list", &["roi-left", "datalad get"]);
    let labels = quarter.path("labels/train/AD.tsv");
    annexed(&labels);
    only_fault(&quarter, json!({}), "tsv_path", &["AD.tsv", "datalad get"]);
    fs::remove_file(&labels).expect("removed");
    fs::write(&labels, "/annex/objects/MD5E-s3406--01.tsv\n").expect("written");
    only_fault(&quarter, json!({}), "tsv_path", &["AD.tsv", "datalad get"]);
}

#[test]
fn images_and_masks_are_found_under_todays_names() {
    let quarter = Quarter::new();
    for number in 0..24 {
        let image = quarter.image(number);
        let name = image.file_name().expect("a name").to_string_lossy().replacen("_T1w_space", "_space", 1);
        fs::rename(&image, image.with_file_name(name)).expect("renamed");
    }
    let masks = quarter.path("caps/masks");
    fs::rename(masks.join("roi_based/tpl-MNI152NLin2009cSym"), masks.join("tpl-MNI152NLin2009cSym")).expect("moved");
    checked(&quarter, json!({"mode": ["image", "roi"], "roi_list": ["left", "right"]})).expect("accepted");
}

#[test]
fn images_of_another_orientation_or_voxel_size_are_told_with_one_of_each_kind() {
    let quarter = Quarter::new();
    assert_eq!(checked(&quarter, json!({})).expect("accepted"), Vec::<String>::new());
    for (number, affine, kind) in [
        (10, [[-4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]], "LAS, 4 x 4 x 4 mm"),
        (11, [[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 8.0]], "RAS, 8 x 8 x 8 mm"),
    ] {
        let path = quarter.image(number);
        reorient(&path, affine);
        let notices = checked(&quarter, json!({})).expect("accepted").concat();
        assert!(notices.contains(&format!("1 as {} ({kind})", path.display())), "{notices}");
    }
}

/// Puts the rows of the tree of 0.2.2 into that of ClinicaDL 1.2 and later, below `labels/split/2_fold`.
fn split_as_today(quarter: &Quarter) {
    for fold in 0..2 {
        let to = quarter.path(&format!("labels/split/2_fold/split-{fold}"));
        fs::create_dir_all(&to).expect("made");
        for (side, suffix) in [("train", ""), ("train", "_baseline"), ("validation", "_baseline")] {
            let table = |label: &str| {
                let file = format!("labels/{side}_splits-2/split-{fold}/{label}{suffix}.tsv");
                fs::read_to_string(quarter.path(&file)).expect("read")
            };
            let cn = table("CN");
            let rows = cn.split_once('\n').expect("a header").1;
            fs::write(to.join(format!("{side}{suffix}.tsv")), table("AD") + rows).expect("written");
        }
    }
    for side in ["train", "validation"] {
        fs::remove_dir_all(quarter.path(&format!("labels/{side}_splits-2"))).expect("removed");
    }
}

#[test]
fn the_same_folds_give_the_same_rows_in_either_tree() {
    let quarter = Quarter::new();
    let rows = |tsv_path: &str, baseline: bool| {
        let options = job(&quarter, json!({"n_splits": 2, "tsv_path": tsv_path, "baseline": baseline}));
        let folds = [0, 1].map(|fold| read_fold(&options, fold).expect("read"));
        folds.map(|fold| {
            [fold.train, fold.validation].map(|side| side.into_iter().map(|row| (row.participant, row.class)).collect::<Vec<_>>())
        })
    };
    let then = [false, true].map(|baseline| rows("../labels", baseline));
    assert!(then[0][0].iter().all(|side| !side.is_empty()));
    split_as_today(&quarter);
    for tsv_path in ["../labels", "../labels/split", "../labels/split/2_fold"] {
        assert_eq!([false, true].map(|baseline| rows(tsv_path, baseline)), then, "{tsv_path}");
        checked(&quarter, json!({"n_splits": 2, "tsv_path": tsv_path})).expect("accepted");
        assert_eq!(
            labels::splits(&quarter.path(&format!("launch/{tsv_path}"))),
            if tsv_path == "../labels" { None } else { Some(2) }
        );
    }
    let other = faults(&quarter, json!({"n_splits": 3, "tsv_path": "../labels/split"}));
    assert!(other[0].sentence.contains("split into 2 folds: set n_splits to 2"), "{other:?}");
    quarter.space(json!({"n_splits": 2, "tsv_path": "../labels/split"}));
    let said = neurosearch(&["validate", quarter.launch().to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("labels/split/2_fold; n_splits is 2"), "{said}");
}

#[test]
fn two_images_of_one_session_are_both_named() {
    let quarter = Quarter::new();
    let image = quarter.image(6);
    let run = |run: &str| image.to_string_lossy().replacen("ses-M00_T1w", &format!("ses-M00_{run}"), 1);
    fs::copy(&image, run("run-02")).expect("copied");
    checked(&quarter, json!({})).expect("the usual name is taken");
    fs::rename(&image, run("run-01")).expect("renamed");
    only_fault(&quarter, json!({}), "caps_dir", &["ses-M00_run-01", "ses-M00_run-02", "keep one of them"]);
    fs::remove_file(run("run-01")).expect("removed");
    checked(&quarter, json!({})).expect("the only one is taken");
}

#[test]
fn an_empty_class_is_an_error_for_a_classifier_and_none_for_an_autoencoder() {
    let quarter = Quarter::new();
    fs::write(quarter.path("labels/validation/AD_baseline.tsv"), "participant_id\tsession_id\tdiagnosis\n").expect("written");
    only_fault(&quarter, json!({}), "tsv_path", &["class 1", "validation set of fold 0"]);
    checked(&quarter, json!({"network_type": "autoencoder", "n_fcblocks": 1})).expect("accepted");
    checked(&quarter, json!({"network_type": ["autoencoder", "cnn"]})).expect("some draws can train");
}

#[test]
fn a_leak_names_the_participants() {
    let quarter = Quarter::new();
    let train = fs::read_to_string(quarter.path("labels/train/AD.tsv")).expect("read");
    fs::write(quarter.path("labels/validation/AD_baseline.tsv"), train).expect("written");
    only_fault(&quarter, json!({}), "tsv_path", &["leak in fold 0", "sub-MNI0002", "sub-MNI0006"]);
    let fault = check::job(&job(&quarter, json!({}))).expect_err("a leak");
    assert_eq!(fault.class, FailureClass::BadData);
}

#[test]
fn the_largest_patch_has_to_fit_the_image() {
    let quarter = Quarter::new();
    only_fault(&quarter, json!({"mode": ["image", "patch"], "patch_size": [10, 43]}), "patch_size", &["43", "42 x 52 x 45"]);
    let fault = check::job(&job(&quarter, json!({"mode": "patch", "patch_size": 43}))).expect_err("too large");
    assert_eq!(fault.class, FailureClass::BadOptions);
    assert!(fault.sentence.starts_with("patch_size: "), "{fault}");
}

#[test]
fn the_patch_size_of_a_mode_that_is_not_listed_is_not_held_against_the_image() {
    let quarter = Quarter::new();
    checked(&quarter, json!({"patch_size": 200, "roi_list": ["nowhere"], "discarded_slices": 500})).expect("accepted");
}

#[test]
fn a_space_is_accepted_wherever_the_one_draw_stands_that_can_train() {
    let quarter = Quarter::new();
    let deep =
        |d_reduction: Value| json!({"n_convblocks": 6, "network_normalization": "InstanceNorm", "d_reduction": d_reduction});
    checked(&quarter, deep(json!(["stride", "MaxPooling"]))).expect("some draws can train");
    checked(&quarter, deep(json!(["MaxPooling", "stride"]))).expect("some draws can train");
    only_fault(&quarter, deep(json!("stride")), "network_normalization", &["InstanceNorm"]);
    let patch = |more: Value| {
        let mut space = json!({"mode": "patch", "d_reduction": "stride", "network_normalization": "InstanceNorm"});
        space.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        space
    };
    checked(&quarter, patch(json!({"patch_size": [2, 20], "n_convblocks": 2}))).expect("a patch of 20 can train");
    only_fault(&quarter, patch(json!({"patch_size": [2, 3], "n_convblocks": 2})), "network_normalization", &["InstanceNorm"]);
    // The smallest patch leaves one voxel, the largest one position: only one between them can train.
    let between = |ends: [u64; 2]| {
        patch(json!({"network_type": "multicnn", "n_convblocks": 3, "patch_size": ends, "stride_size": [11, 50]}))
    };
    checked(&quarter, between([2, 42])).expect("a patch of 20 can train");
    assert_eq!(faults(&quarter, between([42, 42]))[0].key, "network_type");
}

#[test]
fn only_one_extracted_patch_of_an_interval_is_enough() {
    let quarter = Quarter::new();
    let space = json!({"mode": "patch", "patch_size": [10, 40], "stride_size": [10, 60], "use_extracted_patches": true});
    assert_eq!(faults(&quarter, space.clone())[0].key, "caps_dir");
    for number in 0..24 {
        let session = quarter.path(&format!("caps/subjects/sub-MNI{number:04}/ses-M00"));
        let folder = session.join("deeplearning_prepare_data/patch_based/t1_linear");
        fs::create_dir_all(&folder).expect("made");
        let name = format!(
            "sub-MNI{number:04}_ses-M00_T1w_space-MNI152NLin2009cSym_desc-Crop_res-1x1x1_patchsize-30_stride-60_patch-0_T1w.pt"
        );
        fs::write(folder.join(name), "").expect("written");
    }
    checked(&quarter, space).expect("the draw of 30 and 60 can train");
}

#[test]
fn discarding_every_slice_is_refused() {
    let quarter = Quarter::new();
    only_fault(&quarter, json!({"mode": "slice", "discarded_slices": 21}), "discarded_slices", &["42"]);
    checked(&quarter, json!({"mode": "slice", "discarded_slices": 21, "slice_direction": [0, 1]})).expect("some draws can train");
}

#[test]
fn a_mask_that_is_missing_empty_or_of_another_size_is_named() {
    let quarter = Quarter::new();
    let mask = |name: &str| {
        let folder = quarter.path("caps/masks/roi_based/tpl-MNI152NLin2009cSym");
        folder.join(format!("tpl-MNI152NLin2009cSym_desc-Crop_res-1x1x1_roi-{name}_mask.nii.gz"))
    };
    only_fault(&quarter, json!({"mode": ["roi", "image"], "roi_list": ["left", "absent"]}), "roi_list", &["roi-absent_mask"]);
    nifti::write_f32(&mask("empty"), [42, 52, 45], &vec![0.0; 42 * 52 * 45]).expect("written");
    only_fault(&quarter, json!({"mode": "roi", "roi_list": ["empty"]}), "roi_list", &["roi-empty_mask", "empty"]);
    nifti::write_f32(&mask("small"), [3, 3, 3], &[1.0; 27]).expect("written");
    only_fault(&quarter, json!({"mode": "roi", "roi_list": ["small"]}), "roi_list", &["roi-small_mask", "3 x 3 x 3"]);
    // The default regions leave so small an image, which only some draws of a wider space meet.
    assert_eq!(faults(&quarter, json!({"mode": "roi"})).len(), 1);
    checked(&quarter, json!({"mode": ["roi", "image"]})).expect("some draws can train");
}

#[test]
fn extracted_tensors_have_to_be_there() {
    let quarter = Quarter::new();
    let fault =
        check::job(&job(&quarter, json!({"mode": "patch", "patch_size": 20, "stride_size": 20, "use_extracted_patches": true})));
    let fault = fault.expect_err("nothing was extracted");
    assert_eq!(fault.class, FailureClass::BadData);
    assert!(fault.sentence.contains("patchsize-20_stride-20_patch-0"), "{fault}");
}

#[test]
fn with_extracted_tensors_only_the_first_image_is_needed_whole() {
    let quarter = Quarter::new();
    let at = |number: u32| quarter.path(&format!("caps/subjects/sub-MNI{number:04}/ses-M00"));
    for number in 0..24 {
        let folder = at(number).join("deeplearning_prepare_data/roi_based/t1_linear");
        fs::create_dir_all(&folder).expect("made");
        let name = format!("sub-MNI{number:04}_ses-M00_T1w_space-MNI152NLin2009cSym_desc-CropRoi_res-1x1x1_roi-left_T1w.pt");
        fs::write(folder.join(name), "").expect("written");
        // The first row of the first label's file is sub-MNI0002.
        if number != 2 {
            fs::remove_dir_all(at(number).join("t1_linear")).expect("removed");
        }
    }
    let options = json!({"mode": "roi", "roi_list": ["left"], "use_extracted_roi": true});
    checked(&quarter, options.clone()).expect("accepted");
    fs::remove_dir_all(at(7).join("deeplearning_prepare_data")).expect("removed");
    only_fault(&quarter, options, "caps_dir", &["sub-MNI0007", "roi-left_T1w.pt"]);
}

#[test]
fn a_transfers_source_has_to_be_a_job_with_models_that_can_start_this_one() {
    let quarter = Quarter::new();
    only_fault(
        &quarter,
        json!({"transfer_learning_path": "../labels"}),
        "transfer_learning_path",
        &["not a job folder", "commandline.json"],
    );
    let source = quarter.path("launch/source");
    fs::create_dir_all(source.join("fold-0/models/best_loss")).expect("made");
    let write = |network_type: &str| {
        fs::write(source.join("commandline.json"), json!({"mode": "image", "network_type": network_type}).to_string())
            .expect("written");
    };
    let job = |network_type: &str| {
        let options = json!({"network_type": network_type, "mode": "patch", "patch_size": 20, "stride_size": 20, "transfer_learning_path": "source"});
        check::job(&job(&quarter, options))
    };
    write("cnn");
    assert!(job("cnn").expect_err("no model").sentence.contains("best_balanced_accuracy/model_best.pth.tar"));
    assert_eq!(job("autoencoder").expect_err("no such direction").class, FailureClass::BadOptions);
    write("multicnn");
    assert_eq!(job("cnn").expect_err("no such direction").class, FailureClass::BadOptions);
    write("autoencoder");
    assert_eq!(job("cnn").expect_err("no model").class, FailureClass::BadData);
    fs::write(source.join("fold-0/models/best_loss/model_best.pth.tar"), "").expect("written");
    for network_type in ["autoencoder", "cnn", "multicnn"] {
        job(network_type).expect("an autoencoder's best_loss starts everything");
    }
    // Eight patches an image: each of a multicnn's networks starts from the source's at its own position.
    write("multicnn");
    for position in 0..8 {
        let file = format!("models/cnn-{position}/best_balanced_accuracy/model_best.pth.tar");
        assert!(job("multicnn").expect_err("no model").sentence.contains(&file), "{file}");
        let file = source.join("fold-0").join(file);
        fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        fs::write(file, "").expect("written");
    }
    job("multicnn").expect("every position has its model");
}

#[test]
fn a_job_gets_the_widths_of_its_layers_where_its_items_have_one_shape() {
    let quarter = Quarter::new();
    let fc = |changes: Value| check::job(&job(&quarter, changes)).expect("it can train").fc;
    let fixed = |more: Value| {
        let mut options = json!({"n_convblocks": 2, "first_conv_width": 4, "n_fcblocks": 1});
        options.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        fc(options)
    };
    let inputs = |fc: Option<Vec<neurosearch::domain::network::architecture::FcLayer>>| fc.map(|fc| fc[0].in_features);
    assert_eq!(inputs(fixed(json!({}))), Some(8 * 11 * 13 * 12));
    assert_eq!(inputs(fixed(json!({"mode": "patch", "patch_size": 20}))), Some(8 * 5 * 5 * 5));
    assert_eq!(inputs(fixed(json!({"mode": "slice", "discarded_slices": 10}))), Some(8 * 56 * 56));
    assert_eq!(inputs(fixed(json!({"network_type": "autoencoder"}))), None);
}

#[test]
fn batches_that_cannot_train_are_refused_before_they_do() {
    let quarter = Quarter::new();
    let fault = check::job(&job(&quarter, json!({"batch_size": 12, "accumulation_steps": 2}))).expect_err("no step in an epoch");
    assert!(fault.class == FailureClass::BadOptions && fault.sentence.starts_with("accumulation_steps"), "{fault}");
    let deep = json!({"n_convblocks": 7, "batch_size": 1, "d_reduction": "stride"});
    let fault = check::job(&job(&quarter, deep)).expect_err("one value a channel");
    assert!(fault.class == FailureClass::BadOptions && fault.sentence.contains("BatchNorm"), "{fault}");
    let instance = json!({"n_convblocks": 7, "network_normalization": "InstanceNorm", "d_reduction": "stride"});
    let fault = check::job(&job(&quarter, instance)).expect_err("one voxel");
    assert!(fault.class == FailureClass::BadOptions && fault.sentence.contains("InstanceNorm"), "{fault}");
}
