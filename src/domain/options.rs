//! A job's options, resolved: what `commandline.json` holds and the trainer obeys.

pub mod read;
pub mod write;

use super::folds::Folds;
use super::mode::ModeOptions;
use super::network::architecture::{Architecture, ConvBlock, FcLayer, NetworkOptions};
use super::text::fault::Fault;
use super::words::{Augmentation, Diagnosis, Mode, NetworkType, Normalization, Preprocessing, SamplerKind, Selection};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Where initial weights come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The source's job folder.
    pub path: PathBuf,
    /// Which best model of a CNN source; an autoencoder source always gives `best_loss`.
    pub selection: Selection,
}

/// Everything that decides a job's training; paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    pub mode: ModeOptions,
    /// Items of balanced accuracy at or under it get no vote; none: no selection.
    pub selection_threshold: Option<f64>,
    pub network_type: NetworkType,
    pub caps_dir: PathBuf,
    pub tsv_path: PathBuf,
    pub preprocessing: Preprocessing,
    pub diagnoses: Vec<Diagnosis>,
    pub baseline: bool,
    pub unnormalize: bool,
    /// In the order in which they are applied; empty for `false`.
    pub data_augmentation: Vec<Augmentation>,
    pub sampler: SamplerKind,
    pub folds: Folds,
    pub epochs: u32,
    pub batch_size: usize,
    /// Data-loading workers; 0 loads in the training thread.
    pub nproc: usize,
    pub use_cpu: bool,
    /// Batches between inner evaluations, a multiple of `accumulation_steps`; 0 for none.
    pub evaluation_steps: usize,
    pub accumulation_steps: usize,
    pub learning_rate: f64,
    pub wd_bool: bool,
    /// 0 where `wd_bool` is false.
    pub weight_decay: f64,
    pub dropout: f64,
    /// 0 disables early stopping.
    pub patience: u32,
    pub tolerance: f64,
    /// The job folder that initial weights come from.
    pub transfer_path: Option<PathBuf>,
    /// Kept and written whether or not there is a source.
    pub transfer_selection: Selection,
    pub network_normalization: Option<Normalization>,
    /// Recorded for the reader; `convolutions` already obeys it.
    pub channels_limit: usize,
    pub convolutions: Vec<ConvBlock>,
    pub n_fcblocks: usize,
    /// None for autoencoders, for regions of unequal size, and before the size of the data is known.
    pub fc: Option<Vec<FcLayer>>,
    /// Seed of every random choice in training; none in a file without one, until it is drawn and recorded.
    pub seed: Option<u64>,
    /// Keys that are not ours, kept as they were read.
    pub unknown: Map<String, Value>,
    /// Those within a block or a layer: an object under its name (`conv0`, `FC0`) for each that has any.
    pub unknown_within: Map<String, Value>,
}

impl JobOptions {
    /// Colour channels of an item: slices stand in three equal ones.
    pub const fn channels(&self) -> usize {
        match self.mode {
            ModeOptions::Slice { .. } => 3,
            _ => 1,
        }
    }

    /// Where initial weights come from, or None if they are drawn.
    pub fn transfer(&self) -> Option<Transfer> {
        self.transfer_path.clone().map(|path| Transfer { path, selection: self.transfer_selection })
    }

    /// The part that shapes the network.
    pub fn network(&self) -> NetworkOptions {
        NetworkOptions {
            network_type: self.network_type,
            normalization: self.network_normalization,
            blocks: self.convolutions.clone(),
            n_fcblocks: self.n_fcblocks,
            fc: self.fc.clone(),
            dropout: self.dropout,
        }
    }

    /// The job's network for items of `item_shape` (channels, then two or three sizes).
    ///
    /// # Errors
    /// As [`Architecture::of`].
    pub fn architecture(&self, item_shape: &[usize]) -> Result<Architecture, Fault> {
        Architecture::of(&self.network(), item_shape)
    }

    /// Whether these options go together, as far as that can be said without looking at any data.
    ///
    /// # Errors
    /// Names a key to change and the others it does not go with.
    pub fn check_together(&self) -> Result<(), Fault> {
        check_together(self.network_type, &self.mode, self.preprocessing, &self.diagnoses)
    }
}

/// The rule behind [`JobOptions::check_together`], for a search space to ask about each combination it allows.
pub fn check_together(
    network_type: NetworkType,
    mode: &ModeOptions,
    preprocessing: Preprocessing,
    diagnoses: &[Diagnosis],
) -> Result<(), Fault> {
    if network_type == NetworkType::MultiCnn && matches!(mode, ModeOptions::Image) {
        return Err(Fault::new(
            "network_type",
            "found \"multicnn\" with mode image, which has a single position; use cnn or another mode",
        ));
    }
    if mode.use_extracted() && preprocessing != Preprocessing::T1Linear {
        let key = format!(
            "use_extracted_{}",
            if mode.mode() == Mode::Patch {
                "patches"
            } else if mode.mode() == Mode::Slice {
                "slices"
            } else {
                "roi"
            }
        );
        return Err(Fault::new(&key, format!("found true with {preprocessing}; extracted tensors are read of t1-linear only")));
    }
    if let ModeOptions::Roi { roi_list: None, uncropped_roi, use_extracted_roi } = mode {
        let (key, sentence) = if *uncropped_roi {
            ("uncropped_roi", "found true without roi_list; the default regions are cubes, always cropped".to_string())
        } else if *use_extracted_roi {
            ("use_extracted_roi", "found true without roi_list; name the extracted regions in roi_list".to_string())
        } else if preprocessing != Preprocessing::T1Linear {
            (
                "roi_list",
                format!("not given with {preprocessing}; the default regions are places of t1-linear, so name masks in roi_list"),
            )
        } else {
            return check_classes(network_type, diagnoses);
        };
        return Err(Fault::new(key, sentence));
    }
    check_classes(network_type, diagnoses)
}

fn check_classes(network_type: NetworkType, diagnoses: &[Diagnosis]) -> Result<(), Fault> {
    let both = (0..2).all(|class| diagnoses.iter().any(|d| d.class() == class));
    if both || network_type == NetworkType::Autoencoder {
        return Ok(());
    }
    let sentence =
        format!("one class only, which a {network_type} cannot learn; CN and sMCI are one class, AD, BV, MCI and pMCI the other");
    Err(Fault::new("diagnoses", sentence))
}
