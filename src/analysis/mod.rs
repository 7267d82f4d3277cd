//! Job folders become tables: how many jobs of a launch directory pass which balanced accuracy, and every job's options
//! against its results.

mod collect;
mod jobs_table;
mod launch_tables;
mod option_cells;
mod parallel;
mod ranking;
mod row;
mod row_cache;
mod threshold_table;
mod tsv_cells;

pub use collect::Notice;
pub use launch_tables::{SpaceFolds, Tables};
pub use ranking::{Ranked, RankedFold, Ranking, Text};
pub use row_cache::RowCache;
