//! The only code that touches the disk.

pub mod atomic;
pub mod error;
pub mod job;
pub mod launch;
pub mod layout;
pub mod lock;
pub mod progress;
pub mod record;
