//! `neurosearch init`: a starting point for a search on one's own CAPS, with every key explained beside it.

use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use crate::domain::keys::{Fallback, Key};
use crate::domain::space::TABLES;
use crate::store::atomic;
use crate::store::layout::LaunchDir;
use crate::store::look;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Write a random_search.json to start from, and a page that explains every key
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory; made where it is not there
    dir: PathBuf,
    /// The CAPS folder with the images
    #[arg(long, value_name = "DIR", default_value = "/path/to/caps")]
    caps_dir: PathBuf,
    /// The folder of the label files (train/, validation/)
    #[arg(long, value_name = "DIR", default_value = "/path/to/labels")]
    tsv_path: PathBuf,
}

/// The page that explains the keys; JSON has no comments.
const COMMENTS: &str = "random_search.md";

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let launch = LaunchDir::new(&args.dir);
    let comments = args.dir.join(COMMENTS);
    for path in [&launch.space(), &comments] {
        if look::is_taken(path) {
            return Err(Failure::new(
                Exit::Exists,
                format!("{} is there already; edit it, or name another directory", path.display()),
            ));
        }
    }
    atomic::make_directory(&args.dir)?;
    let space = start(&absolute(&args.caps_dir)?, &absolute(&args.tsv_path)?);
    atomic::replace(&comments, explained().as_bytes())?;
    atomic::replace(&launch.space(), space.as_bytes())?;
    out.line(format!("wrote {}", launch.space().display()))?;
    out.line(format!("wrote {}: what every key means", comments.display()))?;
    out.line(format!("edit it, then look at it with: neurosearch validate {}", args.dir.display()))?;
    Ok(Exit::Done)
}

/// Paths given here are relative to where the user stands, those in the file to the launch directory.
fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|e| Failure::new(Exit::BadInput, format!("{}: {e}", path.display())))?;
    path.to_str()
        .map(str::to_string)
        .ok_or_else(|| Failure::new(Exit::BadInput, format!("{}: not UTF-8, so it cannot stand in JSON", path.display())))
}

/// A space that covers what is usually searched, one key a line.
fn start(caps_dir: &str, tsv_path: &str) -> String {
    let values = json!({
        "mode": ["image", "patch"],
        "network_type": "cnn",
        "caps_dir": caps_dir,
        "preprocessing": "t1-linear",
        "tsv_path": tsv_path,
        "diagnoses": ["AD", "CN"],
        "epochs": 50,
        "batch_size": 2,
        "use_cpu": false,
        "n_splits": null,
        "n_convblocks": [3, 6],
        "first_conv_width": [4, 8, 16],
        "channels_limit": 64,
        "n_conv": [1, 2],
        "d_reduction": ["MaxPooling", "stride"],
        "network_normalization": [null, "BatchNorm", "InstanceNorm"],
        "n_fcblocks": [1, 3],
        "learning_rate": [3, 5],
        "wd_bool": [true, false],
        "weight_decay": [2, 5],
        "dropout": [0, 0.8],
        "patience": 10,
        "tolerance": 0.0,
        "neurosearch": {"n_jobs": 20},
    });
    let lines: Vec<String> = values
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("  {}: {value}", Value::from(key.as_str())))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn explained() -> String {
    let mut page = String::from(
        "# What stands in random_search.json\n\n\
         JSON has no comments, so they stand here. Relative paths are relative to the directory of the file.\n\
         Where a key is sampled by choice, a list gives the values to choose from; by randint and uniform, a pair gives\n\
         [min, max]; by exponent, a pair gives [min, max] of x, and the value is 10^-x. A single value is itself.\n",
    );
    for key in TABLES.iter().flat_map(|table| table.iter()) {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n{}\n", key.name, key.about, facts(key));
    }
    page
}

fn facts(key: &Key) -> String {
    let sampling = format!("{:?}", key.sampling).to_lowercase();
    let default = match key.default {
        Fallback::Mandatory => "mandatory".to_string(),
        Fallback::By(text) => format!("default `{text}`"),
        Fallback::Absent => "optional".to_string(),
    };
    format!("Sampling: {sampling}; {default}; allowed: {}.", key.kind.allowed())
}
