//! Values and rules of the field: no disk, no clock, no async, no libtorch.

pub mod architecture;
pub mod commandline;
pub mod commandline_write;
pub mod device;
pub mod draw;
pub mod escape;
pub mod extract;
pub mod fault;
pub mod fit;
pub mod footprint;
pub mod items;
pub mod job;
pub mod json;
pub mod keys;
pub mod metrics;
pub mod natural;
pub mod options;
pub mod policy;
pub mod precision;
pub mod progress;
pub mod reader;
pub mod resize;
pub mod schema;
pub mod seed;
pub mod space;
pub mod transfer;
