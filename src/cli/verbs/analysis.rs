//! `neurosearch analysis`: the tables of a launch directory, made anew from its job folders.

use crate::analysis::{RowCache, Tables};
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{self, Out};
use crate::cli::path_kind;
use crate::store::records::layout::LaunchDir;
use std::path::PathBuf;

/// Write the tables of a launch directory: which jobs pass which balanced accuracy, and jobs.tsv
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with random_search.json and the jobs' folders
    launch_dir: PathBuf,
    /// Read every file, also of the jobs that are the same since the last analysis
    #[arg(long)]
    anew: bool,
}

pub fn run(args: Args, out: &mut Out) -> VerbResult {
    path_kind::folder(&args.launch_dir)?;
    let launch = LaunchDir::new(args.launch_dir);
    let mut tables = Tables::new(launch.clone());
    let known = if args.anew { RowCache::default() } else { RowCache::read(&launch) };
    for notice in tables.scan_unless_known(&known)? {
        out::note(notice);
    }
    if tables.jobs() == 0 && !launch.space().exists() {
        let sentence =
            format!("{}: neither random_search.json nor a job is here; name a launch directory", launch.path().display());
        return Err(Failure::new(Exit::BadInput, sentence));
    }
    tables.write()?;
    if let Err(error) = tables.write_down(&known) {
        out::note(format_args!("{error}; the next analysis will read every file again"));
    }
    for path in tables.paths() {
        out.line(path.display())?;
    }
    Ok(Exit::Done)
}
