//! `neurosearch sample`: the very options that a search's jobs would get, one job a line, and what training them takes.

use super::exit::{Exit, Failure, Outcome};
use super::flags::Flags;
use super::out::{self, Out};
use super::validate::accepted;
use crate::check::{Checker, JobFault};
use crate::domain::draw::draw;
use crate::domain::footprint::Footprint;
use crate::domain::json;
use crate::domain::options::JobOptions;
use crate::domain::space::SearchSpace;
use crate::store::launch::SearchRecord;
use crate::store::layout::LaunchDir;
use crate::store::record;
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Print the options that a search's jobs would get, as JSON lines; parameters and memory go to stderr
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    dir: PathBuf,
    /// How many jobs
    #[arg(short = 'n', long = "number", default_value_t = 1, value_name = "N")]
    number: u64,
    /// The search's seed; else the file's, else the recorded one, else a new one
    #[arg(long)]
    seed: Option<u64>,
    /// Index of the first job
    #[arg(long, default_value_t = 0)]
    index: u64,
    /// Print each job's parameters and the bytes that its training takes, as JSON lines, in place of its options
    #[arg(long)]
    footprint: bool,
    #[command(flatten)]
    flags: Flags,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let space = args.flags.over(accepted(&args.dir)?)?;
    let seed = match args.seed.or(space.own.seed) {
        Some(seed) => seed,
        None => recorded_or_new(&args.dir)?,
    };
    let mut checker = Checker::default();
    let mut exit = Exit::Done;
    for index in args.index..args.index.saturating_add(args.number) {
        let name = format!("{}-{index}", space.own.job_prefix);
        match job(&space, &mut checker, seed, index) {
            Ok((_, footprint)) if args.footprint => {
                let Footprint { parameters, peak_bytes } = footprint;
                let line = json!({"job": name, "index": index, "parameters": parameters, "peak_bytes": peak_bytes});
                out.raw(&format!("{line}\n"))?;
            }
            Ok((options, footprint)) => {
                out::note(format!("{name}: {footprint}"));
                out.raw(&format!("{}\n", json::line(&options.to_json())))?;
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
    Ok(exit)
}

fn job(space: &SearchSpace, checker: &mut Checker, seed: u64, index: u64) -> Result<(JobOptions, Footprint), JobFault> {
    checker.weighed(&draw(space, seed, index)?)
}

fn recorded_or_new(dir: &Path) -> Result<u64, Failure> {
    match record::read::<SearchRecord>(&LaunchDir::new(dir).search_record()) {
        Ok(search) => Ok(search.seed),
        Err(error) if error.is_missing() => {
            let seed = OsRng
                .try_next_u64()
                .map_err(|e| Failure::new(Exit::Failed, format!("the system gives no random number: {e}")))?;
            out::note(format!("no seed is given or recorded; drawn for this once: --seed {seed}"));
            Ok(seed)
        }
        Err(error) => Err(error.into()),
    }
}
