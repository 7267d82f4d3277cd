//! Which files the extracted items of an image are in.

use super::caps::{Caps, CapsSession, ImageFile, ImagePrefix, Names, SliceChannel};
use super::image_files;
use crate::domain::data::item_geometry::Geometry;
use crate::domain::mode::ModeOptions;
use crate::store::fs::error::StoreError;
use std::path::PathBuf;

/// How the items of one image are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemNames {
    prefix: ImagePrefix,
    /// Which of an item's possible files they are.
    index: usize,
}

impl ItemNames {
    /// The names of the image's items: those that follow the image's own name. Without the whole image, the only ones there are.
    /// If there are none, the likeliest.
    ///
    /// # Errors
    /// Two images fit, or that cannot be known.
    pub fn find(caps: &Caps, mode: &ModeOptions, geometry: &Geometry, at: CapsSession<'_>) -> Result<Self, StoreError> {
        let files = files(caps, mode, geometry, at, 0);
        let (likeliest, found) = match image_files::whole(caps, at)? {
            Some(image) => {
                let regions = matches!(mode, ModeOptions::Roi { .. }).then(|| image.prefix.of_regions());
                let prefixes = [vec![image.prefix], regions.into_iter().collect()].concat();
                (prefixes.last().cloned(), image_files::named(&prefixes, &files)?)
            }
            None => (None, image_files::find(caps, at, &files)?),
        };
        Ok(match found {
            Some(found) => ItemNames { prefix: found.prefix, index: found.index },
            None => ItemNames { prefix: likeliest.unwrap_or_else(|| caps.prefix(at, Names::default())), index: 0 },
        })
    }

    /// The file of item `item`; None if items of this mode are never extracted.
    pub fn path(
        &self,
        caps: &Caps,
        mode: &ModeOptions,
        geometry: &Geometry,
        at: CapsSession<'_>,
        item: usize,
    ) -> Option<PathBuf> {
        files(caps, mode, geometry, at, item).get(self.index).map(|file| file.of(&self.prefix))
    }
}

/// Where item `item` of an image may lie, the likeliest file first; nowhere if items of this mode are never extracted.
fn files(caps: &Caps, mode: &ModeOptions, geometry: &Geometry, at: CapsSession<'_>, item: usize) -> Vec<ImageFile> {
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
