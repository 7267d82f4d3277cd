//! The only code that touches the disk.

pub mod atomic;
pub mod cache;
mod cache_entry;
pub mod caps;
pub mod error;
pub mod job;
pub mod labels;
pub mod launch;
pub mod layout;
pub mod lock;
pub mod new_job;
pub mod nifti;
mod nifti_header;
mod nifti_write;
mod pickle;
mod pickle_globals;
mod pickle_write;
pub mod progress;
pub mod record;
pub mod results;
pub mod scan;
pub mod settings;
pub mod space_file;
pub mod torch_file;
pub mod torch_tensor;
pub mod tsv;
pub mod volumes;
