//! How the program ends: the documented exit codes, and the failure that carries one.

use crate::domain::text::fault::Faults;
use crate::store::fs::error::StoreError;
use std::fmt::Write;
use std::process::ExitCode;

/// Every way to end. The numbers are a promise to scripts and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// All that was asked for is there.
    Done,
    /// It was tried and did not succeed: a job failed, or a fold has no results.
    Failed,
    /// The command line itself is wrong.
    Usage,
    /// A file or folder that was given is refused: its content is faulty.
    BadInput,
    /// What was named is not there.
    NotFound,
    /// What would be made is there already, or is being made, and is not overwritten.
    Exists,
    /// No daemon answers at the socket.
    NoDaemon,
    /// The daemon answered, and refuses; or a job is a running daemon's own business.
    Refused,
    /// The output could not be written.
    Output,
    /// Interrupted (Ctrl-C, SIGTERM); what is finished is kept.
    Interrupted,
}

impl Exit {
    /// In the order of their codes.
    pub const ALL: &'static [Exit] = &[
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::BadInput,
        Exit::NotFound,
        Exit::Exists,
        Exit::NoDaemon,
        Exit::Refused,
        Exit::Output,
        Exit::Interrupted,
    ];

    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::BadInput => 3,
            Exit::NotFound => 4,
            Exit::Exists => 5,
            Exit::NoDaemon => 6,
            Exit::Refused => 7,
            Exit::Output => 8,
            Exit::Interrupted => 130,
        }
    }

    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "all that was asked for is there",
            Exit::Failed => "it was tried and did not succeed: a job failed, or a fold has no results",
            Exit::Usage => "the command line itself is wrong",
            Exit::BadInput => "a file or folder that was given is faulty",
            Exit::NotFound => "what was named is not there",
            Exit::Exists => "what would be made is there already, or is being made, and is not overwritten",
            Exit::NoDaemon => "no daemon answers at the socket",
            Exit::Refused => "the daemon refuses, or looks after the job itself",
            Exit::Output => "the output could not be written",
            Exit::Interrupted => "interrupted; what is finished is kept",
        }
    }

    /// The table that `--help` and the man page show.
    pub fn table() -> String {
        let mut text = String::from("Exit codes:\n");
        for exit in Exit::ALL {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:>5}  {}", exit.code(), exit.meaning());
        }
        text
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a verb could not do what it was asked: the code, and what stands on stderr (each line a sentence with its cure).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Failure {
    pub exit: Exit,
    pub sentence: String,
}

impl Failure {
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Failure { exit, sentence: sentence.into() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Content { .. } => Exit::BadInput,
            StoreError::Io { .. } if error.is_missing() => Exit::NotFound,
            StoreError::Io { .. } => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Failure::new(Exit::BadInput, faults.to_string())
    }
}

/// What a verb comes to: `Ok(Exit::Failed)` where it has already said why on stdout.
pub type VerbResult = Result<Exit, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_given_once_and_stands_in_the_table() {
        let table = Exit::table();
        for (i, exit) in Exit::ALL.iter().enumerate() {
            assert!(Exit::ALL[..i].iter().all(|other| other.code() < exit.code()), "{exit:?}");
            assert!(table.contains(exit.meaning()), "{exit:?}");
        }
    }
}
