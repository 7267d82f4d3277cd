//! The only code that touches the disk.

pub mod data;
pub mod formats;
pub mod fs;
pub mod records;
pub mod settings;
