//! Decisions of the daemon as plain functions of state and event.

pub mod attempt_end;
pub mod coalesce;
pub mod command;
pub mod device_names;
pub mod effect;
pub mod explain;
pub mod fairness;
pub mod forecast;
pub mod holds;
pub mod outcome;
pub mod pool;
pub mod react;
pub mod rescan_pause;
pub mod restore;
pub mod search_state;
pub mod settling;
pub mod stall;
pub mod state;
#[cfg(test)]
mod tests;
pub mod why_waiting;
