//! Files and folders: safe opening, atomic replacement, locks and planned failures.

pub mod atomic;
pub mod decode;
pub mod disk_fault;
pub mod error;
pub mod failpoint;
pub mod file_stamp;
pub mod lock;
pub mod open;
pub mod open_dir;
pub mod owned_path;
pub mod staging;
