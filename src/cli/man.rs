//! `neurosearch man`: manual pages, one for the program and one for each verb, from the definition of the command line.

use super::exit::{Exit, Failure, Outcome};
use super::out::Out;
use crate::store::atomic;
use std::path::{Path, PathBuf};

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An existing directory, as /usr/share/man/man1
    dir: PathBuf,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    page(&command, &args.dir, out)?;
    for verb in command.get_subcommands() {
        page(verb, &args.dir, out)?;
    }
    Ok(Exit::Done)
}

fn page(command: &clap::Command, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let path = dir.join(man.get_filename());
    let mut text = Vec::new();
    man.render(&mut text).map_err(|e| Failure::new(Exit::Failed, format!("cannot render {}: {e}", path.display())))?;
    atomic::replace(&path, &text)?;
    out.line(path.display())
}
