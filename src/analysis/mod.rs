//! Job folders become tables: how many jobs of a launch directory pass which balanced accuracy, and every job's options
//! against its results.

mod cells;
mod collect;
mod jobs_table;
mod known;
mod members;
mod options;
mod ranking;
mod row;
mod spread;
mod table;
mod tables;

pub use collect::Notice;
pub use known::Known;
pub use ranking::{Ranked, RankedFold, Ranking, Text};
pub use tables::Tables;
