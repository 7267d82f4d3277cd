//! The search space of a `random_search.json`: every variable with the values it may take, and every fault of the file at once.

pub mod draw;
pub mod json_schema;

use super::folds::Folds;
use super::input::keys::{self, Key};
use super::input::object_reader::{Reader, Span};
use super::input::positioned_json;
use super::mode::ModeOptions;
use super::options::check_together;
use super::text::fault::{Fault, Faults, TextPosition};
use super::words::{Augmentation, Diagnosis, Mode, NetworkType, Normalization, Preprocessing, Reduction, SamplerKind, Selection};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Component, Path, PathBuf};

/// Every table of keys that a `random_search.json` may use.
pub const TABLES: &[&[Key]] = &[keys::SHARED, keys::SPACE, keys::SETTLED];

/// The search itself, from the key `neurosearch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    pub n_jobs: Option<u64>,
    pub seed: Option<u64>,
    pub job_prefix: String,
}

/// What each variable may be: a list to choose from, a [`Span`] to draw from, or the value itself. Paths are absolute.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    pub mode: Vec<Mode>,
    pub network_type: Vec<NetworkType>,
    pub caps_dir: PathBuf,
    pub tsv_path: PathBuf,
    pub preprocessing: Vec<Preprocessing>,
    pub diagnoses: Vec<Diagnosis>,
    pub epochs: u32,
    pub n_convblocks: Span<u64>,
    pub first_conv_width: Vec<usize>,
    pub n_fcblocks: Span<u64>,
    pub channels_limit: usize,
    pub d_reduction: Vec<Reduction>,
    pub n_conv: Span<u64>,
    pub network_normalization: Vec<Option<Normalization>>,
    pub batch_size: usize,
    pub nproc: usize,
    pub use_cpu: bool,
    pub evaluation_steps: usize,
    pub baseline: Vec<bool>,
    pub unnormalize: Vec<bool>,
    pub data_augmentation: Vec<Augmentation>,
    pub sampler: Vec<SamplerKind>,
    pub n_splits: Option<u32>,
    pub split: Option<Vec<u32>>,
    /// What `n_splits` and `split` say together.
    pub folds: Folds,
    /// x of 10^-x.
    pub learning_rate: Span<f64>,
    pub wd_bool: Vec<bool>,
    /// x of 10^-x.
    pub weight_decay: Span<f64>,
    pub dropout: Span<f64>,
    pub patience: u32,
    pub tolerance: f64,
    pub accumulation_steps: Span<u64>,
    pub transfer_learning_path: Vec<Option<PathBuf>>,
    pub transfer_learning_selection: Vec<Selection>,
    pub patch_size: Span<u64>,
    pub stride_size: Span<u64>,
    pub use_extracted_patches: bool,
    pub roi_list: Option<Vec<String>>,
    pub uncropped_roi: bool,
    pub use_extracted_roi: bool,
    pub discarded_slices: [usize; 2],
    pub slice_direction: Vec<usize>,
    pub use_extracted_slices: bool,
    pub selection_threshold: Option<Span<f64>>,
    pub own: Own,
    pub origin: Origin,
}

/// The file that a space was read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// As the user named it.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// Where the value of each key in it stands.
    places: Vec<(String, TextPosition)>,
}

impl Origin {
    fn new(reader: &Reader, text: &str, file: &str) -> Self {
        let sha256 = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Origin { file: file.to_string(), sha256, places: reader.places() }
    }

    /// A fault of `key` found only later, when the data was looked at, at the key's place.
    pub fn fault(&self, key: &str, sentence: impl Into<String>) -> Fault {
        let place = self.places.iter().find(|(name, _)| name == key).map(|(_, place)| *place);
        Fault { place, ..Fault::new(key, sentence) }
    }
}

/// A search space that can be drawn from, and what its author should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    pub space: SearchSpace,
    /// The file's own JSON.
    pub json: serde_json::Value,
    pub notices: Vec<Fault>,
}

/// Options that the reference takes on its command line; one that is given wins over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flags {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_cpu: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nproc: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_splits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<u32>>,
}

impl Flags {
    pub const NONE: Flags =
        Flags { use_cpu: false, nproc: None, batch_size: None, evaluation_steps: None, n_splits: None, split: None };

    /// Whether the file alone counts.
    pub fn is_none(&self) -> bool {
        *self == Flags::NONE
    }
}

