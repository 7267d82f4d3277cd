//! `neurosearch sample`: the very options that a search's jobs would get, one job a line, and what training them takes.

use super::validate::accepted;
use crate::check::{Checker, JobFault};
use crate::cli::args::{index, whole};
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::flags::FlagArguments;
use crate::cli::job_folder::new_seed;
use crate::cli::output::listing::Listing;
use crate::cli::output::out::{self, Out};
use crate::domain::input::keys::MANY;
use crate::domain::input::positioned_json;
use crate::domain::mode::ModeOptions;
use crate::domain::network::architecture::ConvBlock;
use crate::domain::network::footprint::Footprint;
use crate::domain::options::JobOptions;
use crate::domain::space::SearchSpace;
use crate::domain::space::draw::draw;
use crate::store::records::layout::LaunchDir;
use crate::store::records::record;
use crate::store::records::search_record::SearchRecord;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Show what a search's jobs would be: a table on a terminal, else their options as JSON lines
///
/// Beside the JSON lines, parameters and memory go to stderr.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    dir: PathBuf,
    /// How many jobs
    #[arg(short = 'n', long = "number", default_value_t = 1, value_name = "N", value_parser = whole::<u64>)]
    number: u64,
    /// The search's seed; else the file's, else the recorded one, else a new one
    #[arg(long, value_parser = whole::<u64>)]
    seed: Option<u64>,
    /// Index of the first job
    #[arg(long, default_value_t = 0, value_parser = index)]
    index: u64,
    /// Print each job's parameters and the bytes that its training takes, as JSON lines, in place of its options
    #[arg(long)]
    footprint: bool,
    /// Print every option as JSON lines on a terminal too
    #[arg(long, conflicts_with = "footprint")]
    json: bool,
    #[command(flatten)]
    flags: FlagArguments,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let end = args.index.saturating_add(args.number);
    if end > MANY {
        return Err(Failure::new(Exit::Usage, format!("a search has at most {MANY} jobs; --index and -n ask for {end}")));
    }
    let space = args.flags.over(accepted(&args.dir)?)?;
    let seed = match args.seed.or(space.own.seed) {
        Some(seed) => seed,
        None => recorded_or_new(&args.dir)?,
    };
    let mut checker = Checker::default();
    let mut exit = Exit::Done;
    let for_a_person = out.is_terminal() && !args.json && !args.footprint;
    let mut rows = Vec::new();
    for index in args.index..end {
        let name = format!("{}-{index}", space.own.job_prefix);
        match job(&space, &mut checker, seed, index) {
            Ok((_, footprint)) if args.footprint => {
                let Footprint { parameters, peak_bytes, kept_bytes, image_bytes } = footprint;
                let line = json!({
                    "job": name, "index": index, "parameters": parameters,
                    "peak_bytes": peak_bytes, "kept_bytes": kept_bytes, "image_bytes": image_bytes,
                });
                out.raw(&format!("{line}\n"))?;
            }
            Ok((options, footprint)) if for_a_person => rows.push(row(name, &options, &footprint)),
            Ok((options, footprint)) => {
                out::note(format!("{name}: {footprint}"));
                out.raw(&format!("{}\n", positioned_json::line(&options.to_json())))?;
            }
            Err(fault) => {
                exit = Exit::Failed;
                out::note(format!("{name} would fail: {}: {fault}", fault.class));
            }
        }
        if out.is_closed() {
            break;
        }
    }
    if !rows.is_empty() {
        table(rows, out)?;
    }
    Ok(exit)
}

/// Those that tell networks from one another; the columns that matter least go first where they do not all fit.
fn table(rows: Vec<Vec<String>>, out: &mut Out) -> Result<(), Failure> {
    let head = [
        "JOB",
        "PARAMETERS",
        "MEMORY",
        "MODE",
        "NETWORK",
        "CHANNELS",
        "REDUCED BY",
        "NORM.",
        "FC",
        "LEARNING RATE",
        "DECAY",
        "DROPOUT",
    ];
    let width = out.width();
    let mut listing = Listing { head: head.to_vec(), rows };
    if let Some(width) = width {
        let least = ["FC", "NETWORK", "DECAY", "REDUCED BY", "DROPOUT", "NORM.", "MODE", "LEARNING RATE", "CHANNELS"];
        listing = listing.narrowed(usize::from(width), &least);
    }
    listing.lines(width, false).into_iter().try_for_each(|line| out.line(line))?;
    out.sentence(
        "the channels that each block gives, with the number of its convolutions where it has several; --json shows every option",
        0,
    )
}

fn row(name: String, options: &JobOptions, footprint: &Footprint) -> Vec<String> {
    let block = |block: &ConvBlock| match block.n_conv {
        1 => block.out_channels.to_string(),
        convolutions => format!("{convolutions}x{}", block.out_channels),
    };
    let mode = match &options.mode {
        ModeOptions::Patch { patch_size, stride_size, .. } => format!("patch {patch_size}/{stride_size}"),
        mode => mode.mode().to_string(),
    };
    let reductions: BTreeSet<&str> = options.convolutions.iter().map(|block| block.d_reduction.as_str()).collect();
    vec![
        name,
        footprint.parameters.to_string(),
        footprint.memory(),
        mode,
        options.network_type.to_string(),
        options.convolutions.iter().map(block).collect::<Vec<_>>().join(" "),
        reductions.into_iter().collect::<Vec<_>>().join(", "),
        options.network_normalization.map_or_else(|| "none".to_string(), |normalization| normalization.to_string()),
        options.n_fcblocks.to_string(),
        format!("{:.2e}", options.learning_rate),
        format!("{:.2e}", options.weight_decay),
        format!("{:.2}", options.dropout),
    ]
}

fn job(space: &SearchSpace, checker: &mut Checker, seed: u64, index: u64) -> Result<(JobOptions, Footprint), JobFault> {
    checker.weighed(&draw(space, seed, index)?)
}

fn recorded_or_new(dir: &Path) -> Result<u64, Failure> {
    match record::read::<SearchRecord>(&LaunchDir::new(dir).search_record()) {
        Ok(search) => Ok(search.terms.seed),
        Err(error) if error.is_missing() => {
            let seed = new_seed()?;
            out::note(format!("no seed is given or recorded; drawn for this once: --seed {seed}"));
            Ok(seed)
        }
        Err(error) => Err(error.into()),
    }
}
