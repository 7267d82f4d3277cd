//! One job against its data: what it cannot train on, and with it how wide its network's last layers are.

use super::data::{Asked, Facts, Flaw, Look};
use super::fault::JobFault;
use super::{extracted_tensors, transfer_source};
use crate::domain::data::extract;
use crate::domain::data::item_geometry::{Geometry, Window};
use crate::domain::device::Device;
use crate::domain::mode::ModeOptions;
use crate::domain::network::architecture::Architecture;
use crate::domain::network::footprint::{Footprint, Loading};
use crate::domain::options::JobOptions;
use crate::domain::text::fault::Fault;
use crate::domain::text::units::dimensions;
use crate::domain::words::{NetworkType, Normalization};
use crate::store::data::caps::Caps;
use crate::store::data::image_files;
use crate::store::formats::nifti;
use crate::store::fs::error::StoreError;
use std::path::PathBuf;
use std::sync::Arc;

/// The masks of a list of regions: their bounding boxes, or the flaw of the first that cannot be used.
type Boxes = Result<Vec<Window>, Flaw>;

/// What was read of the data, or every flaw of them.
type FactsOrFlaws = Result<Arc<Facts>, Vec<Flaw>>;

/// Checks jobs, and remembers what it read of the data, so that many jobs of one search read them once.
#[derive(Debug, Default)]
pub struct Checker {
    look: Look,
    data: Vec<(Asked, FactsOrFlaws)>,
    masks: Vec<(Vec<PathBuf>, Boxes)>,
}

impl Checker {
    /// A checker that looks at every image, not only the first.
    pub fn thorough() -> Self {
        Checker { look: Look::Every, ..Checker::default() }
    }

    /// As [`super::job()`].
    pub fn job(&mut self, options: &JobOptions) -> Result<JobOptions, JobFault> {
        self.weighed(options).map(|(options, _)| options)
    }

    /// As [`super::weighed()`].
    pub fn weighed(&mut self, options: &JobOptions) -> Result<(JobOptions, Footprint), JobFault> {
        options.check_together()?;
        let facts = self.facts(options).map_err(|flaws| first(&flaws))?;
        check_classes(options, &facts)?;
        let boxes = self.boxes(options, facts.volume)?;
        let geometry = Geometry::new(&options.mode, options.preprocessing, facts.volume, &boxes)?;
        transfer_source::check(options, geometry.items())?;
        if geometry.items() == 1 && options.network_type == NetworkType::MultiCnn {
            return Err(JobFault::options("network_type", "found \"multicnn\" with a single item an image; use cnn"));
        }
        if !geometry.is_uniform() && options.network_type != NetworkType::MultiCnn {
            let sentence =
                format!("the regions have different sizes, which one {} cannot take; use multicnn", options.network_type);
            return Err(JobFault::options("roi_list", sentence));
        }
        extracted_tensors::check(options, &facts, &geometry)?;
        let architectures = architectures(options, &geometry)?;
        check_batches(options, &facts, &geometry, &architectures)?;
        let mut resolved = options.clone();
        resolved.fc = match architectures.first() {
            Some(architecture) if geometry.is_uniform() && !architecture.fc.is_empty() => Some(architecture.fc.clone()),
            _ => None,
        };
        Ok((resolved, footprint(options, &facts, &geometry, &architectures)))
    }

    /// What is no fault of the data that were looked at, and may be a mistake; each once.
    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices: Vec<String> = Vec::new();
        for notice in self.data.iter().filter_map(|(_, facts)| facts.as_ref().ok()).flat_map(|facts| &facts.notices) {
            if !notices.contains(notice) {
                notices.push(notice.clone());
            }
        }
        notices
    }

    /// The data of the job.
    pub(super) fn facts(&mut self, options: &JobOptions) -> FactsOrFlaws {
        let asked = Asked::of(options);
        if let Some((_, known)) = self.data.iter().find(|(known, _)| *known == asked) {
            return known.clone();
        }
        let read = Facts::read(options, self.look).map(Arc::new);
        self.data.push((asked, read.clone()));
        read
    }

    /// The bounding boxes of the job's masks, in the order of `roi_list`; none for other modes and the default regions.
    ///
    /// # Errors
    /// Names the mask: not there, of another size than the images, or empty.
    pub(super) fn boxes(&mut self, options: &JobOptions, volume: [usize; 3]) -> Boxes {
        let ModeOptions::Roi { roi_list: Some(names), .. } = &options.mode else { return Ok(Vec::new()) };
        let caps = Caps::new(&options.caps_dir, options.preprocessing);
        let paths: Result<Vec<PathBuf>, StoreError> = names.iter().map(|name| image_files::mask(&caps, name)).collect();
        let paths = paths.map_err(|error| Flaw::unread("roi_list", &error))?;
        if let Some((_, known)) = self.masks.iter().find(|(known, _)| *known == paths) {
            return known.clone();
        }
        let boxes: Boxes = paths
            .iter()
            .map(|path| {
                let unread = |error| Flaw::missing("roi_list", &error, "put the mask there, or take its region out of the list");
                let mask = nifti::read(path).map_err(unread)?;
                let flaw = |clause: String| Flaw::new("roi_list", format!("{} {clause}", path.display()));
                if mask.shape != volume {
                    return Err(flaw(format!("has the size {}, and the images {}", dimensions(mask.shape), dimensions(volume))));
                }
                extract::mask_box(&mask.voxels, mask.shape).map_err(flaw)
            })
            .collect();
        self.masks.push((paths, boxes.clone()));
        boxes
    }
}