impl SearchSpace {
    /// The space in `text`.
    ///
    /// `file` is named in every fault; relative paths are relative to `base`, the launch directory, which is absolute.
    ///
    /// # Errors
    /// All faults at once, in the order of their places; of broken JSON the first one.
    pub fn parse(text: &str, file: &str, base: &Path) -> Result<Parsed, Faults> {
        let document = positioned_json::parse(text).map_err(|fault| Faults { file: file.to_string(), faults: vec![fault] })?;
        let mut reader = Reader::new(&document.root, base);
        reader.faults.extend(document.duplicates.iter().cloned());
        reader.refuse_unknown(TABLES);
        for key in keys::SETTLED {
            reader.settled(key);
        }
        let notices = reader.default_notices();
        let mut space = read(&mut reader);
        space.origin = Origin::new(&reader, text, file);
        match Folds::of(space.n_splits, space.split.clone()) {
            Ok(folds) => space.folds = folds,
            Err(_) if reader.is_faulty(&keys::N_SPLITS) || reader.is_faulty(&keys::SPLIT) => {}
            Err(fault) => reader.fault(&keys::SPLIT, fault.sentence),
        }
        if reader.faults.is_empty()
            && let Err(fault) = space.some_combination()
        {
            reader.faults.push(space.origin.fault(&fault.key, fault.sentence));
        }
        reader.finish(file)?;
        Ok(Parsed { space, json: document.root.to_value(), notices })
    }

    /// The space with paths that do not go down into the launch directory `base` and up again, as `../caps` does. `real` is
    /// where that directory lies when every link on its way is followed, since the parent is that of the real one.
    #[must_use]
    pub fn without_detours(mut self, base: &Path, real: &Path) -> Self {
        let sources = self.transfer_learning_path.iter_mut().flatten();
        for path in [&mut self.caps_dir, &mut self.tsv_path].into_iter().chain(sources) {
            let Ok(below) = path.strip_prefix(base) else { continue };
            let up = below.components().take_while(|part| *part == Component::ParentDir).count();
            if up > 0 {
                let from = real.ancestors().nth(up).unwrap_or(Path::new("/"));
                *path = below.components().skip(up).fold(from.to_path_buf(), |path, part| path.join(part));
            }
        }
        self
    }

    /// The space with the flags in force.
    ///
    /// # Errors
    /// A flag's value is not allowed, alone or with the file's.
    pub fn override_with(mut self, flags: &Flags) -> Result<SearchSpace, Fault> {
        self.use_cpu |= flags.use_cpu;
        self.nproc = flag(&keys::NPROC, flags.nproc)?.unwrap_or(self.nproc);
        self.batch_size = flag(&keys::BATCH_SIZE, flags.batch_size)?.unwrap_or(self.batch_size);
        self.evaluation_steps = flag(&keys::EVALUATION_STEPS, flags.evaluation_steps)?.unwrap_or(self.evaluation_steps);
        self.n_splits = flag(&keys::N_SPLITS, flags.n_splits)?.or(self.n_splits);
        if let Some(split) = &flags.split {
            check_flag(&keys::SPLIT, split.clone().into())?;
            self.split = Some(split.clone());
        }
        self.folds = Folds::of(self.n_splits, self.split.clone())?;
        Ok(self)
    }

    /// The options of `mode`, with these values of the variables that are drawn.
    pub fn mode_options(&self, mode: Mode, patch_size: u64, stride_size: u64, slice_direction: usize) -> ModeOptions {
        // Both are bounded far below what a usize holds.
        let voxels = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        match mode {
            Mode::Image => ModeOptions::Image,
            Mode::Patch => ModeOptions::Patch {
                patch_size: voxels(patch_size),
                stride_size: voxels(stride_size),
                use_extracted_patches: self.use_extracted_patches,
            },
            Mode::Roi => ModeOptions::Roi {
                roi_list: self.roi_list.clone(),
                uncropped_roi: self.uncropped_roi,
                use_extracted_roi: self.use_extracted_roi,
            },
            Mode::Slice => ModeOptions::Slice {
                slice_direction,
                discarded_slices: self.discarded_slices,
                use_extracted_slices: self.use_extracted_slices,
            },
        }
    }

    /// Whether at least one draw can give options that go together; the first combination's fault where none can.
    fn some_combination(&self) -> Result<(), Fault> {
        let mut first = Ok(());
        for &mode in &self.mode {
            let options = self.mode_options(mode, self.patch_size.low, self.stride_size.low, 0);
            for &network_type in &self.network_type {
                for &preprocessing in &self.preprocessing {
                    match check_together(network_type, &options, preprocessing, &self.diagnoses) {
                        Ok(()) => return Ok(()),
                        Err(fault) => first = first.and(Err(fault)),
                    }
                }
            }
        }
        first
    }
}

fn flag<T: Copy + Into<serde_json::Value>>(key: &Key, value: Option<T>) -> Result<Option<T>, Fault> {
    if let Some(value) = value {
        check_flag(key, value.into())?;
    }
    Ok(value)
}

