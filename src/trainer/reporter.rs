//! What ties the work to the world outside: the wish that it stop, and the reports of how far it is.

use super::stderr::note;
use super::stop::TrainingStop;
use neurosearch::domain::progress::{Phase, Progress};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::records::progress;
use neurosearch::store::system;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two reports at least this long.
const INTERVAL: Duration = Duration::from_secs(1);
/// Steps whose median is reported.
const STEPS: usize = 101;

/// Set by SIGTERM and SIGINT.
#[derive(Debug, Clone)]
pub struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// From now on the signals end the work at the next batch, not the process at once.
    pub fn listen() -> std::io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Interruption(flag))
    }

    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Seconds since the Unix epoch.
pub fn now() -> f64 {
    system::since_epoch().as_secs_f64()
}

/// The job's progress, and whether it shall go on.
#[derive(Debug)]
pub struct Reporter {
    interruption: Interruption,
    job: JobDir,
    pub progress: Progress,
    reported: Option<Instant>,
    /// Seconds of the last steps, the oldest replaced in turn.
    steps: Vec<f64>,
    next_step: usize,
    /// Seconds in each phase that was left, and when the present one began.
    spent: [(Phase, f64); 4],
    entered: Instant,
}

impl Reporter {
    /// `folds` is how many the job has; counts of checkpoints go on where the last attempt's report left them.
    pub fn new(interruption: Interruption, job: JobDir, folds: u32, epochs: u32) -> Self {
        let checkpoints = progress::checkpoints(&job);
        let progress = Progress {
            version: 1,
            fold: 0,
            folds_done: 0,
            folds,
            network: None,
            networks: None,
            epoch: 0,
            epochs,
            batches_done: 0,
            batches: 0,
            phase: Phase::Loading,
            loss_train: None,
            loss_valid: None,
            balanced_accuracy_train: None,
            balanced_accuracy_valid: None,
            step_seconds: None,
            written_at: now(),
            last_step_at: now(),
            checkpoints,
        };
        Reporter {
            interruption,
            job,
            progress,
            reported: None,
            steps: Vec::new(),
            next_step: 0,
            spent: [Phase::Loading, Phase::Training, Phase::Evaluating, Phase::Writing].map(|phase| (phase, 0.0)),
            entered: Instant::now(),
        }
    }

    /// Reports if it is time, and is the end of the work if somebody asked for it. Called after every batch.
    pub fn check(&mut self) -> Result<(), TrainingStop> {
        self.report();
        if self.interruption.asked() { Err(TrainingStop::Interrupted) } else { Ok(()) }
    }

    /// A training step has ended that took so long.
    pub fn stepped(&mut self, seconds: f64) {
        if self.steps.len() < STEPS {
            self.steps.push(seconds);
        } else {
            self.steps[self.next_step % STEPS] = seconds;
        }
        if self.next_step == 0 {
            note(format_args!("the first step ended at {}", jiff::Timestamp::now().strftime("%FT%H:%M:%S.%3fZ")));
        }
        self.next_step += 1;
        self.progress.batches_done += 1;
        self.progress.last_step_at = now();
    }

    /// Begins a fold, or one of its networks. From here on, nothing of the one before is reported as its own.
    pub fn begin(&mut self, fold: u32, network: Option<(u32, u32)>) {
        let progress = &mut self.progress;
        progress.fold = fold;
        (progress.network, progress.networks) = network.unzip();
        (progress.epoch, progress.batches_done, progress.batches) = (0, 0, 0);
        (progress.loss_train, progress.loss_valid) = (None, None);
        (progress.balanced_accuracy_train, progress.balanced_accuracy_valid) = (None, None);
    }

    pub fn enter(&mut self, phase: Phase) {
        self.leave();
        self.progress.phase = phase;
        self.report();
    }

    /// Counts the present phase's time up to now.
    fn leave(&mut self) {
        let seconds = self.entered.elapsed().as_secs_f64();
        self.spent.iter_mut().filter(|(phase, _)| *phase == self.progress.phase).for_each(|(_, sum)| *sum += seconds);
        self.entered = Instant::now();
    }

