//! The data that a job reads: CAPS folders, label tables and decoded volumes.

pub mod caps;
pub mod extracted_items;
pub mod image_files;
pub mod item_reader;
pub mod label_tree;
pub mod labels;
pub mod missing_image;
pub mod probe;
pub mod volume_cache;
pub mod volume_cache_entry;
pub mod volumes;
