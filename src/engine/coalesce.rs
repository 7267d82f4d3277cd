//! Work that is asked for more often than it need be done: any number of requests during a run cost one more run.

/// Idle, running, or running with another run due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Coalesce {
    #[default]
    Idle,
    Running,
    RunningDue,
}

impl Coalesce {
    /// Somebody asks for a run; true: start one now.
    pub fn on_request(&mut self) -> bool {
        let start = *self == Coalesce::Idle;
        *self = if start { Coalesce::Running } else { Coalesce::RunningDue };
        start
    }

    /// The run is over; true: start the next one.
    pub fn on_finished(&mut self) -> bool {
        let again = *self == Coalesce::RunningDue;
        *self = if again { Coalesce::Running } else { Coalesce::Idle };
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_requests_during_a_run_cost_one_more_run() {
        let mut work = Coalesce::default();
        assert!(work.on_request());
        for _ in 0..100 {
            assert!(!work.on_request());
        }
        assert!(work.on_finished());
        assert!(!work.on_finished());
        assert_eq!(work, Coalesce::Idle);
        assert!(work.on_request());
    }
}
