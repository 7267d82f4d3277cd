//! The only code that touches the disk.

pub mod atomic;
pub mod error;
pub mod job;
pub mod launch;
pub mod layout;
pub mod lock;
mod pickle;
mod pickle_globals;
mod pickle_write;
pub mod progress;
pub mod record;
pub mod torch_file;
pub mod torch_tensor;
