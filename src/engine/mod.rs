//! Decisions of the daemon as plain functions of state and event.

pub mod choose;
pub mod coalesce;
pub mod command;
pub mod conclude;
pub mod effect;
pub mod explain;
pub mod fair;
pub mod forecast;
pub mod hold;
pub mod line;
pub mod outcome;
pub mod pool;
pub mod react;
pub mod rest;
pub mod restore;
pub mod stall;
pub mod state;
#[cfg(test)]
mod tests;
