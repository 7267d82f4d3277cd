//! The changes that are more than a command to a search: jobs of one's own choosing, directories, the daemon as a whole.

pub mod add;
pub mod drain;
pub mod enqueue;
pub mod reload;
pub mod remove;
