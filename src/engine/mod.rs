//! Decisions of the daemon as plain functions of state and event.
