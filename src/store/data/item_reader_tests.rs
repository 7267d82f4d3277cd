//! Tests of items: the reference's slices, every mode from whole images and from extracted tensors, and faults by name.

use super::*;
use crate::domain::words::Diagnosis;
use crate::store::data::caps::{ImageFile, Names, SliceChannel};
use crate::store::data::labels::{Source, read_fold};
use crate::store::data::volume_cache::CachePlace;
use crate::store::formats::torch_tensor::Tensor;
use crate::store::formats::torch_value::Value;
use crate::store::formats::{nifti, torch_file};
use crate::testing::tempdir;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

fn fixtures(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Options over a CAPS, with more keys on top of the least that a commandline.json has.
fn options(caps: &Path, more: serde_json::Value) -> JobOptions {
    let mut keys = json!({
        "mode": "image", "network_type": "cnn", "caps_dir": caps, "tsv_path": fixtures("mni-quarter/labels"),
        "preprocessing": "t1-linear", "diagnoses": ["AD", "CN"], "n_fcblocks": 1, "epochs": 1, "seed": 1,
        "convolutions": {"conv0": {"in_channels": null, "out_channels": 2, "n_conv": 1, "d_reduction": "MaxPooling"}},
    });
    let object = keys.as_object_mut().expect("an object");
    object.extend(more.as_object().expect("an object").clone());
    JobOptions::from_json(&keys.to_string(), "commandline.json", Path::new("/")).expect("options").0
}

fn row(participant: &str) -> LabelRow {
    LabelRow {
        participant: participant.to_string(),
        session: "ses-M00".to_string(),
        diagnosis: Diagnosis::Cn,
        class: 0,
        source: Source { file: Arc::new(PathBuf::from("train/CN.tsv")), line: 2 },
    }
}

/// Under the name of 0.2.2.
fn named(file: &ImageFile, participant: &str) -> PathBuf {
    file.of(&Caps::new("", Preprocessing::T1Linear).prefix(row(participant).at(), Names::Old))
}

fn read(reader: &ItemReader, row: &LabelRow, item: usize) -> Vec<f32> {
    let mut out = Vec::new();
    reader.read(row, item, &mut out).expect("read");
    assert_eq!(out.len(), reader.shape(item).iter().product::<usize>());
    out
}

/// A CAPS of its own, with small volumes.
struct Small(tempfile::TempDir);

const SHAPE: [usize; 3] = [6, 5, 4];

impl Small {
    /// Volumes whose voxels are a fixed permutation of 0, 1, 2, ... times `scale`.
    fn new(scale: f32) -> Self {
        let small = Small(tempdir());
        small.put(&named(&small.caps().nifti(row("sub-1").at())[0], "sub-1"), SHAPE, &Small::voxels(scale));
        small
    }
    fn voxels(scale: f32) -> Vec<f32> {
        (0..120).map(|i| (i * 47 % 120) as f32 * scale).collect()
    }
    fn caps(&self) -> Caps {
        Caps::new(self.0.path(), Preprocessing::T1Linear)
    }
    fn put(&self, path: &Path, shape: [usize; 3], voxels: &[f32]) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        nifti::write_f32(path, shape, voxels).expect("written");
    }
    fn put_tensor(&self, path: &Path, shape: &[usize], values: Vec<f32>) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        torch_file::write(path, "item", &Value::Tensor(Tensor::f32(shape, values))).expect("written");
    }
    fn open(&self, more: serde_json::Value) -> Result<ItemReader, StoreError> {
        ItemReader::open(&options(self.0.path(), more), &row("sub-1"), &Keeping::default())
    }
    fn reader(&self, more: serde_json::Value) -> ItemReader {
        self.open(more).expect("opened")
    }
    fn refusal(&self, more: serde_json::Value) -> String {
        self.open(more).expect_err("refused").to_string()
    }
}

/// The box of a small volume, normalised, voxel by voxel.
fn expected(voxels: &[f32], start: [usize; 3], size: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::new();
    for x in start[0]..start[0] + size[0] {
        for y in start[1]..start[1] + size[1] {
            for z in start[2]..start[2] + size[2] {
                out.push(voxels[(x * SHAPE[1] + y) * SHAPE[2] + z]);
            }
        }
    }
    extract::normalise(&mut out).expect("finite");
    out
}

