//! Images, tensors, extracted items and masks of a synthetic CAPS.

use super::labels::{Participant, session};
use super::volume as synthetic;
use super::volume::{STEPS, Subject};
use crate::domain::data::extract;
use crate::domain::data::item_geometry::{Geometry, SLICE_CHANNELS, Window};
use crate::domain::mode::ModeOptions;
use crate::domain::text::fault::Fault;
use crate::domain::words::Preprocessing;
use crate::store::data::caps::{Caps, CapsSession, ImagePrefix, Names, SliceChannel};
use crate::store::formats::torch_tensor::Tensor;
use crate::store::formats::torch_value::Value;
use crate::store::formats::{nifti, torch_file};
use crate::store::fs::error::StoreError;
use std::fs;
use std::path::{Path, PathBuf};

/// The regions with a mask: the right hippocampus, the left one, and both, whose box is larger.
pub const REGIONS: [(&str, &[usize]); 3] = [("right", &[0]), ("left", &[1]), ("both", &[0, 1])];

/// What is written of each image.
#[derive(Debug, Clone)]
pub struct Plan {
    pub caps: Caps,
    pub names: Names,
    pub shape: [usize; 3],
    pub seed: u64,
    pub sessions: u64,
    /// From 0, a clear difference between the classes, to 1, none at all.
    pub difficulty: f64,
    pub tensor: bool,
    /// Sizes and strides of extracted patches.
    pub patches: Option<(usize, usize)>,
    pub slices: bool,
    /// Extracted regions, each with its mask.
    pub regions: Vec<(&'static str, Vec<f32>)>,
}

impl Plan {
    /// Checks that what is asked for fits the images.
    ///
    /// # Errors
    /// Names the option: a patch larger than the image.
    pub fn check(&self) -> Result<(), Fault> {
        self.patch_windows().map(|_| ())
    }

    fn patch_windows(&self) -> Result<Vec<Window>, Fault> {
        let Some((patch_size, stride_size)) = self.patches else { return Ok(Vec::new()) };
        let mode = ModeOptions::Patch { patch_size, stride_size, use_extracted_patches: false };
        let geometry = Geometry::new(&mode, self.caps.preprocessing(), self.shape, &[])?;
        Ok((0..geometry.items()).map(|item| geometry.window(item)).collect())
    }

    /// Writes all images of one participant.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, participant: &Participant) -> Result<(), StoreError> {
        for index in 0..self.sessions {
            let class = participant.diagnosis.class();
            let (seed, difficulty) = (self.seed, self.difficulty);
            let subject = Subject { seed, index: participant.index, session: index, class, difficulty };
            let mut voxels = synthetic::voxels(self.shape, subject);
            if self.caps.preprocessing() == Preprocessing::T1Volume {
                // Probabilities.
                voxels.iter_mut().for_each(|voxel| *voxel /= STEPS);
            }
            self.write_image(CapsSession { participant: &participant.name, session: &session(index, self.names) }, &voxels)?;
        }
        Ok(())
    }

    fn write_image(&self, at: CapsSession<'_>, voxels: &[f32]) -> Result<(), StoreError> {
        let [x, y, z] = self.shape;
        let prefix = self.caps.prefix(at, self.names);
        if let Some(file) = self.caps.nifti(at).first() {
            nifti::write_f32(&with_folder(file.of(&prefix))?, self.shape, voxels)?;
        }
        if self.tensor {
            write_tensor(self.caps.tensor(at).of(&prefix), &[1, x, y, z], voxels.to_vec())?;
        }
        if let Some((size, stride)) = self.patches {
            let refuse = |fault: Fault| StoreError::content(self.caps.root(), fault.to_string());
            for (item, window) in self.patch_windows().map_err(refuse)?.into_iter().enumerate() {
                self.write_cut(self.caps.patch(at, size, stride, item).of(&prefix), voxels, window)?;
            }
        }
        if self.slices {
            self.write_slices(at, &prefix, voxels)?;
        }
        for (name, mask) in &self.regions {
            let masked: Vec<f32> = voxels.iter().zip(mask).map(|(voxel, weight)| voxel * weight).collect();
            if let Some(window) = extract::bounding_box(mask, self.shape) {
                self.write_cut(self.caps.roi(at, name, false).of(&prefix), &masked, window)?;
            }
            self.write_cut(self.caps.roi(at, name, true).of(&prefix), &masked, Window::whole(self.shape))?;
        }
        Ok(())
    }

    fn write_cut(&self, path: PathBuf, voxels: &[f32], window: Window) -> Result<(), StoreError> {
        let mut values = Vec::new();
        extract::cut(voxels, self.shape, window, &mut values);
        let [x, y, z] = window.size;
        write_tensor(path, &[1, x, y, z], values)
    }

    /// Every slice along every axis, in three equal channels.
    fn write_slices(&self, at: CapsSession<'_>, prefix: &ImagePrefix, voxels: &[f32]) -> Result<(), StoreError> {
        for axis in 0..3 {
            for index in 0..self.shape[axis] {
                let mut window = Window::whole(self.shape);
                window.start[axis] = index;
                window.size[axis] = 1;
                let mut values = Vec::new();
                extract::cut(voxels, self.shape, window, &mut values);
                let sides: Vec<usize> = (0..3).filter(|other| *other != axis).map(|other| self.shape[other]).collect();
                let shape = [SLICE_CHANNELS, sides[0], sides[1]];
                let file = self.caps.slice(at, axis, SliceChannel::Rgb, index);
                write_tensor(file.of(prefix), &shape, values.repeat(SLICE_CHANNELS))?;
            }
        }
        Ok(())
    }
}

/// The masks of [`REGIONS`], written into the CAPS.
pub fn write_masks(caps: &Caps, names: Names, shape: [usize; 3]) -> Result<(), StoreError> {
    for (name, which) in REGIONS {
        nifti::write_f32(&with_folder(caps.mask(name, names))?, shape, &synthetic::mask(shape, which))?;
    }
    Ok(())
}

fn write_tensor(path: PathBuf, shape: &[usize], values: Vec<f32>) -> Result<(), StoreError> {
    let path = with_folder(path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    torch_file::write(&path, &name, &Value::Tensor(Tensor::f32(shape, values)))
}

/// The path, once its folder is there.
fn with_folder(path: PathBuf) -> Result<PathBuf, StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|e| StoreError::io("make", folder, e))?;
    Ok(path)
}