/// Holds a flag's value against the bounds of its key.
fn check_flag(key: &Key, value: serde_json::Value) -> Result<(), Fault> {
    let text = value.to_string();
    let document = positioned_json::parse(&text)?;
    if key.kind.holds(&document.root) {
        return Ok(());
    }
    Err(Fault::new(key.name, format!("found --{} {text}, allowed: {}", key.name, key.kind.allowed())))
}

fn read(r: &mut Reader) -> SearchSpace {
    let transfer: Vec<Option<String>> = r.choice(&keys::TRANSFER_PATH);
    SearchSpace {
        mode: r.choice(&keys::MODE),
        network_type: r.choice(&keys::NETWORK_TYPE),
        caps_dir: r.path(&keys::CAPS_DIR),
        tsv_path: r.path(&keys::TSV_PATH),
        preprocessing: r.choice(&keys::PREPROCESSING),
        diagnoses: r.fixed(&keys::DIAGNOSES),
        epochs: r.fixed(&keys::EPOCHS),
        n_convblocks: r.span(&keys::N_CONVBLOCKS).unwrap_or_default(),
        first_conv_width: r.choice(&keys::FIRST_CONV_WIDTH),
        n_fcblocks: r.span(&keys::N_FCBLOCKS).unwrap_or_default(),
        channels_limit: r.fixed(&keys::CHANNELS_LIMIT),
        d_reduction: r.choice(&keys::D_REDUCTION),
        n_conv: r.span(&keys::N_CONV).unwrap_or_default(),
        network_normalization: r.choice(&keys::NETWORK_NORMALIZATION),
        batch_size: r.fixed(&keys::BATCH_SIZE),
        nproc: r.fixed(&keys::NPROC),
        use_cpu: r.fixed(&keys::USE_CPU),
        evaluation_steps: r.fixed(&keys::EVALUATION_STEPS),
        baseline: r.choice(&keys::BASELINE),
        unnormalize: r.choice(&keys::UNNORMALIZE),
        data_augmentation: r.fixed(&keys::DATA_AUGMENTATION),
        sampler: r.choice(&keys::SAMPLER),
        n_splits: r.optional(&keys::N_SPLITS),
        split: r.optional(&keys::SPLIT),
        folds: Folds::Single,
        learning_rate: r.span(&keys::LEARNING_RATE).unwrap_or_default(),
        wd_bool: r.choice(&keys::WD_BOOL),
        weight_decay: r.span(&keys::WEIGHT_DECAY).unwrap_or_default(),
        dropout: r.span(&keys::DROPOUT).unwrap_or_default(),
        patience: r.fixed(&keys::PATIENCE),
        tolerance: r.fixed(&keys::TOLERANCE),
        accumulation_steps: r.span(&keys::ACCUMULATION_STEPS).unwrap_or_default(),
        transfer_learning_path: transfer.into_iter().map(|path| path.map(|path| r.absolute(&path))).collect(),
        transfer_learning_selection: r.choice(&keys::TRANSFER_SELECTION),
        patch_size: r.span(&keys::PATCH_SIZE).unwrap_or_default(),
        stride_size: r.span(&keys::STRIDE_SIZE).unwrap_or_default(),
        use_extracted_patches: r.fixed(&keys::USE_EXTRACTED_PATCHES),
        roi_list: r.optional(&keys::ROI_LIST),
        uncropped_roi: r.fixed(&keys::UNCROPPED_ROI),
        use_extracted_roi: r.fixed(&keys::USE_EXTRACTED_ROI),
        discarded_slices: r.fixed(&keys::DISCARDED_SLICES),
        slice_direction: r.choice(&keys::SLICE_DIRECTION),
        use_extracted_slices: r.fixed(&keys::USE_EXTRACTED_SLICES),
        selection_threshold: r.span(&keys::SELECTION_THRESHOLD),
        own: own(r),
        origin: Origin::default(),
    }
}

fn own(reader: &mut Reader) -> Own {
    let absent = positioned_json::JsonNode {
        place: TextPosition { line: 1, column: 1 },
        value: positioned_json::Json::Object(Vec::new()),
    };
    let node = reader.raw(&keys::NEUROSEARCH).filter(|node| !node.is_null()).unwrap_or(&absent);
    let mut inner = Reader::new(node, Path::new("/"));
    inner.refuse_unknown(&[keys::OWN]);
    let own = Own {
        n_jobs: inner.optional(&keys::OWN_N_JOBS),
        seed: inner.optional(&keys::OWN_SEED),
        job_prefix: inner.fixed(&keys::OWN_JOB_PREFIX),
    };
    let faults = inner.faults;
    reader.absorb(faults, keys::NEUROSEARCH.name);
    own
}

#[cfg(test)]
mod tests;
