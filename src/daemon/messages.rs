//! Messages between actors that need to know nothing else about each other.

use crate::domain::device::Need;
use crate::engine::state::Lease;
use crate::store::records::layout::LaunchDir;
use actix::{Message, Recipient};
use std::time::Duration;

/// How long an actor may take to answer [`AreYouThere`].
pub const ALIVE: Duration = Duration::from_secs(5);

/// Answered once every earlier message has been handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct AreYouThere;

/// Scan the directory: something happened there, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum LookNow {
    /// An event was the reason.
    Hint,
    /// The timer was the reason. Skipped if scans are slow.
    Timer,
}

/// A slot was granted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Granted(pub Lease);

/// There is no device of that kind.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct NoDevice {
    pub need: Need,
    pub sentence: String,
}

/// A search has scanned once. Either its live trainers have claimed their slots, or it is refused and has none to wait for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ready(pub LaunchDir);

/// A search has ended with its directory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Gone {
    pub launch: LaunchDir,
    /// Distinguishes it from another sampler that has the directory by now.
    pub sampler: Recipient<LookNow>,
}
