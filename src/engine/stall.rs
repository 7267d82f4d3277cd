//! When a job that reports nothing new counts as stalled: by its own steps, never by a fixed time alone.

use crate::domain::progress::{Phase, Progress};

/// Steps' worth of silence that no healthy training needs.
const STEPS: f64 = 200.0;

/// Seconds without a new report after which the job is stalled; at least `least`.
///
/// While it trains, each step is a report. An evaluation goes once through all items, which takes no longer than as many
/// training steps; loading and writing have no step of their own.
pub fn limit(progress: Option<&Progress>, least: u64) -> u64 {
    let Some((progress, step)) = progress.and_then(|p| p.step_seconds.map(|step| (p, step))) else { return least };
    let steps = match progress.phase {
        Phase::Training => STEPS,
        Phase::Loading | Phase::Evaluating | Phase::Writing => STEPS + 4.0 * progress.batches as f64,
    };
    // Float to integer saturates, and a value that is no number becomes 0.
    least.max((steps * step) as u64)
}

/// Whether a report says anything that the one `before` it did not. The time of writing alone is no news: a trainer that only
/// says it lives is stalled.
pub fn is_news(before: Option<&Progress>, report: &Progress) -> bool {
    before.is_none_or(|before| Progress { written_at: report.written_at, ..before.clone() } != *report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::progress;

    fn report(phase: Phase, step_seconds: Option<f64>) -> Progress {
        Progress { folds: 1, epochs: 1, batches: 1000, phase, step_seconds, ..progress() }
    }

    #[test]
    fn the_limit_follows_the_jobs_own_steps_and_is_never_under_the_least() {
        assert_eq!(limit(None, 60), 60);
        assert_eq!(limit(Some(&report(Phase::Training, None)), 60), 60);
        assert_eq!(limit(Some(&report(Phase::Training, Some(0.01))), 60), 60);
        assert_eq!(limit(Some(&report(Phase::Training, Some(10.0))), 60), 2000);
        assert_eq!(limit(Some(&report(Phase::Evaluating, Some(1.0))), 60), 4200);
        assert_eq!(limit(Some(&report(Phase::Training, Some(f64::NAN))), 60), 60);
    }

    #[test]
    fn a_report_that_only_says_the_trainer_lives_is_no_news() {
        let before = report(Phase::Training, None);
        assert!(is_news(None, &before), "the first report");
        let changed = |change: fn(&mut Progress)| {
            let mut report = before.clone();
            change(&mut report);
            is_news(Some(&before), &report)
        };
        assert!(!changed(|_| {}));
        assert!(!changed(|report| report.written_at = 1.0));
        for change in [
            (|report| report.batches_done = 1) as fn(&mut Progress),
            |report| report.phase = Phase::Evaluating,
            |report| report.last_step_at = 1.0,
            |report| report.checkpoints = 1,
            |report| (report.written_at, report.epoch) = (1.0, 1),
        ] {
            assert!(changed(change));
        }
    }
}
