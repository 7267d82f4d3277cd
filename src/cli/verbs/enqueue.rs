//! `neurosearch enqueue`: options of one's own choosing join a search's queue.

use crate::cli::daemon_request::{Ask, absolute};
use crate::cli::exit::VerbResult;
use crate::cli::output::out::Out;
use crate::cli::path_kind;
use crate::control::request::Enqueue;
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

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    path_kind::options_file(&args.commandline_json)?;
    let text = record::read_text(&args.commandline_json)?;
    // As for `retrain`: a job's relative paths are relative to its launch directory.
    let file = absolute(&args.commandline_json)?;
    let base = Path::new(&file).ancestors().nth(2).unwrap_or(Path::new("/"));
    let named = args.commandline_json.display().to_string();
    let target = Some(args.ask.place(&args.launch_dir)?);
    let (commandline, file, base) = (Some(text), Some(named), Some(absolute(base)?));
    args.ask.send(Enqueue { target, commandline, file, base, ..Enqueue::default() }, out)
}
