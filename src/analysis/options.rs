//! What a job's `commandline.json` says, as cells of a table: the reference's jobs and half-written ones included.

use super::cells::joined;
use crate::domain::architecture::{Architecture, ConvBlock, FcLayer};
use crate::domain::options::{Folds, NetworkType, Normalization, Reduction};
use crate::store::error::StoreError;
use crate::store::tsv::python_repr;
use serde_json::{Map, Value};
use std::path::Path;

/// The options that have a column, in the order of the columns: every one that a search may draw, and the fixed ones
/// that change what is trained.
pub const COLUMNS: [&str; 33] = [
    "mode",
    "network_type",
    "preprocessing",
    "diagnoses",
    "baseline",
    "unnormalize",
    "data_augmentation",
    "sampler",
    "epochs",
    "batch_size",
    "accumulation_steps",
    "evaluation_steps",
    "learning_rate",
    "wd_bool",
    "weight_decay",
    "dropout",
    "patience",
    "tolerance",
    "transfer_learning_path",
    "transfer_learning_selection",
    "selection_threshold",
    "patch_size",
    "stride_size",
    "roi_list",
    "uncropped_roi",
    "slice_direction",
    "discarded_slices",
    "network_normalization",
    "channels_limit",
    "n_fcblocks",
    "seed",
    "n_splits",
    "split",
];

/// Columns of the architecture, which the file holds as blocks.
pub const ARCHITECTURE_COLUMNS: [&str; 5] = ["n_convblocks", "first_conv_width", "n_conv", "d_reduction", "parameters"];

/// A job's options as far as the tables need them.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub network_type: NetworkType,
    /// The job's own folds, ascending.
    pub folds: Vec<u32>,
    /// A cell for each of [`COLUMNS`] and [`ARCHITECTURE_COLUMNS`], as part of a line, since they are many and never looked at.
    pub cells: String,
}

impl Default for Options {
    /// Of a job whose file says nothing: one fold of a CNN, and no cell filled.
    fn default() -> Self {
        let cells = "\t".repeat(COLUMNS.len() + ARCHITECTURE_COLUMNS.len() - 1);
        Options { network_type: NetworkType::Cnn, folds: vec![0], cells }
    }
}

impl Options {
    /// Takes what is there, since a job of the reference's may lack what we ask of our own.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(text: &str, path: &Path) -> Result<Options, StoreError> {
        let map: Map<String, Value> =
            serde_json::from_str(text).map_err(|e| StoreError::content(path, format!("not a JSON object of options: {e}")))?;
        let word = |key: &str| map.get(key).and_then(Value::as_str);
        let network_type = word("network_type").and_then(NetworkType::from_word).unwrap_or(NetworkType::Cnn);
        let mut cells: Vec<String> = COLUMNS.iter().map(|key| map.get(*key).map(cell).unwrap_or_default()).collect();
        let blocks = blocks(&map).unwrap_or_default();
        cells.extend(architecture_cells(&map, &blocks, network_type));
        Ok(Options { network_type, folds: folds(&map), cells: joined(cells.iter().map(String::as_str)) })
    }
}

fn folds(map: &Map<String, Value>) -> Vec<u32> {
    let whole = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let split = map.get("split").and_then(Value::as_array).map(|list| list.iter().filter_map(whole).collect());
    let folds = Folds::of(map.get("n_splits").and_then(whole), split);
    let mut indices = folds.map_or_else(|_| vec![0], |folds| folds.indices());
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// Numbers as Python writes them, lists with spaces between, null as an empty cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => number.as_f64().map(python_repr).unwrap_or_default(),
        Value::Number(number) => number.to_string(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(_) => value.to_string(),
    }
}

fn channels(map: &Map<String, Value>) -> usize {
    if map.get("mode").and_then(Value::as_str) == Some("slice") { 3 } else { 1 }
}

fn size(map: &Map<String, Value>, key: &str) -> Option<usize> {
    usize::try_from(map.get(key)?.as_u64()?).ok()
}

fn blocks(map: &Map<String, Value>) -> Option<Vec<ConvBlock>> {
    let all = map.get("convolutions")?.as_object()?;
    let block = |index: usize| {
        let block = all.get(&format!("conv{index}"))?.as_object()?;
        Some(ConvBlock {
            in_channels: size(block, "in_channels").unwrap_or_else(|| channels(map)),
            out_channels: size(block, "out_channels")?,
            n_conv: size(block, "n_conv")?,
            d_reduction: Reduction::from_word(block.get("d_reduction")?.as_str()?)?,
        })
    };
    (0..all.len()).map(block).collect()
}