#[test]
fn slices_are_the_references_to_the_last_bit() {
    let first = row("sub-MNI0000");
    for (axis, index) in [(0, 10), (0, 21), (1, 13), (1, 26), (2, 11), (2, 22)] {
        let more = json!({"mode": "slice", "slice_direction": axis, "discarded_slices": [5, 3]});
        let reader =
            ItemReader::open(&options(&fixtures("mni-quarter/caps"), more), &first, &Keeping::default()).expect("opened");
        let ours = read(&reader, &first, index - 5);
        let golden = torch_file::read(&fixtures(&format!("golden/slices/axis-{axis}_slice-{index}.pt"))).expect("read");
        let Value::Tensor(Tensor { shape, data }) = golden else { panic!("no tensor") };
        assert_eq!(shape, [1, 224, 224]);
        let golden = data.into_f32();
        for channel in ours.chunks_exact(224 * 224) {
            assert!(channel == golden, "axis {axis}, slice {index}");
        }
    }
}

#[test]
fn a_fold_of_real_labels_reads_item_by_item() {
    let more = json!({"mode": "patch", "patch_size": 20, "stride_size": 20, "n_splits": 2, "split": [1], "baseline": true});
    let options = options(&fixtures("mni-quarter/caps"), more);
    let labels = read_fold(&options, 1).expect("labels");
    assert!(
        labels.train.iter().chain(&labels.validation).all(|row| row.source.file.ends_with("CN_baseline.tsv") || row.class == 1)
    );
    let reader = ItemReader::open(&options, &labels.train[0], &Keeping::default()).expect("opened");
    assert_eq!((reader.items_per_image(), reader.shape(0)), (2 * 2 * 2, vec![1, 20, 20, 20]));
    for row in labels.train.iter().chain(&labels.validation) {
        reader.look(row).expect("there");
        assert_eq!(extract::range(&read(&reader, row, 7)), (0.0, 1.0));
    }
}

#[test]
fn an_image_item_is_the_whole_volume_normalised() {
    let small = Small::new(3.5);
    let reader = small.reader(json!({"mode": "image"}));
    assert_eq!((reader.items_per_image(), reader.shape(0)), (1, vec![1, 6, 5, 4]));
    assert_eq!(read(&reader, &row("sub-1"), 0), expected(&Small::voxels(3.5), [0; 3], SHAPE));
}

#[test]
fn unnormalize_leaves_the_values_as_they_are() {
    let small = Small::new(3.5);
    let reader = small.reader(json!({"mode": "image", "unnormalize": true}));
    assert_eq!(read(&reader, &row("sub-1"), 0), Small::voxels(3.5));
}

#[test]
fn patches_come_from_the_volume_or_from_their_own_files() {
    let small = Small::new(1.0);
    let reader = small.reader(json!({"mode": "patch", "patch_size": 3, "stride_size": 2}));
    assert_eq!(reader.items_per_image(), 2 * 2);
    assert_eq!(read(&reader, &row("sub-1"), 3), expected(&Small::voxels(1.0), [2, 2, 0], [3; 3]));
    let extracted = json!({"mode": "patch", "patch_size": 3, "stride_size": 2, "use_extracted_patches": true});
    small.put_tensor(
        &named(&small.caps().patch(row("sub-1").at(), 3, 2, 3), "sub-1"),
        &[1, 3, 3, 3],
        (0..27).map(|v| v as f32 * 2.0).collect(),
    );
    let reader = small.reader(extracted);
    assert_eq!(read(&reader, &row("sub-1"), 3), (0..27).map(|v| v as f32 / 26.0).collect::<Vec<_>>());
    let missing = reader.read(&row("sub-1"), 0, &mut Vec::new()).expect_err("missing");
    assert!(missing.is_missing() && missing.to_string().contains("patch-0"), "{missing}");
    small.put_tensor(&named(&small.caps().patch(row("sub-1").at(), 3, 2, 0), "sub-1"), &[1, 3, 3, 2], vec![0.0; 18]);
    let error = reader.read(&row("sub-1"), 0, &mut Vec::new()).expect_err("another shape").to_string();
    assert!(error.contains("patch-0") && error.contains("1 x 3 x 3 x 3"), "{error}");
}

#[test]
fn extracted_slices_give_what_the_volume_gives() {
    let small = Small::new(1.0);
    for (axis, rows, columns) in [(0, 5, 4), (1, 6, 4), (2, 6, 5)] {
        let keys = |extracted| json!({"mode": "slice", "slice_direction": axis, "discarded_slices": [2, 1], "use_extracted_slices": extracted});
        let mut size = SHAPE;
        size[axis] = 1;
        let mut start = [0; 3];
        start[axis] = 2;
        let slice = expected(&Small::voxels(1.0), start, size);
        small.put_tensor(
            &named(&small.caps().slice(row("sub-1").at(), axis, SliceChannel::Rgb, 2), "sub-1"),
            &[3, rows, columns],
            slice.repeat(3),
        );
        let (cut, extracted) = (small.reader(keys(false)), small.reader(keys(true)));
        assert_eq!(read(&cut, &row("sub-1"), 0), read(&extracted, &row("sub-1"), 0), "axis {axis}");
    }
}

