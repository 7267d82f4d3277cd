//! The one table of keys: type, sampling, default and bounds of every variable, from which the search space and a job's options are read and the JSON Schema is made.

use super::positioned_json::{Json, JsonNode};
use crate::domain::job::JobName;
use crate::domain::plain_name;
use crate::domain::words::{
    Augmentation, Diagnosis, Mode, NetworkType, Normalization, Preprocessing, Reduction, SamplerKind, Selection,
};
use serde_json::Value;

/// What a single value of a key may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Word(&'static [&'static str]),
    /// One of the words, or null; the reference's "None" is null.
    WordOrNull(&'static [&'static str]),
    /// A whole number, both bounds included.
    Whole {
        least: u64,
        most: u64,
    },
    /// A real number, both bounds included.
    Real {
        least: f64,
        most: f64,
    },
    /// A real number in `[0, 1)`.
    Rate,
    Flag,
    Path,
    PathOrNull,
    /// A folder's or region's name, which becomes part of a path.
    Name,
    /// A name that leaves room for a dash and any index.
    Prefix,
    /// A list of different words, at least one.
    Words(&'static [&'static str]),
    /// A list of words, in which null is "None"; or false.
    WordsOrFalse(&'static [&'static str]),
    /// A list of different whole numbers up to `most`, at least one.
    Wholes {
        most: u64,
    },
    /// A list of different names, at least one.
    Names,
    /// Counts at both ends: `n` or `[n]` for both, `[begin, end]`.
    Ends {
        most: u64,
    },
    /// One of these values, as JSON texts: the reference has an option here, the product a single answer.
    Only(&'static [&'static str]),
    /// An object that has a table of its own.
    Object,
}

/// How a value is drawn where the file gives several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// Taken whole.
    Fixed,
    /// One element of a list, each equally likely.
    Choice,
    /// Real in `[min, max]`.
    Uniform,
    /// x uniform in `[min, max]` gives 10^-x.
    Exponent,
    /// Whole number in `[min, max]`, both included.
    Randint,
}

/// What an absent key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    Mandatory,
    /// As JSON text, read as if it stood in the file.
    By(&'static str),
    Absent,
}

/// One key of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub sampling: Sampling,
    pub default: Fallback,
    /// One sentence for the schema.
    pub about: &'static str,
}

const fn key(name: &'static str, kind: Kind, sampling: Sampling, default: Fallback, about: &'static str) -> Key {
    Key { name, kind, sampling, default, about }
}

const fn whole(least: u64, most: u64) -> Kind {
    Kind::Whole { least, most }
}

use Fallback::{Absent, By, Mandatory};
use Sampling::{Choice, Exponent, Fixed, Randint, Uniform};

/// Widths, sizes and counts stay far below what arithmetic or a folder name could not hold.
const WIDEST: u64 = 1 << 16;
/// The most jobs of a search, too.
pub const MANY: u64 = 1_000_000;
/// Exponents x of 10^-x that stay finite and above 0 as f64.
const EXPONENT: Kind = Kind::Real { least: -300.0, most: 300.0 };

pub const MODE: Key = key("mode", Kind::Word(Mode::WORDS), Choice, Mandatory, "What one item of the data set is.");
pub const NETWORK_TYPE: Key =
    key("network_type", Kind::Word(NetworkType::WORDS), Choice, Mandatory, "What is trained; multicnn never with mode image.");
pub const CAPS_DIR: Key = key("caps_dir", Kind::Path, Fixed, Mandatory, "The CAPS folder with the images.");
pub const TSV_PATH: Key = key("tsv_path", Kind::Path, Fixed, Mandatory, "The folder of the label files.");
pub const PREPROCESSING: Key =
    key("preprocessing", Kind::Word(Preprocessing::WORDS), Choice, Mandatory, "The pipeline whose outputs are read.");
