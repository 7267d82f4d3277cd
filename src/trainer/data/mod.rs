//! What a network is fed: datasets, loading, augmentation and order.

pub mod augment;
pub mod dataset;
pub mod device_cache;
pub mod epoch_order;
pub mod gpu_feed;
pub mod loader;
pub mod rng;
