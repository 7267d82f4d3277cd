//! The only code that touches the disk, the clock and the system's randomness.

pub mod data;
pub mod formats;
pub mod fs;
pub mod records;
pub mod settings;
pub mod system;
