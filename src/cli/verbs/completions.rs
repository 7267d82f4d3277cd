//! `neurosearch completions`: what a shell needs to complete a program's command line.

use crate::cli::exit::{Exit, VerbResult};
use crate::cli::output::out::Out;
use crate::cli::programs::Program;
use clap::ValueEnum;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell they are for
    shell: Shell,
    /// The program they complete
    #[arg(default_value = "neurosearch")]
    program: Program,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args, neurosearch: &clap::Command, out: &mut Out) -> VerbResult {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut command = args.program.command(neurosearch);
    let name = command.get_name().to_string();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
