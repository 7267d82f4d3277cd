//! Images as numbers: items, extraction, resizing and the metrics of predictions.

pub mod extract;
pub mod item_geometry;
pub mod metrics;
pub mod resize;