#[test]
fn channels_of_an_extracted_slice_that_differ_stay_different() {
    let resize = Resize::new(2, 3, SLICE_SIDE);
    let one = |channel: [f32; 6]| {
        let mut values = channel.to_vec();
        resize_channels(&resize, &mut values);
        values[..SLICE_SIDE * SLICE_SIDE].to_vec()
    };
    let (a, b) = ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]);
    let mut values = [a, b, a].concat();
    resize_channels(&resize, &mut values);
    assert_eq!(values, [one(a), one(b), one(a)].concat());
}

#[test]
fn unnormalize_of_slices_needs_values_between_0_and_1() {
    let keys = json!({"mode": "slice", "slice_direction": 0, "discarded_slices": [0, 0], "unnormalize": true});
    let error = Small::new(1.0).reader(keys.clone()).read(&row("sub-1"), 0, &mut Vec::new()).expect_err("outside").to_string();
    assert!(error.contains("sub-1_ses-M00") && error.contains("[0, 1]"), "{error}");
    let out = read(&Small::new(1.0 / 256.0).reader(keys), &row("sub-1"), 0);
    assert!(extract::range(&out).1 < 0.5, "its largest value is kept");
}

#[test]
fn regions_are_masked_and_cropped_or_left_whole() {
    let small = Small::new(1.0);
    let mut mask = vec![0.0; 120];
    for x in 1..4 {
        for y in 2..4 {
            mask[(x * 5 + y) * 4 + x] = 1.0;
        }
    }
    small.put(&small.caps().mask("odd", Names::Old), SHAPE, &mask);
    let masked: Vec<f32> = Small::voxels(1.0).iter().zip(&mask).map(|(voxel, weight)| voxel * weight).collect();
    let keys = |uncropped: bool, extracted: bool| json!({"mode": "roi", "roi_list": ["odd"], "uncropped_roi": uncropped, "use_extracted_roi": extracted});
    let cropped = small.reader(keys(false, false));
    assert_eq!(cropped.shape(0), [1, 3, 2, 3]);
    assert_eq!(read(&cropped, &row("sub-1"), 0), expected(&masked, [1, 2, 1], [3, 2, 3]));
    let whole = small.reader(keys(true, false));
    assert_eq!(read(&whole, &row("sub-1"), 0), expected(&masked, [0; 3], SHAPE));
    small.put_tensor(
        &named(&small.caps().roi(row("sub-1").at(), "odd", false), "sub-1"),
        &[1, 3, 2, 3],
        (0..18).map(|v| v as f32).collect(),
    );
    assert_eq!(read(&small.reader(keys(false, true)), &row("sub-1"), 0)[17], 1.0);
}

#[test]
fn masks_that_do_not_fit_are_refused_by_name() {
    let small = Small::new(1.0);
    let keys = json!({"mode": "roi", "roi_list": ["odd"]});
    assert!(small.refusal(keys.clone()).contains("roi-odd_mask"));
    small.put(&small.caps().mask("odd", Names::Old), [6, 5, 3], &[1.0; 90]);
    let error = small.refusal(keys.clone());
    assert!(error.contains("roi-odd_mask") && error.contains("6 x 5 x 3"), "{error}");
    small.put(&small.caps().mask("odd", Names::Old), SHAPE, &[0.0; 120]);
    assert!(small.refusal(keys.clone()).contains("empty mask"));
    small.put(&small.caps().mask("odd", Names::Old), SHAPE, &[-1.0; 120]);
    assert!(small.refusal(keys).contains("the value -1"));
}

#[test]
fn an_image_of_one_value_or_of_nan_alone_is_refused_by_name_from_the_cache_too() {
    let small = Small::new(1.0);
    let keys = json!({"mode": "patch", "patch_size": 2, "stride_size": 2});
    for value in [0.0, 7.0, f32::NAN] {
        small.put(&named(&small.caps().nifti(row("sub-2").at())[0], "sub-2"), SHAPE, &[value; 120]);
        let place = CachePlace { folder: small.0.path().join("cache"), limit: 1 << 20 };
        let keeping = Keeping { cache: Some(place), ..Keeping::default() };
        for _ in 0..2 {
            let reader = ItemReader::open(&options(small.0.path(), keys.clone()), &row("sub-1"), &keeping).expect("opened");
            let error = reader.read(&row("sub-2"), 0, &mut Vec::new()).expect_err("refused").to_string();
            assert!(error.contains("sub-2_ses-M00") && error.contains("shows nothing"), "{value}: {error}");
        }
    }
}

