//! One trainer process (its program, start, identity and stop), and the devices and memory of this machine.

pub mod cache_folder;
pub mod exit_status;
pub mod local;
pub mod orphaned_job;
pub mod trainer_cli;
pub mod trainer_exit_code;
pub mod trainer_program;
pub mod trainer_status;

pub use exit_status::verdict;
pub use local::child::Child;
pub use local::process_identity::Identity;
pub use local::start::{Assignment, start};
pub use local::stop::Stop;
pub use local::warm_trainer::{Standby, Word};
pub use orphaned_job::shown;
pub use trainer_program::find_trainer;
pub use trainer_status::{Look, holder, look, look_after_end};