fn first(flaws: &[Flaw]) -> JobFault {
    // What may pass comes first: what else seems to be wrong may be wrong because of it.
    match flaws.iter().find(|flaw| flaw.passing).or(flaws.first()) {
        Some(flaw) => flaw.clone().into(),
        None => JobFault::data("caps_dir", "the data cannot be used"),
    }
}

/// A network that classifies needs both classes on both sides of every fold.
fn check_classes(options: &JobOptions, facts: &Facts) -> Result<(), JobFault> {
    for (fold, labels) in &facts.folds {
        for (side, rows) in [("training", &labels.train), ("validation", &labels.validation)] {
            let empty = (0..2).find(|&class| rows.iter().all(|row| row.class != class));
            let sentence = match empty {
                _ if rows.is_empty() => format!("the {side} set of fold {fold} is empty"),
                Some(class) if options.network_type != NetworkType::Autoencoder => {
                    let labels = if class == 0 { "CN, sMCI" } else { "AD, BV, MCI, pMCI" };
                    format!("class {class} ({labels}) has no image in the {side} set of fold {fold}")
                }
                _ => continue,
            };
            return Err(JobFault::data("tsv_path", sentence));
        }
    }
    Ok(())
}

/// The network of the job, or those of a multicnn whose regions differ in size: one for each shape that occurs.
fn architectures(options: &JobOptions, geometry: &Geometry) -> Result<Vec<Architecture>, Fault> {
    let shapes = if geometry.is_uniform() { 1 } else { geometry.items() };
    (0..shapes).map(|item| options.architecture(&geometry.shape(item))).collect()
}

/// The largest network's, with the largest batch that comes to it: the networks of a multicnn are trained one by one.
fn footprint(options: &JobOptions, facts: &Facts, geometry: &Geometry, networks: &[Architecture]) -> Footprint {
    let each = if options.network_type == NetworkType::MultiCnn { 1 } else { geometry.items() };
    let items = facts.folds.iter().map(|(_, labels)| labels.train.len().saturating_mul(each)).max().unwrap_or(1);
    let batch = options.batch_size.min(items);
    let weighed = networks.iter().map(|network| {
        // Both sets are evaluated after each epoch.
        let epoch = facts.folds.iter().map(|(_, labels)| 2 * labels.train.len() + labels.validation.len()).max().unwrap_or(1);
        let loading = Loading {
            item: network.input.iter().product(),
            volume: facts.volume.iter().product(),
            items: epoch.saturating_mul(each),
            workers: options.nproc,
        };
        Footprint::loading(network, options.network_type, batch, &loading)
    });
    weighed.max_by_key(|footprint| footprint.on(Device::Cpu.as_str())).unwrap_or_default()
}

/// What the number of items in a batch and of batches in an epoch must allow: a step, and statistics over more than one value.
fn check_batches(options: &JobOptions, facts: &Facts, geometry: &Geometry, networks: &[Architecture]) -> Result<(), JobFault> {
    let each = if options.network_type == NetworkType::MultiCnn { 1 } else { geometry.items() };
    let normalizes_one = options.network_normalization == Some(Normalization::Batch)
        && networks.iter().any(|network| network.fewest_normalized() == Some(1));
    for (fold, labels) in &facts.folds {
        let items = labels.train.len() * each;
        let batches = items.div_ceil(options.batch_size);
        if options.accumulation_steps > batches {
            let found = options.accumulation_steps;
            let sentence =
                format!("found {found}, allowed: at most {batches}, the batches of an epoch of fold {fold}; else it has no step");
            return Err(JobFault::options("accumulation_steps", sentence));
        }
        if normalizes_one && (options.batch_size == 1 || items % options.batch_size == 1) {
            let sentence = format!(
                "the last batch of fold {fold} has one of its {items} items, and BatchNorm over one value cannot train: \
                 use another batch_size, fewer blocks, or no normalisation"
            );
            return Err(JobFault::options("batch_size", sentence));
        }
    }
    Ok(())
}
