//! Text for people: faults, escaping, natural order and units.

pub mod escape;
pub mod fault;
pub mod natural_order;
pub mod units;
