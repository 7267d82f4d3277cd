//! What a job's `commandline.json` says, as cells of a table: the reference's jobs and half-written ones included.

use crate::domain::folds::Folds;
use crate::domain::network::architecture::{Architecture, ConvBlock, FcLayer};
use crate::domain::words::{NetworkType, Normalization, Reduction};
use crate::store::formats::tsv::python_repr;
use crate::store::fs::error::StoreError;
use csv::StringRecord;
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
    /// A cell for each of [`COLUMNS`] and [`ARCHITECTURE_COLUMNS`].
    pub cells: StringRecord,
}

impl Default for Options {
    /// Of a job whose file says nothing: one fold of a CNN, and no cell filled.
    fn default() -> Self {
        let cells = StringRecord::from(vec![""; COLUMNS.len() + ARCHITECTURE_COLUMNS.len()]);
        Options { network_type: NetworkType::Cnn, folds: vec![0], cells }
    }
}

impl Options {
    /// Takes what is there, since a job of the reference's may lack what we ask of our own.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(text: &str, path: &Path) -> Result<Options, StoreError> {
        let file: Map<String, Value> =
            serde_json::from_str(text).map_err(|e| StoreError::content(path, format!("not a JSON object of options: {e}")))?;
        let file = Value::Object(file);
        let network_type = file["network_type"].as_str().and_then(NetworkType::from_word).unwrap_or(NetworkType::Cnn);
        let mut cells: StringRecord = COLUMNS.iter().map(|name| cell(&file[name])).collect();
        cells.extend(architecture_cells(&file, network_type));
        Ok(Options { network_type, folds: folds(&file), cells })
    }
}

fn folds(file: &Value) -> Vec<u32> {
    let whole = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
    let split = file["split"].as_array().map(|list| list.iter().filter_map(whole).collect());
    let folds = Folds::of(whole(&file["n_splits"]), split);
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

fn size(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// The values under a word and a number from 0, as `conv0` and `conv1`, in order. None if one is missing, or if there is any other
/// key.
fn numbered<'a>(blocks: &'a Value, word: &str) -> Option<Vec<&'a Value>> {
    let blocks = blocks.as_object()?;
    // Nothing else is among as many keys as numbers.
    (0..blocks.len()).map(|number| blocks.get(&format!("{word}{number}"))).collect()
}

fn blocks(file: &Value, channels: usize) -> Option<Vec<ConvBlock>> {
    let block = |block: &Value| {
        Some(ConvBlock {
            in_channels: size(&block["in_channels"]).unwrap_or(channels),
            out_channels: size(&block["out_channels"])?,
            n_conv: size(&block["n_conv"])?,
            d_reduction: Reduction::from_word(block["d_reduction"].as_str()?)?,
        })
    };
    numbered(&file["convolutions"], "conv")?.into_iter().map(block).collect()
}

fn fc(file: &Value) -> Option<Vec<FcLayer>> {
    let layer =
        |layer: &Value| Some(FcLayer { in_features: size(&layer["in_features"])?, out_features: size(&layer["out_features"])? });
    numbered(&file["fc"], "FC")?.into_iter().map(layer).collect()
}

fn architecture_cells(file: &Value, network: NetworkType) -> [String; 5] {
    let channels = if file["mode"].as_str() == Some("slice") { 3 } else { 1 };
    let blocks = blocks(file, channels).unwrap_or_default();
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Default::default() };
    let n_conv: Vec<String> = blocks.iter().map(|block| block.n_conv.to_string()).collect();
    let [count, width, d_reduction] = [blocks.len().to_string(), first.out_channels.to_string(), last.d_reduction.to_string()];
    // Those of one network, or None if the widths of a CNN's fully connected layers are not written.
    let fc = if network == NetworkType::Autoencoder { Some(Vec::new()) } else { fc(file).filter(|fc| !fc.is_empty()) };
    let normalization = file["network_normalization"].as_str().and_then(Normalization::from_word);
    let dimensions = if channels == 3 { 2 } else { 3 };
    let mut input = vec![1; dimensions + 1];
    input[0] = channels;
    let parameters = fc.map(|fc| Architecture { input, blocks, normalization, fc, dropout: 0.0 }.parameters().to_string());
    [count, width, n_conv.join(" "), d_reduction, parameters.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Options {
        Options::read(text, Path::new("commandline.json")).expect("options")
    }

    fn cell_of<'a>(options: &'a Options, name: &str) -> &'a str {
        let at = COLUMNS.iter().chain(&ARCHITECTURE_COLUMNS).position(|column| *column == name).expect("a column");
        options.cells.get(at).expect("a cell")
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
            assert_eq!(options.cells.len(), COLUMNS.len() + ARCHITECTURE_COLUMNS.len());
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

    #[test]
    fn of_a_key_that_stands_twice_the_last_value_counts() {
        let options = read(
            r#"{"seed": 1, "convolutions": {"conv0": null}, "seed": null, "mode": "image",
                "convolutions": {"conv0": 1, "conv0": {"out_channels": 8, "n_conv": 3, "n_conv": 1, "d_reduction": "stride"}},
                "mode": "patch"}"#,
        );
        let cells = ["seed", "mode", "n_convblocks", "n_conv"].map(|name| cell_of(&options, name));
        assert_eq!(cells, ["", "patch", "1", "1"]);
    }

    #[test]
    fn blocks_that_are_not_all_there_and_nothing_else_are_no_architecture() {
        let block = r#"{"in_channels": 1, "out_channels": 8, "n_conv": 2, "d_reduction": "stride"}"#;
        let cells = |keys: &[(&str, &str)]| {
            let blocks: Vec<String> = keys.iter().map(|(key, block)| format!("\"{key}\": {block}")).collect();
            cell_of(&read(&format!("{{\"convolutions\": {{{}}}}}", blocks.join(","))), "n_convblocks").to_string()
        };
        assert_eq!(cells(&[("conv1", block), ("conv0", block)]), "2");
        for odd in ["conv2", "conv01", "conv+1", "conv", "x", "conv99999999999999999999"] {
            assert_eq!(cells(&[("conv0", block), (odd, block)]), "", "{odd}");
        }
        for odd in ["null", "[]", "{}", r#"{"out_channels": 8.0, "n_conv": 2, "d_reduction": "stride"}"#] {
            assert_eq!(cells(&[("conv0", block), ("conv1", odd)]), "", "{odd}");
        }
    }

    #[test]
    fn what_no_cell_shows_has_to_be_json_all_the_same() {
        for odd in [r#""\ud800""#, "1e999", "[1, {\"a\": 01}]", "{\"a\": \"\n\"}", "nan", "1} {"] {
            assert!(Options::read(&format!("{{\"caps_dir\": {odd}}}"), Path::new("commandline.json")).is_err(), "{odd}");
        }
        assert_eq!(read(r#"{"caps_dir": [null, true, -1, 1.5, {"a": {"b": "\u00e9"}}]}"#), Options::default());
    }
}
