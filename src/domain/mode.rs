//! What one item of the data set is, with the options that only its mode has.

use super::words::Mode;

/// The mode with the options that only it has.
#[derive(Debug, Clone, PartialEq)]
pub enum ModeOptions {
    Image,
    /// Sizes in voxels.
    Patch {
        patch_size: usize,
        stride_size: usize,
        use_extracted_patches: bool,
    },
    /// `roi_list` none: both hippocampi.
    Roi {
        roi_list: Option<Vec<String>>,
        uncropped_roi: bool,
        use_extracted_roi: bool,
    },
    /// `slice_direction` is the axis, 0 to 2; `discarded_slices` at its beginning and its end.
    Slice {
        slice_direction: usize,
        discarded_slices: [usize; 2],
        use_extracted_slices: bool,
    },
}

impl ModeOptions {
    pub const fn mode(&self) -> Mode {
        match self {
            ModeOptions::Image => Mode::Image,
            ModeOptions::Patch { .. } => Mode::Patch,
            ModeOptions::Roi { .. } => Mode::Roi,
            ModeOptions::Slice { .. } => Mode::Slice,
        }
    }

    /// Whether items come from extracted tensors.
    pub const fn use_extracted(&self) -> bool {
        match self {
            ModeOptions::Image => false,
            ModeOptions::Patch { use_extracted_patches, .. } => *use_extracted_patches,
            ModeOptions::Roi { use_extracted_roi, .. } => *use_extracted_roi,
            ModeOptions::Slice { use_extracted_slices, .. } => *use_extracted_slices,
        }
    }
}
