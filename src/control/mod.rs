//! Requests, replies and the client of the control socket.

pub mod client;
pub mod reply;
pub mod request;
