//! The daemon's actors, one file each, and the order of its start and shutdown.

pub mod analyzer;
pub mod attempt_result;
pub mod blocking;
pub mod boot;
pub mod configuration;
pub mod context;
pub mod devices;
pub mod fs_events;
pub mod health;
pub mod http;
pub mod logging;
pub mod messages;
pub mod permissions;
mod ranking_json;
pub mod sampler;
pub mod systemd;
pub mod trainer;
pub mod watcher;
