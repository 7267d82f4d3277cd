//! Values and rules of the field: no disk, no clock, no async, no libtorch.

pub mod attempt_history;
pub mod data;
pub mod device;
pub mod folds;
pub mod input;
pub mod job;
pub mod missing_input;
pub mod mode;
pub mod network;
pub mod options;
pub mod plain_name;
pub mod progress;
pub mod random;
pub mod search_state;
pub mod search_terms;
pub mod seed;
pub mod space;
pub mod stopping;
pub mod text;
pub mod words;
