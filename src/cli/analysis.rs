//! `neurosearch analysis`: the tables of a launch directory, made anew from its job folders.

use super::exit::{Exit, Failure, Outcome};
use super::named;
use super::out::{self, Out};
use crate::analysis::Tables;
use crate::store::layout::LaunchDir;
use std::path::PathBuf;

/// Write the tables of a launch directory: which jobs pass which balanced accuracy, and jobs.tsv
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder with random_search.json and the jobs' folders
    launch_dir: PathBuf,
}

pub fn run(args: Args, out: &mut Out) -> Outcome {
    named::folder(&args.launch_dir)?;
    let launch = LaunchDir::new(args.launch_dir);
    let mut tables = Tables::new(launch.clone());
    for notice in tables.scan()? {
        out::note(notice);
    }
    if tables.jobs() == 0 && !launch.space().exists() {
        let sentence =
            format!("{}: neither random_search.json nor a job is here; name a launch directory", launch.path().display());
        return Err(Failure::new(Exit::BadInput, sentence));
    }
    tables.write()?;
    for path in tables.paths() {
        out.line(path.display())?;
    }
    Ok(Exit::Done)
}
