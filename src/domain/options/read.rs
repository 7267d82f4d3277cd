//! A job's options out of a `commandline.json`, ours or the reference's: taken literally, nothing is sampled.

use super::JobOptions;
use crate::domain::folds::Folds;
use crate::domain::input::keys::{self, Key, Kind, Sampling};
use crate::domain::input::object_reader::Reader;
use crate::domain::input::positioned_json::{self, Document, Json, JsonEntry, JsonNode};
use crate::domain::mode::ModeOptions;
use crate::domain::network::architecture::{Architecture, ConvBlock, FcLayer, NetworkOptions};
use crate::domain::text::fault::{Fault, Faults};
use crate::domain::words::{Mode, NetworkType, Selection};
use serde_json::Map;
use std::path::Path;

/// Every table of keys that a `commandline.json` may use.
const TABLES: &[&[Key]] = &[keys::SHARED, keys::SETTLED, keys::COMMANDLINE];

const IN_CHANNELS: Key = block_key("in_channels", Kind::Whole { least: 1, most: 1 << 16 }, keys::Fallback::Absent);
const OUT_CHANNELS: Key = block_key("out_channels", Kind::Whole { least: 1, most: 1 << 16 }, keys::Fallback::Mandatory);
const BLOCK_N_CONV: Key = block_key("n_conv", keys::N_CONV.kind, keys::Fallback::Mandatory);
const BLOCK_REDUCTION: Key = block_key("d_reduction", keys::D_REDUCTION.kind, keys::Fallback::Mandatory);
const BLOCK: &[Key] = &[IN_CHANNELS, OUT_CHANNELS, BLOCK_N_CONV, BLOCK_REDUCTION];

const FEATURES: Kind = Kind::Whole { least: 1, most: u64::MAX };
const IN_FEATURES: Key = block_key("in_features", FEATURES, keys::Fallback::Mandatory);
const OUT_FEATURES: Key = block_key("out_features", FEATURES, keys::Fallback::Mandatory);
const LAYER: &[Key] = &[IN_FEATURES, OUT_FEATURES];

const fn block_key(name: &'static str, kind: Kind, default: keys::Fallback) -> Key {
    Key { name, kind, sampling: Sampling::Fixed, default, about: "" }
}

/// What a job's folder says of itself even where the rest of its options is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub mode: Mode,
    pub network_type: NetworkType,
    pub folds: Folds,
}

impl JobOptions {
    /// The options in `text`, with notices of defaults that were taken and of keys that are not known.
    ///
    /// `file` is named in every fault; relative paths are relative to `base`, which is absolute.
    ///
    /// # Errors
    /// All faults at once, in the order of their places.
    pub fn from_json(text: &str, file: &str, base: &Path) -> Result<(JobOptions, Vec<Fault>), Faults> {
        let document = document(text, file)?;
        let mut reader = Reader::new(&document.root, base);
        reader.faults.extend(document.duplicates.iter().cloned());
        let mut notices = reader.default_notices();
        let options = job_options(&mut reader, &mut notices);
        reader.finish(file)?;
        Ok((options, notices))
    }
}

impl Outline {
    /// The outline in `text`; only these keys have to be there and right.
    pub fn from_json(text: &str, file: &str) -> Result<Outline, Faults> {
        let document = document(text, file)?;
        let mut reader = Reader::new(&document.root, Path::new("/"));
        let mode = reader.optional(&keys::MODE).unwrap_or(Mode::Image);
        let network_type = reader.optional(&keys::NETWORK_TYPE).unwrap_or(NetworkType::Cnn);
        let folds = folds(&mut reader);
        reader.finish(file)?;
        Ok(Outline { mode, network_type, folds })
    }
}

impl Architecture {
    /// The architecture that a `commandline.json` describes for items of `item_shape` (channels, then two or three sizes),
    /// from the keys of the network alone: the others may be missing.
    pub fn from_commandline(text: &str, file: &str, item_shape: &[usize]) -> Result<Architecture, Faults> {
        let document = document(text, file)?;
        let mut reader = Reader::new(&document.root, Path::new("/"));
        let network = network(&mut reader, item_shape.first().copied().unwrap_or(1), &mut Unknown::default());
        reader.finish(file)?;
        Architecture::of(&network, item_shape).map_err(|fault| Faults { file: file.to_string(), faults: vec![fault] })
    }
}

