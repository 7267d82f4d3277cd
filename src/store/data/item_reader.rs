//! From a row of the labels to an item's values: read, cut, normalised, resized; everything but augmentation.

use super::caps::Caps;
use super::extracted_items::ItemNames;
use super::labels::LabelRow;
use super::volumes::{Fetched, Keeping, Volume, Volumes};
use crate::domain::data::extract;
use crate::domain::data::item_geometry::{Geometry, SLICE_CHANNELS, SLICE_SIDE, Window};
use crate::domain::data::resize::Resize;
use crate::domain::mode::ModeOptions;
use crate::domain::options::JobOptions;
use crate::domain::text::fault::Fault;
use crate::domain::text::units::dimensions;
use crate::domain::words::Preprocessing;
use crate::store::fs::error::StoreError;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Reads items of one job's data set. Any number of threads may share it.
#[derive(Debug)]
pub struct ItemReader {
    volumes: Volumes,
    mode: ModeOptions,
    geometry: Geometry,
    /// One for each region of `roi_list`.
    masks: Vec<Volume>,
    /// For slices: to squares of 224 pixels.
    resize: Option<Resize>,
    unnormalize: bool,
    /// Of the extracted items, by participant and session.
    item_names: Mutex<HashMap<(String, String), ItemNames>>,
}

impl ItemReader {
    /// The reader of a job's items; sizes are those of the image of `first`. See [`Volumes::open`] for `keeping`.
    ///
    /// # Errors
    /// Names the file or the option at fault: a missing image or mask, a mask of another size or empty, items that do not fit.
    pub fn open(options: &JobOptions, first: &LabelRow, keeping: &Keeping) -> Result<ItemReader, StoreError> {
        let volumes = Volumes::open(Caps::new(&options.caps_dir, options.preprocessing), keeping);
        let shape = volumes.shape(first)?;
        let refuse = |fault: Fault| match volumes.source(first) {
            Ok(source) => StoreError::content(&source, fault.to_string()),
            Err(error) => error,
        };
        if options.mode.use_extracted() && options.preprocessing != Preprocessing::T1Linear {
            let sentence = format!("extracted items exist for t1-linear only, not for {}", options.preprocessing);
            return Err(refuse(Fault::new("preprocessing", sentence)));
        }
        let (masks, boxes) = masks(&volumes, &options.mode, shape)?;
        let geometry = Geometry::new(&options.mode, options.preprocessing, shape, &boxes).map_err(refuse)?;
        let resize = geometry.slice_sides().map(|[rows, columns]| Resize::new(rows, columns, SLICE_SIDE));
        let (mode, unnormalize) = (options.mode.clone(), options.unnormalize);
        Ok(ItemReader { volumes, mode, geometry, masks, resize, unnormalize, item_names: Mutex::default() })
    }

    /// How often an image was fetched so far, and from where.
    pub fn fetched(&self) -> Fetched {
        self.volumes.fetched()
    }

    /// How volumes become items here.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Number of items of each image.
    pub fn items_per_image(&self) -> usize {
        self.geometry.items()
    }

    /// Shape of item `item` as the network takes it: channels, then two or three sizes.
    pub fn shape(&self, item: usize) -> Vec<usize> {
        self.geometry.shape(item)
    }

    /// Whether the image can be read as the job needs it, without decoding it: there, whole as far as its header tells, and of
    /// the first image's size.
    ///
    /// # Errors
    /// Names the file.
    pub fn look(&self, row: &LabelRow) -> Result<(), StoreError> {
        let shape = self.volumes.shape(row)?;
        self.expect_size(shape, || self.volumes.source(row))
    }

    /// Replaces `out` by the values of item `item`, below [`ItemReader::items_per_image`], of the image of `row`, in C order.
    ///
    /// # Errors
    /// Names the file: missing, damaged, of another size, with values that are not finite, or, for slices with `unnormalize`,
    /// outside [0, 1].
    pub fn read(&self, row: &LabelRow, item: usize, out: &mut Vec<f32>) -> Result<(), StoreError> {
        let source = match self.extracted(row, item)? {
            Some(path) => self.read_extracted(path, item, out)?,
            None => self.cut(row, item, out)?,
        };
        let not_finite = || StoreError::content(&source, format!("item {item} holds values that are not finite"));
        if self.unnormalize {
            let (low, high) = extract::range(out);
            if !(low.is_finite() && high.is_finite()) {
                return Err(not_finite());
            }
            if self.resize.is_some() && !(low >= 0.0 && high <= 1.0) {
                let sentence = format!("slice {item} has values from {low} to {high}; with unnormalize they lie in [0, 1]");
                return Err(StoreError::content(&source, sentence));
            }
        } else {
            extract::normalise(out).map_err(|_| not_finite())?;
        }
        if let Some(resize) = &self.resize {
            resize_channels(resize, out);
        }
        Ok(())
    }