fn fc(map: &Map<String, Value>) -> Option<Vec<FcLayer>> {
    let all = map.get("fc")?.as_object()?;
    let layer = |index: usize| {
        let layer = all.get(&format!("FC{index}"))?.as_object()?;
        Some(FcLayer { in_features: size(layer, "in_features")?, out_features: size(layer, "out_features")? })
    };
    (0..all.len()).map(layer).collect()
}

fn architecture_cells(map: &Map<String, Value>, blocks: &[ConvBlock], network: NetworkType) -> [String; 5] {
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Default::default() };
    let n_conv: Vec<String> = blocks.iter().map(|block| block.n_conv.to_string()).collect();
    [
        blocks.len().to_string(),
        first.out_channels.to_string(),
        n_conv.join(" "),
        last.d_reduction.to_string(),
        parameters(map, blocks, network).map(|count| count.to_string()).unwrap_or_default(),
    ]
}

/// Parameters of one network; none where the widths of a CNN's fully connected layers are not written.
fn parameters(map: &Map<String, Value>, blocks: &[ConvBlock], network: NetworkType) -> Option<u64> {
    let fc = if network == NetworkType::Autoencoder { Vec::new() } else { fc(map).filter(|layers| !layers.is_empty())? };
    let channels = channels(map);
    let dimensions = if channels == 3 { 2 } else { 3 };
    let mut input = vec![1; dimensions + 1];
    input[0] = channels;
    let normalization = map.get("network_normalization").and_then(Value::as_str).and_then(Normalization::from_word);
    let architecture = Architecture { input, blocks: blocks.to_vec(), normalization, fc, dropout: 0.0 };
    Some(architecture.parameters())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Options {
        Options::read(text, Path::new("commandline.json")).expect("options")
    }

    fn cell_of<'a>(options: &'a Options, name: &str) -> &'a str {
        let at = COLUMNS.iter().chain(&ARCHITECTURE_COLUMNS).position(|column| *column == name).expect("a column");
        options.cells.split('\t').nth(at).expect("a cell")
    }

    #[test]
    fn every_option_has_its_cell_as_pandas_reads_it() {
        let options = read(
            r#"{"mode": "image", "network_type": "cnn", "learning_rate": 5.64341e-06, "wd_bool": true, "dropout": 0,
                "network_normalization": null, "diagnoses": ["AD", "CN"], "n_fcblocks": 2,
                "convolutions": {"conv0": {"in_channels": null, "out_channels": 8, "n_conv": 2, "d_reduction": "stride"},
                                 "conv1": {"in_channels": 8, "out_channels": 16, "n_conv": 1, "d_reduction": "stride"}},
                "fc": {"FC0": {"in_features": 32, "out_features": 2}}}"#,
        );
        let expected = [
            ("learning_rate", "5.64341e-06"),
            ("wd_bool", "true"),
            ("dropout", "0"),
            ("network_normalization", ""),
            ("diagnoses", "AD CN"),
            ("n_convblocks", "2"),
            ("first_conv_width", "8"),
            ("n_conv", "2 1"),
            // (27 + 1) + (27 * 8 + 8) + (8 * 16 * 27 + 16) + (32 * 2 + 2)
            ("parameters", "3790"),
        ];
        for (name, text) in expected {
            assert_eq!(cell_of(&options, name), text, "{name}");
        }
        for options in [options, Options::default()] {
            assert_eq!(options.cells.split('\t').count(), COLUMNS.len() + ARCHITECTURE_COLUMNS.len());
        }
    }

    #[test]
    fn folds_are_those_of_the_split_in_ascending_order() {
        assert_eq!(read("{}").folds, [0]);
        assert_eq!(read(r#"{"n_splits": 0, "split": [0]}"#).folds, [0]);
        assert_eq!(read(r#"{"n_splits": 3}"#).folds, [0, 1, 2]);
        assert_eq!(read(r#"{"n_splits": 5, "split": [4, 1, 1]}"#).folds, [1, 4]);
        assert_eq!(read(r#"{"n_splits": 2, "split": null}"#).folds, [0, 1]);
    }

    #[test]
    fn what_is_no_object_is_an_error_that_names_the_file() {
        let error = Options::read("[1", Path::new("/x/commandline.json")).expect_err("not an object");
        assert!(error.to_string().contains("/x/commandline.json"), "{error}");
    }
}