fn document(text: &str, file: &str) -> Result<Document, Faults> {
    positioned_json::parse(text).map_err(|fault| Faults { file: file.to_string(), faults: vec![fault] })
}

fn folds(reader: &mut Reader) -> Folds {
    let (n_splits, split) = (reader.optional(&keys::N_SPLITS), reader.optional(&keys::SPLIT));
    if reader.is_faulty(&keys::N_SPLITS) || reader.is_faulty(&keys::SPLIT) {
        return Folds::Single;
    }
    Folds::of(n_splits, split).unwrap_or_else(|fault| {
        reader.fault(&keys::SPLIT, fault.sentence);
        Folds::Single
    })
}

fn job_options(reader: &mut Reader, notices: &mut Vec<Fault>) -> JobOptions {
    if reader.gives(&keys::MODEL) {
        reader.fault(
            &keys::MODEL,
            "a fixed architecture of the reference, which is not supported here; only files with convolutions can be read",
        );
    }
    for key in keys::SETTLED {
        reader.settled(key);
    }
    let mode = mode_options(reader);
    let channels = if mode.mode() == Mode::Slice { 3 } else { 1 };
    let mut within = Unknown::default();
    let network = network(reader, channels, &mut within);
    notices.append(&mut within.notices);
    let wd_bool = reader.fixed(&keys::WD_BOOL);
    let weight_decay: f64 = reader.fixed(&keys::WEIGHT_DECAY_VALUE);
    let accumulation_steps: usize = reader.optional(&keys::ACCUMULATION_STEPS).unwrap_or(1);
    let evaluation_steps: usize = reader.fixed(&keys::EVALUATION_STEPS);
    // The other modes' keys are of no effect, but what they hold must be of their kind.
    let _: Option<bool> = reader.optional(&keys::VISUALIZATION);
    let options = JobOptions {
        selection_threshold: reader.optional(&keys::SELECTION_THRESHOLD).filter(|_: &f64| mode.mode() != Mode::Image),
        mode,
        network_type: network.network_type,
        caps_dir: reader.path(&keys::CAPS_DIR),
        tsv_path: reader.path(&keys::TSV_PATH),
        preprocessing: reader.optional(&keys::PREPROCESSING).unwrap_or(crate::domain::words::Preprocessing::T1Linear),
        diagnoses: reader.fixed(&keys::DIAGNOSES),
        baseline: reader.fixed(&keys::BASELINE),
        unnormalize: reader.fixed(&keys::UNNORMALIZE),
        data_augmentation: reader.fixed(&keys::DATA_AUGMENTATION),
        sampler: reader.optional(&keys::SAMPLER).unwrap_or(crate::domain::words::SamplerKind::Random),
        folds: folds(reader),
        epochs: reader.fixed(&keys::EPOCHS),
        batch_size: reader.fixed(&keys::BATCH_SIZE),
        nproc: reader.fixed(&keys::NPROC),
        use_cpu: reader.fixed(&keys::USE_CPU),
        evaluation_steps: evaluation_steps.next_multiple_of(accumulation_steps),
        accumulation_steps,
        learning_rate: reader.fixed(&keys::LEARNING_RATE_VALUE),
        wd_bool,
        weight_decay: if wd_bool { weight_decay } else { 0.0 },
        dropout: network.dropout,
        patience: reader.fixed(&keys::PATIENCE),
        tolerance: reader.fixed(&keys::TOLERANCE),
        transfer_path: reader.optional(&keys::TRANSFER_PATH).flatten().map(|path: String| reader.absolute(&path)),
        transfer_selection: reader.optional(&keys::TRANSFER_SELECTION).unwrap_or(Selection::BestBalancedAccuracy),
        network_normalization: network.normalization,
        channels_limit: reader.fixed(&keys::CHANNELS_LIMIT),
        convolutions: network.blocks,
        n_fcblocks: network.n_fcblocks,
        fc: network.fc,
        seed: reader.optional(&keys::SEED),
        unknown: unknown(reader, TABLES, notices),
        unknown_within: within.kept,
    };
    if reader.faults.is_empty()
        && let Err(fault) = options.check_together()
    {
        reader.faults.push(Fault { place: reader.place_of(&fault.key), ..fault });
    }
    options
}

