//! The changes over the control socket, one file for each verb.

pub mod add;
pub mod cancel;
pub mod command;
pub mod drain;
pub mod enqueue;
pub mod pause;
pub mod reload;
pub mod remove;
pub mod restore;
pub mod resume;
pub mod retry;
pub mod set;
pub mod shutdown;
