//! Files and folders: safe opening, atomic replacement, locks and planned failures.

pub mod annex;
pub mod atomic;
mod become_user;
pub mod decode;
pub mod disk_fault;
pub mod error;
pub mod failpoint;
pub mod file_stamp;
pub mod lock;
pub mod open;
pub mod open_dir;
pub mod owned_path;
pub mod rights;
pub mod staging;
mod user;
mod walk;
