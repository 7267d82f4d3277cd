//! The map of the crate: what each layer is for, in the order in which a layer may import another.
//!
//! - [`domain`]: values and rules; no disk, no clock, no async, no libtorch
//! - [`store`]: the only code that touches the disk (imports `domain`)
//! - [`check`]: a search space against its data (imports `domain`, `store`)
//! - [`executor`]: where a trainer runs, and the devices found (imports `domain`, `store`)
//! - [`engine`]: decisions as plain functions (imports `domain`)
//! - [`analysis`]: job folders become tables (imports `domain`, `store`, `executor`)
//! - [`control`]: requests, replies and the client (imports `domain`)
//! - [`daemon`]: the actors (imports all of the above)
//! - [`cli`]: the command line (imports all of the above but `engine` and `daemon`)
//!
//! The trainer is a program with modules of its own, under `src/trainer`, and the only one that names `tch`.

pub mod analysis;
pub mod check;
pub mod cli;
pub mod control;
pub mod daemon;
pub mod domain;
pub mod engine;
pub mod executor;
pub mod store;
#[cfg(test)]
pub(crate) mod testing;
