//! The control socket: identifies the user, reads the request, and answers over HTTP.

pub mod app;
pub mod browser;
pub mod change;
pub mod connection_quota;
pub mod extract;
pub mod peer;
pub mod refusal;
pub mod results;
pub mod rights;
pub mod router;
pub mod server;
pub mod socket;
pub mod target;
pub mod verbs;
