//! A job's options as a `commandline.json` that the reference reads back and understands as they are meant.

use super::JobOptions;
use crate::domain::folds::Folds;
use crate::domain::mode::ModeOptions;
use crate::domain::network::architecture::{ConvBlock, FcLayer};
use crate::domain::words::NetworkType;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Keys that change what the reference does with the file, whoever wrote them.
const NEVER_WRITTEN: &[&str] = &[
    "model",
    "network",
    "selection",
    "use_gpu",
    "gpu",
    "mri_plane",
    "patch_stride",
    "pretrained_path",
    "hippocampus_roi",
    "prepare_dl",
    "num_workers",
    "output_dir",
];

impl JobOptions {
    /// The content of the job's `commandline.json`: every option, resolved.
    pub fn to_json(&self) -> Value {
        let mut map = Map::new();
        self.put_data(&mut map);
        self.put_mode(&mut map);
        self.put_training(&mut map);
        self.put_network(&mut map);
        for (key, value) in &self.unknown {
            if !NEVER_WRITTEN.contains(&key.as_str()) && !map.contains_key(key) {
                map.insert(key.clone(), value.clone());
            }
        }
        Value::Object(map)
    }

    fn put_data(&self, map: &mut Map<String, Value>) {
        put(map, "mode", self.mode.mode().as_str());
        put(map, "network_type", self.network_type.as_str());
        put(map, "caps_dir", text(&self.caps_dir));
        put(map, "preprocessing", self.preprocessing.as_str());
        put(map, "tsv_path", text(&self.tsv_path));
        put(map, "diagnoses", words(self.diagnoses.iter().map(|d| d.as_str())));
        put(map, "baseline", self.baseline);
        put(map, "unnormalize", self.unnormalize);
        let augmentation = match self.data_augmentation.as_slice() {
            [] => Value::Bool(false),
            transforms => words(transforms.iter().map(|t| t.as_str())),
        };
        put(map, "data_augmentation", augmentation);
        put(map, "sampler", self.sampler.as_str());
        let (n, split) = match &self.folds {
            Folds::Single => (0, vec![0]),
            Folds::Splits { n, chosen } => (*n, chosen.clone()),
        };
        put(map, "n_splits", n);
        put(map, "split", split);
    }

    fn put_mode(&self, map: &mut Map<String, Value>) {
        match &self.mode {
            ModeOptions::Image => return,
            ModeOptions::Patch { patch_size, stride_size, use_extracted_patches } => {
                put(map, "patch_size", *patch_size);
                put(map, "stride_size", *stride_size);
                put(map, "use_extracted_patches", *use_extracted_patches);
            }
            ModeOptions::Roi { roi_list, uncropped_roi, use_extracted_roi } => {
                put(map, "roi_list", json!(roi_list));
                put(map, "uncropped_roi", *uncropped_roi);
                put(map, "use_extracted_roi", *use_extracted_roi);
            }
            ModeOptions::Slice { slice_direction, discarded_slices, use_extracted_slices } => {
                put(map, "slice_direction", *slice_direction);
                put(map, "discarded_slices", json!(discarded_slices));
                // The reference's reader looks for this misspelt name.
                put(map, "discarded_sliced", json!(discarded_slices));
                put(map, "use_extracted_slices", *use_extracted_slices);
            }
        }
        put(map, "selection_threshold", json!(self.selection_threshold));
    }

    fn put_training(&self, map: &mut Map<String, Value>) {
        put(map, "epochs", self.epochs);
        put(map, "batch_size", self.batch_size);
        put(map, "nproc", self.nproc);
        put(map, "use_cpu", self.use_cpu);
        put(map, "evaluation_steps", self.evaluation_steps);
        put(map, "accumulation_steps", self.accumulation_steps);
        put(map, "learning_rate", self.learning_rate);
        put(map, "wd_bool", self.wd_bool);
        put(map, "weight_decay", self.weight_decay);
        put(map, "dropout", self.dropout);
        put(map, "patience", self.patience);
        put(map, "tolerance", self.tolerance);
        put(map, "transfer_learning_path", json!(self.transfer_path.as_deref().map(text)));
        put(map, "transfer_learning_selection", self.transfer_selection.as_str());
        put(map, "loss", "default");
        put(map, "optimizer", "Adam");
        put(map, "multi_cohort", false);
        put(map, "atlas_weight", 1);
        put(map, "predict_atlas_intensities", Value::Null);
        put(map, "merged_tsv_path", Value::Null);
        if let Some(seed) = self.seed {
            put(map, "seed", seed);
        }
    }

    fn put_network(&self, map: &mut Map<String, Value>) {
        put(map, "network_normalization", json!(self.network_normalization.map(|n| n.as_str())));
        put(map, "channels_limit", self.channels_limit);
        put(map, "n_fcblocks", self.n_fcblocks);
        put(map, "convolutions", self.numbered("conv", &self.convolutions, block));
        if self.network_type == NetworkType::Autoencoder {
            put(map, "visualization", false);
        } else if let Some(fc) = &self.fc {
            put(map, "fc", self.numbered("FC", fc, layer));
        }
    }

    /// The items under their names, with what stood there besides when they were read.
    fn numbered<T>(&self, prefix: &str, items: &[T], value: impl Fn(usize, &T) -> Map<String, Value>) -> Value {
        let member = |(index, item): (usize, &T)| {
            let name = format!("{prefix}{index}");
            let mut map = value(index, item);
            if let Some(Value::Object(unknown)) = self.unknown_within.get(&name) {
                map.extend(unknown.clone());
            }
            (name, map.into())
        };
        Value::Object(items.iter().enumerate().map(member).collect())
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.insert(key.to_string(), value.into());
}

/// Paths come out of JSON text, so they are UTF-8.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn words(words: impl Iterator<Item = &'static str>) -> Value {
    words.map(Value::from).collect()
}

fn block(index: usize, block: &ConvBlock) -> Map<String, Value> {
    // The reference takes the first block's channels from the data, and wants to read null there.
    let in_channels = if index == 0 { Value::Null } else { Value::from(block.in_channels) };
    let mut map = Map::new();
    put(&mut map, "in_channels", in_channels);
    put(&mut map, "out_channels", block.out_channels);
    put(&mut map, "n_conv", block.n_conv);
    put(&mut map, "d_reduction", block.d_reduction.as_str());
    map
}

fn layer(_: usize, layer: &FcLayer) -> Map<String, Value> {
    let mut map = Map::new();
    put(&mut map, "in_features", layer.in_features);
    put(&mut map, "out_features", layer.out_features);
    map
}
