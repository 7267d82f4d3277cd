//! A network before it is built: its layers, its size in memory, and what it can take over.

pub mod architecture;
pub mod device_fit;
pub mod footprint;
pub mod precision;
pub mod transfer;
