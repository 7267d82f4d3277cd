//! `.nii` and `.nii.gz` images: a volume or a clause.
#![no_main]

use libfuzzer_sys::fuzz_target;
use neurosearch::store::formats::nifti;
use std::io::Cursor;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(volume) = nifti::read_from(Cursor::new(bytes), bytes.len() as u64) {
        assert_eq!(volume.voxels.len(), volume.shape.iter().product::<usize>());
    }
});
