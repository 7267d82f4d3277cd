//! Text for people: faults, escaping, quoting, natural order and units.

pub mod escape;
pub mod fault;
pub mod natural_order;
pub mod quote;
pub mod units;
