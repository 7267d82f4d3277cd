//! `neurosearch enqueue`: options of one's own choosing join a search's queue.

use crate::cli::daemon_request::{Ask, absolute};
use crate::cli::exit::Outcome;
use crate::cli::output::out::Out;
use crate::cli::path_kind;
use crate::control::reply::Order;
use crate::store::records::record;
use std::path::{Path, PathBuf};

/// Add a job of one's own choosing to a search
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The launch directory
    launch_dir: PathBuf,
    /// The options, as a job's folder holds them
    commandline_json: PathBuf,
    #[command(flatten)]
    ask: Ask,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    path_kind::options_file(&args.commandline_json)?;
    let text = record::read_text(&args.commandline_json)?;
    // As for `retrain`: a job's relative paths are relative to its launch directory.
    let file = absolute(&args.commandline_json)?;
    let base = Path::new(&file).ancestors().nth(2).unwrap_or(Path::new("/"));
    let named = Some(args.commandline_json.display().to_string());
    let about = args.ask.order_about(&args.launch_dir)?;
    let order = Order { commandline: Some(text), file: named, base: Some(absolute(base)?), ..about };
    args.ask.order("enqueue", &order, out)
}