    /// Seconds that this attempt spent in each phase so far.
    pub fn spent(&mut self) -> [(Phase, f64); 4] {
        self.leave();
        self.spent
    }

    /// The last report: every fold has its results.
    pub fn conclude(&mut self) {
        self.progress.folds_done = self.progress.folds;
        self.report_now();
    }

    /// A report that waits for no interval.
    pub fn report_now(&mut self) {
        self.reported = None;
        self.report();
    }

    /// Replaces the report unless the last one is younger than a second. What cannot be written is no reason to stop.
    fn report(&mut self) {
        if self.reported.is_some_and(|at| at.elapsed() < INTERVAL) {
            return;
        }
        self.reported = Some(Instant::now());
        self.progress.written_at = now();
        self.progress.step_seconds = median(&self.steps);
        if let Err(error) = progress::write(&self.job, &self.progress) {
            note(format_args!("the progress is not reported: {error}"));
        }
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn control(job: &JobDir) -> Reporter {
        std::fs::create_dir_all(job.private()).expect("made");
        Reporter::new(Interruption(Arc::new(AtomicBool::new(false))), job.clone(), 2, 20)
    }

    #[test]
    fn reports_are_at_least_a_second_apart() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        let mut control = control(&job);
        control.check().expect("goes on");
        for _ in 0..1_000 {
            control.stepped(0.001);
            control.check().expect("goes on");
        }
        assert_eq!(progress::read(&job).expect("read").expect("a report").batches_done, 0);
        control.reported = Some(Instant::now() - INTERVAL);
        control.check().expect("goes on");
        let report = progress::read(&job).expect("read").expect("a report");
        assert_eq!((report.batches_done, report.step_seconds), (1_000, Some(0.001)));
    }

    #[test]
    fn time_counts_for_the_phase_it_passed_in() {
        let dir = tempdir();
        let mut control = control(&JobDir::new(dir.path()));
        for (phase, minutes) in [(Phase::Training, 2), (Phase::Evaluating, 1), (Phase::Training, 3)] {
            control.enter(phase);
            control.entered -= Duration::from_secs(60 * minutes);
        }
        let minutes = control.spent().map(|(phase, seconds)| (phase, (seconds / 60.0).round()));
        assert_eq!(minutes, [(Phase::Loading, 0.0), (Phase::Training, 5.0), (Phase::Evaluating, 1.0), (Phase::Writing, 0.0)]);
    }

    #[test]
    fn a_wish_to_stop_is_heard_at_the_next_check() {
        let dir = tempdir();
        let mut control = control(&JobDir::new(dir.path()));
        control.interruption.0.store(true, Ordering::Relaxed);
        assert!(matches!(control.check(), Err(TrainingStop::Interrupted)));
    }

    #[test]
    fn checkpoints_are_counted_over_all_attempts() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        let mut first = control(&job);
        first.progress.checkpoints = 7;
        first.enter(Phase::Writing);
        assert_eq!(control(&job).progress.checkpoints, 7);
    }

    #[test]
    fn a_fold_that_is_taken_up_shows_nothing_of_the_one_before() {
        let dir = tempdir();
        let mut control = control(&JobDir::new(dir.path()));
        let fresh = Progress { fold: 1, network: Some(2), networks: Some(36), ..control.progress.clone() };
        control.progress = Progress {
            network: Some(35),
            networks: Some(36),
            epoch: 4,
            batches_done: 3,
            batches: 3,
            loss_train: Some(0.5),
            loss_valid: Some(0.5),
            balanced_accuracy_train: Some(1.0),
            balanced_accuracy_valid: Some(1.0),
            ..control.progress
        };
        control.begin(1, Some((2, 36)));
        assert_eq!(control.progress, fresh);
    }

    #[test]
    fn the_last_report_counts_every_fold_as_done_however_young_the_one_before_it_is() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        let mut control = control(&job);
        control.enter(Phase::Writing);
        control.conclude();
        let report = progress::read(&job).expect("read").expect("a report");
        assert_eq!((report.folds_done, report.folds), (2, 2));
    }

    #[test]
    fn the_median_forgets_outliers() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
    }
}
