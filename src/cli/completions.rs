//! `neurosearch completions`: what a shell needs to complete the command line.

use super::exit::{Exit, Outcome};
use super::out::Out;

/// Print the completions for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell they are for
    shell: Shell,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args, out: &mut Out) -> Outcome {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "neurosearch", &mut script);
    out.raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
