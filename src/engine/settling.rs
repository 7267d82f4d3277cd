//! When a file that somebody may still be writing is believed: once it has stayed as it is for a while.

use std::time::{Duration, Instant};

/// The file as it was last seen to change, and when that was; `S` tells one content from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settling<S> {
    seen: Option<(S, Instant)>,
}

impl<S> Default for Settling<S> {
    fn default() -> Self {
        Settling { seen: None }
    }
}

impl<S: Copy + PartialEq> Settling<S> {
    /// The file was seen as `stamp`, and is not believed yet. Gives the time after which to look again.
    pub fn on_seen(&mut self, stamp: S, now: Instant, settle: Duration) -> Duration {
        let since = self.seen.filter(|(old, _)| *old == stamp).map_or(now, |(_, since)| since);
        self.seen = Some((stamp, since));
        settle.saturating_sub(now.saturating_duration_since(since))
    }

    /// The file is gone.
    pub const fn on_missing(&mut self) {
        self.seen = None;
    }

    /// The file as it has been for long enough; it is believed only if it still is so.
    pub fn settled(&self, now: Instant, settle: Duration) -> Option<S> {
        let long_enough = |since: Instant| now.saturating_duration_since(since) >= settle;
        self.seen.filter(|(_, since)| long_enough(*since)).map(|(stamp, _)| stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_believed_once_it_has_stayed_the_same_for_the_settling_time() {
        let settle = Duration::from_secs(10);
        let begin = Instant::now();
        let mut file = Settling::default();
        // Seconds, the stamp seen then, the pause until the next look, and what was believed just before.
        for (at, stamp, pause, believed) in [
            (0, 'a', 10, None),
            (4, 'a', 6, None),
            (9, 'b', 10, None),
            (18, 'b', 1, None),
            (19, 'b', 0, Some('b')),
            (30, 'c', 10, Some('b')),
            (31, 'c', 9, None),
        ] {
            let now = begin + Duration::from_secs(at);
            assert_eq!(file.settled(now, settle), believed, "at {at}");
            assert_eq!(file.on_seen(stamp, now, settle), Duration::from_secs(pause), "at {at}");
        }
        file.on_missing();
        assert_eq!(file.settled(begin + Duration::from_secs(60), settle), None, "the file is gone");
    }
}
