//! `neurosearch init`: a starting point for a search on one's own CAPS, with every key explained beside it.

pub mod sizes;

use crate::check;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{self, Out};
use crate::cli::path_kind;
use crate::cli::verbs::validate;
use crate::domain::folds::Folds;
use crate::domain::input::keys::{Fallback, Key};
use crate::domain::space::draw::draw;
use crate::domain::space::{SearchSpace, TABLES};
use crate::domain::text::units::dimensions;
use crate::executor::local::gpus;
use crate::store::data::{labels, probe};
use crate::store::fs::atomic;
use crate::store::records::layout::LaunchDir;
use serde_json::{Value, json};
use sizes::Sizes;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Write a random_search.json to start from, and a page that explains every key
///
/// The first image gives the sizes of networks and patches, the folder of the labels the number of folds, and where this
/// machine has no GPU the jobs train on the processor.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory; made where it is not there
    dir: PathBuf,
    /// The CAPS folder with the images
    #[arg(long, value_name = "DIR")]
    caps_dir: Option<PathBuf>,
    /// The folder of the label files (train/, validation/)
    #[arg(long, value_name = "DIR")]
    tsv_path: Option<PathBuf>,
}

/// The page that explains the keys; JSON has no comments.
const COMMENTS: &str = "random_search.md";

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    path_kind::folder(&args.dir)?;
    let launch = LaunchDir::new(&args.dir);
    let comments = args.dir.join(COMMENTS);
    for path in [&*launch.space(), &comments] {
        if probe::is_taken(path) {
            return Err(Failure::new(
                Exit::Exists,
                format!("{} is there already; edit it, or name another directory", path.display()),
            ));
        }
    }
    atomic::make_directory(&args.dir)?;
    let mut start = StartingPoint {
        caps_dir: absolute(args.caps_dir.as_deref().unwrap_or(Path::new("/path/to/caps")))?,
        tsv_path: absolute(args.tsv_path.as_deref().unwrap_or(Path::new("/path/to/labels")))?,
        use_cpu: gpus::find().gpus.is_empty(),
        n_splits: args.tsv_path.as_deref().and_then(labels::splits),
        sizes: Sizes::of(sizes::USUAL),
    };
    if args.caps_dir.is_some() && args.tsv_path.is_some() {
        start.fit(&launch, out)?;
    }
    let space = start.text();
    atomic::replace(&comments, explained().as_bytes())?;
    atomic::replace(&launch.space(), space.as_bytes())?;
    out.line(format!("wrote {}", launch.space().display()))?;
    out.line(format!("wrote {}: what every key means", comments.display()))?;
    if start.use_cpu {
        out.line("this machine has no GPU, so \"use_cpu\" is true in it")?;
    }
    if let Some(line) = args.tsv_path.as_deref().map(|path| labels_taken(path, start.n_splits)).transpose()?.flatten() {
        out.line(line)?;
    }
    out.line(format!("edit it, then look at it with: neurosearch validate {}", args.dir.display()))?;
    Ok(Exit::Done)
}

fn labels_taken(tsv_path: &Path, n_splits: Option<u32>) -> Result<Option<String>, Failure> {
    let folds = Folds::of(n_splits, None).map_err(|fault| Failure::new(Exit::BadInput, fault.to_string()))?;
    validate::labels_taken(tsv_path, &folds)
}

/// Paths given here are relative to where the user stands, those in the file to the launch directory.
fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|e| Failure::new(Exit::BadInput, format!("{}: {e}", path.display())))?;
    path.to_str()
        .map(str::to_string)
        .ok_or_else(|| Failure::new(Exit::BadInput, format!("{}: not UTF-8, so it cannot stand in JSON", path.display())))
}

/// What the starting point is made of.
struct StartingPoint {
    caps_dir: String,
    tsv_path: String,
    use_cpu: bool,
    n_splits: Option<u32>,
    sizes: Sizes,
}

impl StartingPoint {
    /// Takes the sizes from the first image, and says so; where the data have a flaw, says that instead.
    fn fit(&mut self, launch: &LaunchDir, out: &mut Out) -> Result<(), Failure> {
        let usual = SearchSpace::parse(&self.text(), &launch.space().display().to_string(), launch.path())?;
        let looked =
            draw(&usual.space, 0, 0).map_err(|misfit| vec![misfit.fault.to_string()]).and_then(|job| check::volume(&job));
        match looked {
            Ok(volume) => {
                self.sizes = Sizes::of(volume);
                out.line(format!("the images have {} voxels: networks and patches are sized for them", dimensions(volume)))
            }
            Err(flaws) => {
                flaws.into_iter().for_each(out::note);
                out::note(format!("so the sizes are for images of {} voxels, as t1-linear has them", dimensions(sizes::USUAL)));
                Ok(())
            }
        }
    }

    /// A space that covers what is usually searched, one key a line.
    fn text(&self) -> String {
        let values = json!({
            "mode": ["image", "patch"],
            "network_type": "cnn",
            "caps_dir": self.caps_dir,
            "preprocessing": "t1-linear",
            "tsv_path": self.tsv_path,
            "diagnoses": ["AD", "CN"],
            "epochs": 50,
            "batch_size": sizes::BATCH_SIZE,
            "use_cpu": self.use_cpu,
            "n_splits": self.n_splits,
            "n_convblocks": self.sizes.n_convblocks,
            "first_conv_width": sizes::FIRST_WIDTHS,
            "channels_limit": sizes::CHANNELS_LIMIT,
            "n_conv": sizes::N_CONV,
            "d_reduction": ["MaxPooling", "stride"],
            "network_normalization": [null, "BatchNorm", "InstanceNorm"],
            "n_fcblocks": sizes::N_FCBLOCKS,
            "patch_size": self.sizes.patch,
            "stride_size": self.sizes.patch,
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
