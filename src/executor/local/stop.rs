//! When a trainer that was asked to end is killed: once its grace time is over.

use std::time::{Duration, Instant};

/// A trainer that was asked to end.
#[derive(Debug)]
pub struct TrainerStop {
    deadline: Instant,
    killed: bool,
}

impl TrainerStop {
    /// It was asked at `now`, and has `grace` to end by itself.
    pub fn begin(grace: Duration, now: Instant) -> Self {
        TrainerStop { deadline: now + grace, killed: false }
    }

    /// Ends the grace time at `deadline`, if that is sooner.
    pub fn hurry(&mut self, deadline: Instant) {
        self.deadline = self.deadline.min(deadline);
    }

    /// Whether to kill it now. True once.
    pub fn must_kill(&mut self, now: Instant) -> bool {
        let due = !self.killed && now >= self.deadline;
        self.killed |= due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_killed_once_when_the_grace_is_over_or_cut_short() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut stop = TrainerStop::begin(Duration::from_secs(60), begun);
        assert_eq!([0, 59, 60, 61].map(|seconds| stop.must_kill(after(seconds))), [false, false, true, false]);
        let mut stop = TrainerStop::begin(Duration::from_secs(60), begun);
        stop.hurry(after(90));
        assert!(!stop.must_kill(after(59)), "no later request gives more time");
        stop.hurry(after(10));
        assert!(stop.must_kill(after(10)));
    }
}
