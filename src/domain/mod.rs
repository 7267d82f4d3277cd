//! Values and rules of the field: no disk, no clock, no async, no libtorch.

pub mod architecture;
pub mod device;
pub mod fault;
pub mod items;
pub mod job;
pub mod metrics;
pub mod options;
pub mod policy;
pub mod progress;
pub mod seed;
