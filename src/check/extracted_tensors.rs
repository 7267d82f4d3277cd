//! Extracted tensors: every item of every image has to be there.

use super::data::{Facts, Flaw};
use super::fault::JobFault;
use crate::domain::data::item_geometry::Geometry;
use crate::domain::options::JobOptions;
use crate::store::data::caps::Caps;
use crate::store::data::extracted_items::ItemNames;
use crate::store::data::probe;
use crate::store::fs::error::StoreError;

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
        let unread = |error: StoreError| Flaw::unread("caps_dir", &error);
        let names = ItemNames::find(&caps, &options.mode, geometry, row.at()).map_err(unread)?;
        for item in 0..geometry.items() {
            let Some(path) = names.path(&caps, &options.mode, geometry, row.at(), item) else { continue };
            if !probe::is_file(&path).map_err(unread)? {
                let sentence =
                    format!("{} is not there; extract the tensors, or leave them to be cut from the images", path.display());
                return Err(JobFault::data("caps_dir", sentence));
            }
        }
    }
    Ok(())
}
