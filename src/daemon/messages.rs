//! What actors tell those that started them, or any other, without knowing more of them than that they listen.

use crate::domain::device::Need;
use crate::engine::state::Lease;
use crate::store::records::layout::LaunchDir;
use actix::{Message, Recipient};
use std::time::Duration;

/// How long an actor may take to answer [`AreYouThere`].
pub const ALIVE: Duration = Duration::from_secs(5);

/// Answered once every message before it was handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct AreYouThere;

/// Look at the directory: something happened there, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum LookNow {
    /// An event told so.
    Hint,
    /// The timer did, which is skipped where looks are slow.
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

/// A search has looked once: its live trainers have claimed their slots, or it is refused, and none can be waited for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ready(pub LaunchDir);

/// A search has ended with its directory.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Gone {
    pub launch: LaunchDir,
    /// Tells it from another one that has the directory by now.
    pub sampler: Recipient<LookNow>,
}
