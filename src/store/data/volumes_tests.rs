//! Tests of the way to a voxel: which file is read, how often, and what is said when none is.

use super::*;
use crate::domain::words::{Diagnosis, Preprocessing};
use crate::store::data::caps::Names;
use crate::store::data::labels::Source;
use crate::store::formats::torch_tensor::Tensor;
use crate::testing::tempdir;

fn row(participant: &str) -> LabelRow {
    LabelRow {
        participant: participant.to_string(),
        session: "ses-M00".to_string(),
        diagnosis: Diagnosis::Cn,
        class: 0,
        source: Source { file: Arc::new(PathBuf::from("train/CN.tsv")), line: 2 },
    }
}

fn caps(dir: &Path) -> Caps {
    Caps::new(dir, Preprocessing::T1Linear)
}

fn put_nifti(dir: &Path, participant: &str, voxels: &[f32]) -> PathBuf {
    let path = caps(dir).nifti(row(participant).at())[0].of(&caps(dir).prefix(row(participant).at(), Names::Old));
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    nifti::write_f32(&path, [2, 3, 4], voxels).expect("written");
    path
}

fn put_tensor(dir: &Path, participant: &str, shape: &[usize], voxels: &[f32]) -> PathBuf {
    let path = caps(dir).tensor(row(participant).at()).of(&caps(dir).prefix(row(participant).at(), Names::Old));
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    torch_file::write(&path, "image", &Value::Tensor(Tensor::f32(shape, voxels.to_vec()))).expect("written");
    path
}

/// With a cache in `dir`, and room for one volume outside it.
fn cached(dir: &Path) -> Keeping {
    Keeping { cache: Some(CachePlace { folder: dir.join("cache"), limit: 1 << 20 }), own_bytes: 24 * 4, ..Keeping::default() }
}

#[test]
fn the_tensor_is_preferred_to_the_nifti_volume() {
    let dir = tempdir();
    put_nifti(dir.path(), "sub-1", &[1.0; 24]);
    let tensor = put_tensor(dir.path(), "sub-1", &[1, 2, 3, 4], &[2.0; 24]);
    put_nifti(dir.path(), "sub-2", &[3.0; 24]);
    let volumes = Volumes::open(caps(dir.path()), &Keeping::default());
    let first = volumes.get(&row("sub-1")).expect("read");
    assert_eq!((first.shape(), first.voxels(), first.source()), ([2, 3, 4], &[2.0; 24][..], tensor.as_path()));
    assert_eq!(volumes.get(&row("sub-2")).expect("read").voxels(), [3.0; 24]);
    assert_eq!(volumes.shape(&row("sub-1")).expect("a shape"), [2, 3, 4]);
    assert_eq!(volumes.shape(&row("sub-2")).expect("a shape"), [2, 3, 4]);
}

#[test]
fn a_volume_is_read_once_with_a_cache_and_without() {
    let dir = tempdir();
    for keeping in [Keeping::default(), cached(dir.path())] {
        let path = put_nifti(dir.path(), "sub-1", &[1.0; 24]);
        let volumes = Volumes::open(caps(dir.path()), &keeping);
        let first = volumes.get(&row("sub-1")).expect("read");
        std::fs::remove_file(path).expect("removed");
        assert_eq!(volumes.get(&row("sub-1")).expect("at hand").voxels(), first.voxels());
    }
}

/// Asks for six volumes, each many times, as random patches of them would, in an order in which none follows itself.
fn ask(volumes: &Volumes) {
    for turn in 0..60 {
        let volume = volumes.get(&row(&format!("sub-{}", turn * 5 % 6))).expect("read");
        assert_eq!(volume.voxels(), [(turn * 5 % 6) as f32; 24]);
    }
}

#[test]
fn each_volume_is_decoded_once_for_all_items_even_if_only_one_fits() {
    let dir = tempdir();
    for number in 0..6u8 {
        put_nifti(dir.path(), &format!("sub-{number}"), &[f32::from(number); 24]);
    }
    let first = Volumes::open(caps(dir.path()), &cached(dir.path()));
    ask(&first);
    assert_eq!(first.fetched(), Fetched { decoded: 6, mapped: 0 });
    let second = Volumes::open(caps(dir.path()), &cached(dir.path()));
    ask(&second);
    assert_eq!(second.fetched(), Fetched { decoded: 0, mapped: 6 }, "another process finds them decoded");
    let without = Volumes::open(caps(dir.path()), &Keeping { cache: None, own_bytes: 24 * 4, ..Keeping::default() });
    ask(&without);
    assert_eq!(without.fetched(), Fetched { decoded: 60, mapped: 0 }, "without a cache, room for one is too little");
    let roomy = Volumes::open(caps(dir.path()), &Keeping { cache: None, own_bytes: 6 * 24 * 4, ..Keeping::default() });
    ask(&roomy);
    assert_eq!(roomy.fetched(), Fetched { decoded: 6, mapped: 0 });
}

