//! The exit codes of a trainer's process, for callers that do not read `end.json`.

use crate::domain::job::FailureClass;
use crate::store::fs::error::StoreError;
use std::process::ExitCode;

/// The exit codes of `neurosearch-trainer`, as its help lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// A failure that may not happen again: a panic, or a folder that cannot be used.
    Crashed,
    /// The command line is wrong, or the folder is not one.
    Usage,
    /// Another trainer holds the job.
    Busy,
    /// It was asked to stop. The last epoch is kept.
    Interrupted,
    /// A result could not be written, or an input could not be read just now. What was written before is kept.
    Disk,
    BadOptions,
    BadData,
    OutOfMemory,
    Device,
}

impl Exit {
    pub const ALL: [(Exit, &'static str); 10] = [
        (Exit::Done, "done: every fold has its results"),
        (Exit::Crashed, "failed in a way that may not come again; the log says how"),
        (Exit::Usage, "wrong command line, or no such folder"),
        (Exit::Busy, "another trainer holds the job"),
        (Exit::Interrupted, "interrupted by SIGTERM or SIGINT; the last epoch is kept"),
        (Exit::Disk, "a disk is full, read-only, failing or out of reach; the last epoch that was written is kept"),
        (Exit::BadOptions, "the options cannot train"),
        (Exit::BadData, "an image, label file or transfer source cannot be used"),
        (Exit::OutOfMemory, "memory ran out"),
        (Exit::Device, "the device failed, or there is none"),
    ];

    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Crashed => 1,
            Exit::Usage => 2,
            Exit::Busy => 3,
            Exit::Interrupted => 4,
            Exit::Disk => 5,
            Exit::BadOptions => 10,
            Exit::BadData => 11,
            Exit::OutOfMemory => 12,
            Exit::Device => 13,
        }
    }

    /// The class of a failure of which only the exit code tells.
    pub fn class(code: i32) -> FailureClass {
        let classes = [FailureClass::BadOptions, FailureClass::BadData, FailureClass::OutOfMemory, FailureClass::Device];
        let told = |class: &FailureClass| i32::from(Exit::of(*class).code()) == code;
        classes.into_iter().find(told).unwrap_or(FailureClass::Crashed)
    }

    /// The exit code of a trainer that could not write one of its records.
    pub fn unwritten(error: &StoreError) -> Self {
        if error.is_of_the_disk() { Exit::Disk } else { Exit::Crashed }
    }

    /// The exit code of a failed job.
    pub const fn of(class: FailureClass) -> Self {
        match class {
            FailureClass::BadOptions | FailureClass::TooLarge => Exit::BadOptions,
            FailureClass::BadData => Exit::BadData,
            FailureClass::OutOfMemory => Exit::OutOfMemory,
            FailureClass::Device => Exit::Device,
            FailureClass::Crashed | FailureClass::Killed | FailureClass::Stalled | FailureClass::Lost => Exit::Crashed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
