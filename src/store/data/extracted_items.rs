//! Which files an extracted item may be in.

use super::caps::{Caps, CapsSession, ImageFile, SliceChannel};
use crate::domain::data::item_geometry::Geometry;
use crate::domain::mode::ModeOptions;

/// Where item `item` of an image may lie, the likeliest file first; nowhere if items of this mode are never extracted.
pub fn files(caps: &Caps, mode: &ModeOptions, geometry: &Geometry, at: CapsSession<'_>, item: usize) -> Vec<ImageFile> {
    match mode {
        ModeOptions::Patch { patch_size, stride_size, .. } => vec![caps.patch(at, *patch_size, *stride_size, item)],
        ModeOptions::Slice { slice_direction, .. } => {
            let index = geometry.file_index(item);
            SliceChannel::ALL.map(|channel| caps.slice(at, *slice_direction, channel, index)).to_vec()
        }
        ModeOptions::Roi { roi_list: Some(names), uncropped_roi, .. } => {
            names.get(item).map(|name| caps.roi(at, name, *uncropped_roi)).into_iter().collect()
        }
        ModeOptions::Roi { roi_list: None, .. } | ModeOptions::Image => Vec::new(),
    }
}
