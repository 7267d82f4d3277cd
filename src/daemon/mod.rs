//! The daemon's actors, one file each, and the order of its start and shutdown.

pub mod accept;
pub mod analyzer;
pub mod arguments;
pub mod boot;
pub mod change;
pub mod configuration;
pub mod control;
pub mod devices;
pub mod draw;
pub mod listener;
pub mod logging;
pub mod look;
pub mod looking;
pub mod perform;
pub mod reading;
pub mod router;
pub mod sampler;
pub mod services;
pub mod systemd;
pub mod time_limit;
pub mod trainer;
pub mod verbs;
pub mod view;
pub mod watcher;
pub mod watches;
