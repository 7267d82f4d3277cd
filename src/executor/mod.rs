//! The interface for running trainers, and its implementation on this machine.

pub mod assignment;
pub mod cache_folder;
pub mod found_devices;
pub mod last_words;
pub mod local;
pub mod orphaned_job;
pub mod run;
pub mod trainer_cli;
pub mod trainer_exit_code;
pub mod trainer_program;
pub mod trainer_status;

pub use assignment::Assignment;
pub use local::process_identity::Identity;
pub use local::processes::Processes;
pub use orphaned_job::shown;
pub use run::{Executor, FoundRun, NotStarted, Run, RunState};
pub use trainer_status::{TrainerStatus, holder, trainer_status, trainer_status_after_end};
