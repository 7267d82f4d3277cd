//! Runs trainers as processes of this machine, and finds its devices.

pub mod child;
pub mod cpu;
mod exit_status;
pub mod gpus;
mod handed_lock;
mod live_trainers;
pub mod memory;
mod process_handle;
pub mod process_identity;
pub mod processes;
pub mod start;
pub mod stop;
mod trainer_evidence;
mod trainer_process;
mod warm_pool;
pub mod warm_trainer;