#[test]
fn a_cache_that_cannot_be_made_or_has_no_room_costs_decoding_and_nothing_else() {
    let dir = tempdir();
    put_nifti(dir.path(), "sub-1", &[1.0; 24]);
    std::fs::write(dir.path().join("a-file"), "in the way").expect("written");
    let in_the_way = CachePlace { folder: dir.path().join("a-file/cache"), limit: 1 << 20 };
    let too_small = CachePlace { folder: dir.path().join("small"), limit: 10 };
    for place in [in_the_way, too_small] {
        let volumes = Volumes::open(caps(dir.path()), &Keeping { cache: Some(place), ..Keeping::default() });
        assert_eq!(volumes.get(&row("sub-1")).expect("read").voxels(), [1.0; 24]);
        assert_eq!(volumes.fetched(), Fetched { decoded: 1, mapped: 0 });
    }
}

#[test]
fn nan_is_0_from_either_file() {
    let dir = tempdir();
    let mut voxels = [1.0; 24];
    voxels[5] = f32::NAN;
    put_nifti(dir.path(), "sub-1", &voxels);
    put_tensor(dir.path(), "sub-2", &[1, 2, 3, 4], &voxels);
    let volumes = Volumes::open(caps(dir.path()), &Keeping::default());
    for participant in ["sub-1", "sub-2"] {
        assert_eq!(volumes.get(&row(participant)).expect("read").voxels()[4..7], [1.0, 0.0, 1.0]);
    }
}

#[test]
fn a_missing_image_names_its_files_and_the_row_that_wants_it() {
    let dir = tempdir();
    let error = Volumes::open(caps(dir.path()), &Keeping::default()).get(&row("sub-9")).expect_err("missing");
    assert!(error.is_missing());
    let words = error.to_string();
    for word in ["sub-9 ses-M00", "train/CN.tsv", "line 2", "subjects/sub-9 is not there"] {
        assert!(words.contains(word), "{words} lacks {word}");
    }
}

#[test]
fn a_tensor_that_is_no_image_is_refused_by_name() {
    let dir = tempdir();
    for shape in [&[2, 3, 4][..], &[2, 3, 4, 1], &[24]] {
        put_tensor(dir.path(), "sub-1", shape, &[1.0; 24]);
        let volumes = Volumes::open(caps(dir.path()), &Keeping::default());
        for error in [volumes.get(&row("sub-1")).map(|_| ()), volumes.shape(&row("sub-1")).map(|_| ())] {
            let words = error.expect_err("refused").to_string();
            assert!(words.contains("sub-1_ses-M00") && words.contains("1 x X x Y x Z"), "{words}");
        }
    }
}

#[test]
fn threads_that_want_the_same_volume_share_it() {
    let dir = tempdir();
    put_nifti(dir.path(), "sub-1", &[1.0; 24]);
    let volumes = Volumes::open(caps(dir.path()), &Keeping::default());
    let all: Vec<Volume> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| volumes.get(&row("sub-1")).expect("read"))).collect();
        threads.into_iter().map(|thread| thread.join().expect("ended")).collect()
    });
    assert!(all.iter().all(|volume| Arc::ptr_eq(&volume.voxels, &all[0].voxels)));
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let mut held = VolumesHeld { slots: HashMap::new(), clock: 0, most_bytes: 300 };
    for name in ["a", "b", "c"] {
        held.place(name);
        held.account(name, 100);
    }
    held.place("a");
    held.place("d");
    held.account("d", 100);
    let mut left: Vec<&str> = held.slots.keys().map(String::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["a", "c", "d"]);
}

#[test]
fn a_region_whose_name_leads_out_of_the_masks_is_refused() {
    let dir = tempdir();
    let volumes = Volumes::open(caps(dir.path()), &Keeping::default());
    assert!(volumes.mask("../../left").expect_err("refused").to_string().contains("../../left"));
    assert!(volumes.mask("left").expect_err("missing").is_missing());
}
