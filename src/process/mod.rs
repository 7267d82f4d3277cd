//! One trainer process (its program, start, identity and stop), and the devices and memory of this machine.

pub mod arguments;
pub mod cache;
pub mod child;
pub mod cpu;
pub mod devices;
pub mod exit;
pub mod identity;
pub mod look;
pub mod memory;
pub mod program;
pub mod shown;
pub mod standby;
pub mod start;
pub mod stop;
pub mod verdict;

pub use child::Child;
pub use identity::Identity;
pub use look::{Look, holder, look, look_after_end};
pub use program::find_trainer;
pub use shown::shown;
pub use standby::{Standby, Word};
pub use start::{Assignment, start};
pub use stop::Stop;
pub use verdict::verdict;
