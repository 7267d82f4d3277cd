//! Extracted tensors: every item of every image has to be there.

use super::data::{Facts, Flaw};
use super::fault::JobFault;
use crate::domain::data::item_geometry::Geometry;
use crate::domain::mode::ModeOptions;
use crate::domain::options::JobOptions;
use crate::store::data::caps::{Caps, CapsSession};
use crate::store::data::probe;
use std::path::PathBuf;

/// Whether every extracted tensor of the job is there, where it uses them.
///
/// # Errors
/// Names the first that is missing, or of which that cannot be known.
pub fn check(options: &JobOptions, facts: &Facts, geometry: &Geometry) -> Result<(), JobFault> {
    if !options.mode.use_extracted() {
        return Ok(());
    }
    let caps = Caps::new(&options.caps_dir, options.preprocessing);
    for row in facts.images() {
        for item in 0..geometry.items() {
            let Some(path) = path(&caps, &options.mode, geometry, row.at(), item) else { continue };
            if !probe::is_file(&path).map_err(|error| Flaw::unread("caps_dir", &error))? {
                let sentence =
                    format!("{} is not there; extract the tensors, or leave them to be cut from the images", path.display());
                return Err(JobFault::data("caps_dir", sentence));
            }
        }
    }
    Ok(())
}

fn path(caps: &Caps, mode: &ModeOptions, geometry: &Geometry, at: CapsSession<'_>, item: usize) -> Option<PathBuf> {
    match mode {
        ModeOptions::Patch { patch_size, stride_size, .. } => Some(caps.patch(at, *patch_size, *stride_size, item)),
        ModeOptions::Slice { slice_direction, .. } => Some(caps.slice(at, *slice_direction, geometry.file_index(item))),
        ModeOptions::Roi { roi_list: Some(names), uncropped_roi, .. } => {
            names.get(item).map(|name| caps.roi(at, name, *uncropped_roi))
        }
        ModeOptions::Roi { roi_list: None, .. } | ModeOptions::Image => None,
    }
}