#[test]
fn the_default_hippocampi_are_two_cubes() {
    let dir = Small(tempdir());
    let shape = [140, 125, 95];
    let mut voxels = vec![0.0; shape.iter().product()];
    // An edge and a corner of the right cube, outside the left one, which shares two planes with it.
    voxels[(86 * shape[1] + 71) * shape[2] + 43] = 2.0;
    voxels[(133 * shape[1] + 120) * shape[2] + 92] = 4.0;
    dir.put(&named(&dir.caps().nifti(row("sub-1").at())[0], "sub-1"), shape, &voxels);
    let reader = dir.reader(json!({"mode": "roi"}));
    assert_eq!((reader.items_per_image(), reader.shape(1)), (2, vec![1, 50, 50, 50]));
    let right = read(&reader, &row("sub-1"), 0);
    assert_eq!((right[2 * 2500], right[124_999]), (0.5, 1.0));
    assert!(read(&reader, &row("sub-1"), 1).iter().all(|value| *value == 0.0), "a constant item is 0");
    assert!(Small::new(1.0).refusal(json!({"mode": "roi"})).contains("leaves the image"));
}

#[test]
fn items_that_do_not_fit_and_extracted_items_of_other_pipelines_are_refused() {
    let small = Small::new(1.0);
    assert!(small.refusal(json!({"mode": "patch", "patch_size": 5, "stride_size": 1})).contains("patch_size"));
    assert!(
        small.refusal(json!({"mode": "slice", "slice_direction": 2, "discarded_slices": [2, 2]})).contains("discarded_slices")
    );
    small.put_tensor(
        &named(&Caps::new(small.0.path(), Preprocessing::T1Volume).tensor(row("sub-1").at()), "sub-1"),
        &[1, 6, 5, 4],
        Small::voxels(1.0),
    );
    let mut parsed = options(small.0.path(), json!({"mode": "patch", "patch_size": 2, "stride_size": 1}));
    parsed.preprocessing = Preprocessing::T1Volume;
    parsed.mode = ModeOptions::Patch { patch_size: 2, stride_size: 1, use_extracted_patches: true };
    let error = ItemReader::open(&parsed, &row("sub-1"), &Keeping::default()).expect_err("refused").to_string();
    assert!(error.contains("t1-linear only"), "{error}");
}

#[test]
fn the_other_pipelines_read_whole_tensors_in_every_mode() {
    let small = Small::new(1.0);
    for preprocessing in [Preprocessing::T1Extensive, Preprocessing::T1Volume] {
        let caps = Caps::new(small.0.path(), preprocessing);
        small.put_tensor(
            &caps.tensor(row("sub-1").at()).of(&caps.prefixes(row("sub-1").at())[0]),
            &[1, 6, 5, 4],
            Small::voxels(1.0),
        );
        small.put(&caps.mask("odd", Names::Old), SHAPE, &[1.0; 120]);
        for mode in [
            json!({"mode": "image"}),
            json!({"mode": "patch", "patch_size": 3, "stride_size": 3}),
            json!({"mode": "roi", "roi_list": ["odd"]}),
        ] {
            let mut keys = mode;
            keys["preprocessing"] = json!(preprocessing.as_str());
            let reader = small.reader(keys);
            assert_eq!(extract::range(&read(&reader, &row("sub-1"), 0)), (0.0, 1.0));
        }
    }
}

#[test]
fn an_image_of_another_size_is_an_error_that_names_it() {
    let small = Small::new(1.0);
    small.put(&named(&small.caps().nifti(row("sub-2").at())[0], "sub-2"), [6, 5, 5], &[1.0; 150]);
    let reader = small.reader(json!({"mode": "image"}));
    for error in [reader.read(&row("sub-2"), 0, &mut Vec::new()), reader.look(&row("sub-2"))] {
        let words = error.expect_err("another size").to_string();
        assert!(words.contains("sub-2_ses-M00") && words.contains("6 x 5 x 5"), "{words}");
    }
    assert!(reader.look(&row("sub-3")).expect_err("missing").is_missing());
}

#[test]
fn values_that_are_not_finite_name_the_image() {
    let small = Small::new(1.0);
    let mut voxels = Small::voxels(1.0);
    voxels[7] = f32::INFINITY;
    small.put(&named(&small.caps().nifti(row("sub-2").at())[0], "sub-2"), SHAPE, &voxels);
    for unnormalize in [false, true] {
        let reader = small.reader(json!({"mode": "image", "unnormalize": unnormalize}));
        let words = reader.read(&row("sub-2"), 0, &mut Vec::new()).expect_err("infinite").to_string();
        assert!(words.contains("sub-2_ses-M00") && words.contains("not finite"), "{words}");
    }
}
