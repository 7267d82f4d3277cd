//! `neurosearch man`: manual pages for the programs, their verbs and what these divide into, from the command lines' definitions.

use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::path_kind;
use crate::cli::programs::Program;
use crate::store::fs::atomic;
use clap::Command;
use std::path::{Path, PathBuf};

/// Write the manual pages of all programs into a directory
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An existing directory; a page that ends in .1 belongs into man1, one that ends in .8 into man8
    dir: PathBuf,
}

pub fn run(args: &Args, neurosearch: &Command, out: &mut Out) -> VerbResult {
    path_kind::folder(&args.dir)?;
    for program in Program::ALL {
        let mut command = without_help(program.command(neurosearch));
        command.build();
        pages(&command, program.section(), &args.dir, out)?;
    }
    Ok(Exit::Done)
}

/// Without the verb `help`, which says what the pages say.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

/// The page of a command, and those of its subcommands, however deep.
fn pages(command: &Command, section: &str, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    page(command, section, dir, out)?;
    command.get_subcommands().try_for_each(|sub| pages(sub, section, dir, out))
}

fn page(command: &Command, section: &str, dir: &Path, out: &mut Out) -> Result<(), Failure> {
    let source = concat!("neurosearch ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).section(section).source(source).manual("neurosearch");
    let path = dir.join(man.get_filename());
    let mut text = Vec::new();
    man.render(&mut text).map_err(|e| Failure::new(Exit::Failed, format!("cannot render {}: {e}", path.display())))?;
    atomic::replace(&path, &text)?;
    out.line(path.display())
}