    /// Cuts the item from the whole image; gives the file it came from.
    fn cut(&self, row: &LabelRow, item: usize, out: &mut Vec<f32>) -> Result<PathBuf, StoreError> {
        let volume = self.volumes.get(row)?;
        let (shape, window) = (volume.shape(), self.geometry.window(item));
        self.expect_size(shape, || Ok(volume.source().to_path_buf()))?;
        if volume.is_blank() {
            let value = volume.voxels().first().copied().unwrap_or_default();
            let sentence =
                format!("shows nothing: every voxel is {value} or, where that is 0, NaN; make it anew, or take its row out");
            return Err(StoreError::content(volume.source(), sentence));
        }
        match self.masks.get(item) {
            Some(mask) => extract::cut_masked(volume.voxels(), mask.voxels(), shape, window, out),
            None => extract::cut(volume.voxels(), shape, window, out),
        }
        Ok(volume.source().to_path_buf())
    }

    fn expect_size(&self, shape: [usize; 3], source: impl Fn() -> Result<PathBuf, StoreError>) -> Result<(), StoreError> {
        let expected = self.geometry.volume();
        if shape == expected {
            return Ok(());
        }
        let sentence = format!(
            "has {} voxels, the first image has {}; all images of a job have one size",
            dimensions(shape),
            dimensions(expected)
        );
        Err(StoreError::content(&source()?, sentence))
    }

    /// The file of an extracted item; None if items are cut from the whole image.
    fn extracted(&self, row: &LabelRow, item: usize) -> Result<Option<PathBuf>, StoreError> {
        if !self.mode.use_extracted() {
            return Ok(None);
        }
        let caps = self.volumes.caps();
        let mut known = self.item_names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = match known.entry((row.participant.clone(), row.session.clone())) {
            Entry::Occupied(names) => names.into_mut(),
            Entry::Vacant(place) => {
                place.insert(self.volumes.read(|| ItemNames::find(caps, &self.mode, &self.geometry, row.at()))?)
            }
        };
        Ok(names.path(caps, &self.mode, &self.geometry, row.at(), item))
    }

    fn read_extracted(&self, path: PathBuf, item: usize, out: &mut Vec<f32>) -> Result<PathBuf, StoreError> {
        let (shape, values) = self.volumes.tensor(&path)?;
        let expected = match self.geometry.slice_sides() {
            // One channel stands for three equal ones.
            Some([rows, columns]) if shape.first() == Some(&1) => vec![1, rows, columns],
            Some([rows, columns]) => vec![SLICE_CHANNELS, rows, columns],
            None => self.geometry.shape(item),
        };
        if shape != expected {
            let sentence =
                format!("a tensor of {}, {} expected for item {item}; extract it again", dimensions(shape), dimensions(expected));
            return Err(StoreError::content(&path, sentence));
        }
        *out = values;
        Ok(path)
    }
}

/// The masks of the listed regions and their bounding boxes, each of the image's size.
fn masks(volumes: &Volumes, mode: &ModeOptions, shape: [usize; 3]) -> Result<(Vec<Volume>, Vec<Window>), StoreError> {
    let ModeOptions::Roi { roi_list: Some(names), .. } = mode else { return Ok((Vec::new(), Vec::new())) };
    let (mut masks, mut boxes) = (Vec::with_capacity(names.len()), Vec::with_capacity(names.len()));
    for name in names {
        let mask = volumes.mask(name)?;
        let refuse = |sentence: String| StoreError::content(mask.source(), sentence);
        if mask.shape() != shape {
            return Err(refuse(format!("a mask of {} voxels for images of {}", dimensions(mask.shape()), dimensions(shape))));
        }
        if let Some(value) = extract::weight(mask.voxels()) {
            tracing::warn!(mask = ?mask.source(), value, "a mask has other values than 0 and 1, and the images are multiplied by them");
        }
        boxes.push(extract::mask_box(mask.voxels(), shape).map_err(refuse)?);
        masks.push(mask);
    }
    Ok((masks, boxes))
}

/// Cuts a slice to 8 bits and resizes it; `values` are one channel, or the three of an extracted tensor, and three come out.
fn resize_channels(resize: &Resize, values: &mut Vec<f32>) {
    const PIXELS: usize = SLICE_SIDE * SLICE_SIDE;
    let input = resize.input_pixels();
    let (mut bytes, mut resized) = (Vec::with_capacity(input), Vec::with_capacity(PIXELS));
    let mut pixels = Vec::with_capacity(SLICE_CHANNELS * PIXELS);
    for (channel, channel_values) in values.chunks_exact(input).enumerate() {
        // The channels of an extracted slice are copies of one, as a rule.
        if channel > 0 && channel_values == &values[..input] {
            pixels.extend_from_within(..PIXELS);
            continue;
        }
        extract::to_bytes(channel_values, &mut bytes);
        resize.apply(&bytes, &mut resized);
        pixels.extend(resized.iter().map(|pixel| f32::from(*pixel) / 255.0));
    }
    while pixels.len() < SLICE_CHANNELS * PIXELS {
        pixels.extend_from_within(..PIXELS);
    }
    *values = pixels;
}

#[cfg(test)]
#[path = "item_reader_tests.rs"]
mod tests;
