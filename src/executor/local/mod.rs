//! Trainers as processes of this machine, and the devices found on it.

pub mod child;
pub mod cpu;
pub mod gpus;
pub mod memory;
pub mod process_identity;
pub mod start;
pub mod stop;
pub mod warm_trainer;
