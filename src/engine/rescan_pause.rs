//! How long a regular look rests after the last one, so that slow file systems are not kept busy by looks.

use std::time::Duration;

/// A thousandth of the time goes into looks at most, and what appeared is found within this many regular looks all the same.
const MOST: u32 = 10;

/// The time from the end of a look that took `took` to the next regular one, where looks are due every `rescan`.
pub fn after(took: Duration, rescan: Duration) -> Duration {
    took.saturating_mul(1000).min(rescan.saturating_mul(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_look_is_repeated_more_seldom_and_never_more_seldom_than_every_tenth_time() {
        let rest = |took: f64| after(Duration::from_secs_f64(took), Duration::from_secs(30)).as_secs_f64();
        assert_eq!([rest(0.0), rest(0.002), rest(0.1), rest(40.0)], [0.0, 2.0, 100.0, 300.0]);
        assert_eq!(after(Duration::MAX, Duration::from_secs(1)), Duration::from_secs(10));
    }
}
