//! The one integration binary: each module drives the real programs, or holds the source against the house's rules.

mod analysis;
mod needs;
mod network_shapes;
mod quarter;
mod search_checks;
mod search_verbs;
mod service;