/// What a network's blocks and layers hold besides what is read of them.
#[derive(Default)]
struct Unknown {
    notices: Vec<Fault>,
    kept: Map<String, serde_json::Value>,
}

impl Unknown {
    /// Keeps what is not in `table` of member `name` of `parent`.
    fn keep(&mut self, member: &Reader, table: &'static [Key], parent: &str, name: &str) {
        let mut notices = Vec::new();
        let kept = unknown(member, &[table], &mut notices);
        if !kept.is_empty() {
            self.kept.insert(name.to_string(), kept.into());
        }
        self.notices.extend(notices.into_iter().map(|notice| Fault { key: format!("{parent}.{name}"), ..notice }));
    }
}

fn unknown(reader: &Reader, tables: &[&'static [Key]], notices: &mut Vec<Fault>) -> Map<String, serde_json::Value> {
    let mut kept = Map::new();
    for JsonEntry { place, key, value } in reader.unknown(tables) {
        notices.push(Fault::at(*place, "", format!("unknown key {key:?}, kept but of no effect")));
        kept.insert(key.clone(), value.to_value());
    }
    kept
}

fn mode_options(reader: &mut Reader) -> ModeOptions {
    let mode = reader.optional(&keys::MODE).unwrap_or(Mode::Image);
    // Every mode's keys are read, so that a fault in any of them is found.
    let patch = ModeOptions::Patch {
        patch_size: reader.fixed(&keys::PATCH_SIZE),
        stride_size: reader.fixed(&keys::STRIDE_SIZE),
        use_extracted_patches: reader.fixed(&keys::USE_EXTRACTED_PATCHES),
    };
    let roi = ModeOptions::Roi {
        roi_list: reader.optional(&keys::ROI_LIST),
        uncropped_roi: reader.fixed(&keys::UNCROPPED_ROI),
        use_extracted_roi: reader.fixed(&keys::USE_EXTRACTED_ROI),
    };
    let slice = ModeOptions::Slice {
        slice_direction: reader.fixed(&keys::SLICE_DIRECTION),
        discarded_slices: discarded_slices(reader),
        use_extracted_slices: reader.fixed(&keys::USE_EXTRACTED_SLICES),
    };
    match mode {
        Mode::Image => ModeOptions::Image,
        Mode::Patch => patch,
        Mode::Roi => roi,
        Mode::Slice => slice,
    }
}

/// Under the reference's two names; they must not contradict each other.
fn discarded_slices(reader: &mut Reader) -> [usize; 2] {
    let second: Option<[usize; 2]> = reader.optional(&keys::DISCARDED_SLICED);
    if !reader.gives(&keys::DISCARDED_SLICES) {
        return second.unwrap_or_else(|| reader.fixed(&keys::DISCARDED_SLICES));
    }
    let first: [usize; 2] = reader.fixed(&keys::DISCARDED_SLICES);
    if second.is_some_and(|second| second != first) && !reader.is_faulty(&keys::DISCARDED_SLICES) {
        reader.fault(
            &keys::DISCARDED_SLICED,
            format!("found another value than that of discarded_slices, {first:?}; leave one of the two"),
        );
    }
    first
}

/// The keys of the network for items of `channels` channels.
fn network(reader: &mut Reader, channels: usize, unknown: &mut Unknown) -> NetworkOptions {
    let network_type = reader.optional(&keys::NETWORK_TYPE).unwrap_or(NetworkType::Cnn);
    let blocks = blocks(reader, channels, unknown);
    let fc = fc(reader, unknown);
    // The reference's documented options leave n_fcblocks out where fc says it.
    let n_fcblocks = match &fc {
        Some(layers) if !reader.gives(&keys::N_FCBLOCKS) => layers.len(),
        _ if network_type == NetworkType::Autoencoder && !reader.gives(&keys::N_FCBLOCKS) => 1,
        _ => reader.fixed(&keys::N_FCBLOCKS),
    };
    NetworkOptions {
        network_type,
        normalization: reader.fixed(&keys::NETWORK_NORMALIZATION),
        blocks,
        n_fcblocks,
        fc: fc.filter(|_| network_type != NetworkType::Autoencoder),
        dropout: reader.fixed(&keys::DROPOUT),
    }
}

/// The members of an object whose keys are `prefix0`, `prefix1` and so on, in that order.
fn members<'a>(reader: &mut Reader<'a>, key: &Key, node: &'a JsonNode, prefix: &str) -> Vec<&'a JsonNode> {
    let Json::Object(entries) = &node.value else {
        reader.fault(key, format!("found {}, allowed: an object with {prefix}0, {prefix}1 and so on", node.shown()));
        return Vec::new();
    };
    let found: Vec<&JsonNode> =
        (0..entries.len()).map_while(|i| entries.iter().find(|e| e.key == format!("{prefix}{i}"))).map(|e| &e.value).collect();
    if found.len() != entries.len() || !(1..=64).contains(&found.len()) {
        let names: Vec<&str> = entries.iter().take(8).map(|e| e.key.as_str()).collect();
        reader.fault(key, format!("found the keys {names:?}, allowed: {prefix}0, {prefix}1 and so on, 1 to 64 without a gap"));
        return Vec::new();
    }
    found
}

fn blocks(reader: &mut Reader, channels: usize, unknown: &mut Unknown) -> Vec<ConvBlock> {
    let Some(node) = reader.raw(&keys::CONVOLUTIONS).filter(|node| !node.is_null()) else {
        reader.fault(&keys::CONVOLUTIONS, "missing; allowed: an object with conv0, conv1 and so on");
        return Vec::new();
    };
    let mut blocks = Vec::new();
    let mut in_channels = channels;
    for (index, node) in members(reader, &keys::CONVOLUTIONS, node, "conv").into_iter().enumerate() {
        let mut block = Reader::new(node, Path::new("/"));
        unknown.keep(&block, BLOCK, keys::CONVOLUTIONS.name, &format!("conv{index}"));
        let given = block.optional(&IN_CHANNELS);
        if given.is_some_and(|given: usize| given != in_channels) {
            let from = if index == 0 {
                "null, or the channels of an item".to_string()
            } else {
                format!("out_channels of conv{}", index - 1)
            };
            block.fault(&IN_CHANNELS, format!("found {}, allowed: {in_channels}, {from}", given.unwrap_or_default()));
        }
        let out_channels = block.fixed(&OUT_CHANNELS);
        let n_conv = block.fixed(&BLOCK_N_CONV);
        let d_reduction = block.optional(&BLOCK_REDUCTION).unwrap_or(crate::domain::words::Reduction::MaxPooling);
        blocks.push(ConvBlock { in_channels, out_channels, n_conv, d_reduction });
        in_channels = out_channels;
        reader.absorb(block.faults, &format!("convolutions.conv{index}"));
    }
    blocks
}

fn fc(reader: &mut Reader, unknown: &mut Unknown) -> Option<Vec<FcLayer>> {
    let node = reader.raw(&keys::FC).filter(|node| !node.is_null())?;
    let mut layers = Vec::new();
    for (index, node) in members(reader, &keys::FC, node, "FC").into_iter().enumerate() {
        let mut layer = Reader::new(node, Path::new("/"));
        unknown.keep(&layer, LAYER, keys::FC.name, &format!("FC{index}"));
        layers.push(FcLayer { in_features: layer.fixed(&IN_FEATURES), out_features: layer.fixed(&OUT_FEATURES) });
        reader.absorb(layer.faults, &format!("fc.FC{index}"));
    }
    Some(layers)
}

#[cfg(test)]
mod tests;
