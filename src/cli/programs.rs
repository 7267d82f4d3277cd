//! The three programs' command lines, from which manual pages and completions are made.

use crate::executor::trainer_cli as trainer;
use crate::store::settings::arguments as daemon;

/// A program that neurosearch consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    Neurosearch,
    Neurosearchd,
    NeurosearchTrainer,
}

impl Program {
    pub const ALL: [Program; 3] = [Program::Neurosearch, Program::Neurosearchd, Program::NeurosearchTrainer];

    /// Its command line's definition; that of `neurosearch` names every verb, so the verbs are given it.
    pub fn command(self, neurosearch: &clap::Command) -> clap::Command {
        match self {
            Program::Neurosearch => neurosearch.clone(),
            Program::Neurosearchd => daemon::command(),
            Program::NeurosearchTrainer => trainer::command(),
        }
    }

    /// The manual's section: 8 is for what an administrator runs.
    pub const fn section(self) -> &'static str {
        match self {
            Program::Neurosearch | Program::NeurosearchTrainer => "1",
            Program::Neurosearchd => "8",
        }
    }
}