pub const DIAGNOSES: Key = key(
    "diagnoses",
    Kind::Words(Diagnosis::WORDS),
    Fixed,
    By(r#"["AD", "CN"]"#),
    "The labels used for training, a TSV file for each.",
);
pub const EPOCHS: Key = key("epochs", whole(1, MANY), Fixed, By("20"), "The maximum number of epochs.");
pub const N_CONVBLOCKS: Key = key("n_convblocks", whole(1, 64), Randint, Mandatory, "Number of convolutional blocks.");
pub const FIRST_CONV_WIDTH: Key = key(
    "first_conv_width",
    whole(1, WIDEST),
    Choice,
    Mandatory,
    "Output channels of the first block; they double from block to block.",
);
pub const N_FCBLOCKS: Key = key("n_fcblocks", whole(1, 64), Randint, Mandatory, "Number of fully connected layers.");
pub const CHANNELS_LIMIT: Key =
    key("channels_limit", whole(1, WIDEST), Fixed, By("512"), "The most output channels of a block, the first one included.");
pub const D_REDUCTION: Key =
    key("d_reduction", Kind::Word(Reduction::WORDS), Choice, By(r#""MaxPooling""#), "How a block halves its input.");
pub const N_CONV: Key = key("n_conv", whole(1, 64), Randint, By("1"), "Convolutions in a block, drawn anew for each block.");
pub const NETWORK_NORMALIZATION: Key = key(
    "network_normalization",
    Kind::WordOrNull(Normalization::WORDS),
    Choice,
    By(r#""BatchNorm""#),
    "What follows each convolution; null for nothing.",
);
pub const BATCH_SIZE: Key = key("batch_size", whole(1, MANY), Fixed, By("2"), "Items in a batch.");
pub const NPROC: Key = key("nproc", whole(0, 1024), Fixed, By("2"), "Data-loading workers.");
pub const USE_CPU: Key = key("use_cpu", Kind::Flag, Fixed, By("false"), "Train on the CPU; without it a GPU must be there.");
pub const EVALUATION_STEPS: Key = key(
    "evaluation_steps",
    whole(0, 1_000_000_000),
    Fixed,
    By("0"),
    "Batches between evaluations inside an epoch, rounded up to a multiple of accumulation_steps; 0 for none.",
);
pub const BASELINE: Key = key("baseline", Kind::Flag, Choice, By("false"), "Train on the _baseline.tsv files only.");
pub const UNNORMALIZE: Key = key("unnormalize", Kind::Flag, Choice, By("false"), "Leave out the min-max normalisation.");
pub const DATA_AUGMENTATION: Key = key(
    "data_augmentation",
    Kind::WordsOrFalse(Augmentation::WORDS),
    Fixed,
    By("false"),
    "Transforms of the training items, applied in this order.",
);
pub const SAMPLER: Key =
    key("sampler", Kind::Word(SamplerKind::WORDS), Choice, By(r#""random""#), "How an epoch goes through the training set.");
pub const N_SPLITS: Key =
    key("n_splits", whole(0, 10_000), Fixed, Absent, "Number of folds of the label files; 0 or null for one single split.");
pub const SPLIT: Key = key("split", Kind::Wholes { most: 9_999 }, Fixed, Absent, "The folds to train, all of them by default.");
pub const LEARNING_RATE: Key = key("learning_rate", EXPONENT, Exponent, By("4"), "Adam's learning rate, as x of 10^-x.");
pub const WD_BOOL: Key = key("wd_bool", Kind::Flag, Choice, By("true"), "Whether weight_decay is used.");
pub const WEIGHT_DECAY: Key = key("weight_decay", EXPONENT, Exponent, By("4"), "Adam's weight decay, as x of 10^-x.");
pub const DROPOUT: Key = key("dropout", Kind::Rate, Uniform, By("0.0"), "Rate of the dropout before the fully connected layers.");
pub const PATIENCE: Key =
    key("patience", whole(0, 1_000_000_000), Fixed, By("0"), "Epochs without improvement before training stops; 0 for never.");
pub const TOLERANCE: Key = key(
    "tolerance",
    Kind::Real { least: 0.0, most: f64::MAX },
    Fixed,
    By("0.0"),
    "Relative improvement of the loss that counts as one.",
);
pub const ACCUMULATION_STEPS: Key =
    key("accumulation_steps", whole(1, MANY), Randint, By("1"), "Batches whose gradients are summed before a step.");
pub const TRANSFER_PATH: Key = key(
    "transfer_learning_path",
    Kind::PathOrNull,
    Choice,
    By("null"),
    "The job folder whose best model gives the initial weights.",
);
pub const TRANSFER_SELECTION: Key = key(
    "transfer_learning_selection",
    Kind::Word(Selection::WORDS),
    Choice,
    By(r#""best_balanced_accuracy""#),
    "Which best model of a CNN source.",
);
pub const PATCH_SIZE: Key = key("patch_size", whole(1, WIDEST), Randint, By("50"), "Mode patch: edge of a patch in voxels.");
pub const STRIDE_SIZE: Key =
    key("stride_size", whole(1, WIDEST), Randint, By("50"), "Mode patch: voxels from one patch to the next.");
pub const USE_EXTRACTED_PATCHES: Key =
    key("use_extracted_patches", Kind::Flag, Fixed, By("false"), "Mode patch: read extracted tensors instead of whole images.");
pub const ROI_LIST: Key =
    key("roi_list", Kind::Names, Fixed, Absent, "Mode roi: names of the masks; both hippocampi by default.");
pub const UNCROPPED_ROI: Key =
    key("uncropped_roi", Kind::Flag, Fixed, By("false"), "Mode roi: keep the whole image instead of the mask's bounding box.");
pub const USE_EXTRACTED_ROI: Key =
    key("use_extracted_roi", Kind::Flag, Fixed, By("false"), "Mode roi: read extracted tensors instead of whole images.");
pub const DISCARDED_SLICES: Key = key(
    "discarded_slices",
    Kind::Ends { most: WIDEST },
    Fixed,
    By("20"),
    "Mode slice: slices left out, n or [n] at both ends, or [begin, end].",
);
pub const SLICE_DIRECTION: Key =
    key("slice_direction", whole(0, 2), Choice, By("0"), "Mode slice: 0 sagittal, 1 coronal, 2 axial.");
pub const USE_EXTRACTED_SLICES: Key =
    key("use_extracted_slices", Kind::Flag, Fixed, By("false"), "Mode slice: read extracted tensors instead of whole images.");
pub const SELECTION_THRESHOLD: Key = key(
    "selection_threshold",
    Kind::Real { least: 0.0, most: 1.0 },
    Uniform,
    Absent,
    "Modes patch, roi and slice: only items of greater balanced accuracy vote.",
);
pub const NEUROSEARCH: Key =
    key("neurosearch", Kind::Object, Fixed, Absent, "The search itself: how many jobs, its seed, and how they are named.");

/// Options of the reference at which the product knows one value only.
pub const SETTLED: &[Key] = &[
    key("loss", Kind::Only(&[r#""default""#]), Fixed, Absent, "The network type's own loss."),
    key("optimizer", Kind::Only(&[r#""Adam""#]), Fixed, Absent, "Adam."),
    key("multi_cohort", Kind::Only(&["false"]), Fixed, Absent, "One cohort."),
    key("atlas_weight", Kind::Only(&["1"]), Fixed, Absent, "No atlas."),
    key("predict_atlas_intensities", Kind::Only(&[]), Fixed, Absent, "No atlas."),
    key("merged_tsv_path", Kind::Only(&[r#""""#]), Fixed, Absent, "One cohort."),
];

/// Keys of the object `neurosearch`.
pub const OWN_N_JOBS: Key = key("n_jobs", whole(1, MANY), Fixed, Absent, "Number of jobs.");
pub const OWN_SEED: Key =
    key("seed", whole(0, u64::MAX), Fixed, Absent, "The search's seed; drawn and recorded where it is absent.");
pub const OWN_JOB_PREFIX: Key =
    key("job_prefix", Kind::Prefix, Fixed, By(r#""job""#), "Jobs are named by this prefix, a dash and their index.");
pub const OWN: &[Key] = &[OWN_N_JOBS, OWN_SEED, OWN_JOB_PREFIX];

/// Keys that mean the same in a search space and in a job's options, where each has a single value.
pub const SHARED: &[Key] = &[
    MODE,
    NETWORK_TYPE,
    CAPS_DIR,
    TSV_PATH,
    PREPROCESSING,
    DIAGNOSES,
    EPOCHS,
    N_FCBLOCKS,
    CHANNELS_LIMIT,
    NETWORK_NORMALIZATION,
    BATCH_SIZE,
    NPROC,
    USE_CPU,
    EVALUATION_STEPS,
    BASELINE,
    UNNORMALIZE,
    DATA_AUGMENTATION,
    SAMPLER,
    N_SPLITS,
    SPLIT,
    WD_BOOL,
    DROPOUT,
    PATIENCE,
    TOLERANCE,
    ACCUMULATION_STEPS,
    TRANSFER_PATH,
    TRANSFER_SELECTION,
    PATCH_SIZE,
    STRIDE_SIZE,
    USE_EXTRACTED_PATCHES,
    ROI_LIST,
    UNCROPPED_ROI,
    USE_EXTRACTED_ROI,
    DISCARDED_SLICES,
    SLICE_DIRECTION,
    USE_EXTRACTED_SLICES,
    SELECTION_THRESHOLD,
];

/// Keys of a search space beside [`SHARED`] and [`SETTLED`].
pub const SPACE: &[Key] = &[N_CONVBLOCKS, FIRST_CONV_WIDTH, D_REDUCTION, N_CONV, LEARNING_RATE, WEIGHT_DECAY, NEUROSEARCH];

/// Keys of a `commandline.json` beside [`SHARED`] and [`SETTLED`].
pub const LEARNING_RATE_VALUE: Key =
    key("learning_rate", Kind::Real { least: 0.0, most: f64::MAX }, Fixed, By("1e-4"), "Adam's learning rate.");
pub const WEIGHT_DECAY_VALUE: Key =
    key("weight_decay", Kind::Real { least: 0.0, most: f64::MAX }, Fixed, By("1e-4"), "Adam's weight decay.");
pub const CONVOLUTIONS: Key = key("convolutions", Kind::Object, Fixed, Mandatory, "The blocks, conv0 first.");
pub const FC: Key = key("fc", Kind::Object, Fixed, Absent, "The widths of the fully connected layers, FC0 first.");
pub const SEED: Key = key("seed", whole(0, u64::MAX), Fixed, Absent, "The seed of every random choice of the training.");
pub const DISCARDED_SLICED: Key =
    key("discarded_sliced", Kind::Ends { most: WIDEST }, Fixed, Absent, "The reference's second name of discarded_slices.");
pub const VISUALIZATION: Key = key("visualization", Kind::Flag, Fixed, Absent, "Kept for the reference.");
pub const MODEL: Key = key("model", Kind::Only(&[]), Fixed, Absent, "A fixed architecture of the reference.");
pub const COMMANDLINE: &[Key] =
    &[LEARNING_RATE_VALUE, WEIGHT_DECAY_VALUE, CONVOLUTIONS, FC, SEED, DISCARDED_SLICED, VISUALIZATION, MODEL];

impl Kind {
    /// Whether null is a value here, and not the same as leaving the key out.
    pub const fn takes_null(&self) -> bool {
        matches!(self, Kind::WordOrNull(_) | Kind::PathOrNull)
    }

    /// Whether `node` is one value of this kind.
    pub fn holds(&self, node: &JsonNode) -> bool {
        match (self, &node.value) {
            (Kind::Word(words), Json::Text(text)) => words.contains(&text.as_str()),
            (Kind::WordOrNull(words), Json::Text(text)) => text == "None" || words.contains(&text.as_str()),
            (Kind::WordOrNull(_) | Kind::PathOrNull, Json::Null) => true,
            (Kind::Whole { least, most }, Json::Number(number)) => number.as_u64().is_some_and(|n| (*least..=*most).contains(&n)),
            (Kind::Real { least, most }, Json::Number(number)) => number.as_f64().is_some_and(|x| (*least..=*most).contains(&x)),
            (Kind::Rate, Json::Number(number)) => number.as_f64().is_some_and(|x| (0.0..1.0).contains(&x)),
            (Kind::Flag, Json::Bool(_)) | (Kind::Object, Json::Object(_)) | (Kind::WordsOrFalse(_), Json::Bool(false)) => true,
            (Kind::Path | Kind::PathOrNull, Json::Text(text)) => (1..=4096).contains(&text.len()) && !text.contains('\0'),
            (Kind::Name, Json::Text(text)) => JobName::try_from(text.clone()).is_ok(),
            (Kind::Prefix, Json::Text(text)) => JobName::numbered(text, u64::MAX).is_ok(),
            (Kind::Words(words), Json::List(nodes)) => different(nodes) && nodes.iter().all(|n| Kind::Word(words).holds(n)),
            (Kind::WordsOrFalse(words), Json::List(nodes)) => nodes.iter().all(|n| n.is_null() || Kind::Word(words).holds(n)),
            (Kind::Wholes { most }, Json::List(nodes)) => different(nodes) && nodes.iter().all(|n| whole(0, *most).holds(n)),
            (Kind::Names, Json::List(nodes)) => different(nodes) && nodes.iter().all(|n| Kind::Name.holds(n)),
            (Kind::Ends { most }, Json::Number(_)) => whole(0, *most).holds(node),
            (Kind::Ends { most }, Json::List(nodes)) => {
                matches!(nodes.len(), 1 | 2) && nodes.iter().all(|n| whole(0, *most).holds(n))
            }
            (Kind::Only(texts), _) => texts.iter().any(|text| same(text, &node.to_value())),
            _ => false,
        }
    }

    /// What is allowed, as the end of a sentence.
    pub fn allowed(&self) -> String {
        match self {
            Kind::Word(words) => one_of(words),
            Kind::WordOrNull(words) => format!("{} or null", words.join(", ")),
            Kind::Whole { least, most } if *most == u64::MAX => format!("a whole number from {least} to 2^64 - 1"),
            Kind::Whole { least, most } => format!("a whole number from {least} to {most}"),
            Kind::Real { least, most } if *most == f64::MAX => format!("a number of at least {least}"),
            Kind::Real { least, most } => format!("a number from {least} to {most}"),
            Kind::Rate => "a number from 0 up to but not including 1".to_string(),
            Kind::Flag => "true or false".to_string(),
            Kind::Path => "a path".to_string(),
            Kind::PathOrNull => "a path or null".to_string(),
            Kind::Name => format!("a name: {}", plain_name::rule(plain_name::LONGEST)),
            Kind::Prefix => plain_name::rule(JobName::LONGEST_PREFIX),
            Kind::Words(words) => format!("a list of different words of {}", words.join(", ")),
            Kind::WordsOrFalse(words) => format!("false, or a list of {}", words.join(", ")),
            Kind::Wholes { most } => format!("a list of different whole numbers from 0 to {most}"),
            Kind::Names => "a list of different names of letters, digits, '.', '_' and '-'".to_string(),
            Kind::Ends { most } => format!("a whole number n up to {most}, [n], or [begin, end]"),
            Kind::Only(texts) => texts.iter().copied().chain(["null"]).collect::<Vec<_>>().join(" or "),
            Kind::Object => "an object".to_string(),
        }
    }
}

fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.join(", "),
    }
}

/// At least one, and no two the same.
fn different(nodes: &[JsonNode]) -> bool {
    let mut seen: Vec<String> = nodes.iter().map(|n| n.to_value().to_string()).collect();
    seen.sort_unstable();
    !nodes.is_empty() && seen.windows(2).all(|pair| pair[0] != pair[1])
}

/// The value that the JSON text writes; 1 and 1.0 are the same.
fn same(text: &str, value: &Value) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(number)) => value.as_f64() == number.as_f64(),
        Ok(wanted) => wanted == *value,
        Err(_) => false,
    }
}
