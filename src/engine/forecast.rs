//! How long running jobs and whole searches will still take, from the reports of the trainers that run.

use crate::domain::job::JobName;
use crate::domain::progress::{Phase, Progress};
use std::collections::HashMap;

/// The running jobs' reports, and what jobs of this search have taken.
#[derive(Debug, Clone, Default)]
pub struct Courses {
    running: HashMap<JobName, Course>,
    /// Whole jobs that ended while the daemon looked on: their number, and the seconds of all.
    ended: (u32, f64),
}

/// One attempt: where it began to train, or is while it does not yet, and its last report.
#[derive(Debug, Clone)]
struct Course {
    begun: (f64, f64),
    trains: bool,
    last: Progress,
}

impl Course {
    /// Seconds that the whole job takes at the pace of this attempt; none while nothing tells the pace.
    fn whole(&self) -> Option<f64> {
        let (fraction, at) = self.begun;
        let (done, took) = (self.last.fraction() - fraction, self.last.written_at - at);
        (done > 0.0 && took > 0.0 && took.is_finite()).then_some(took / done)
    }

    fn left(&self, now: f64) -> Option<f64> {
        let since = (now - self.last.written_at).max(0.0);
        self.whole().map(|whole| (whole * (1.0 - self.last.fraction()) - since).max(0.0))
    }
}

impl Courses {
    pub fn progress(&self, job: &JobName) -> Option<&Progress> {
        self.running.get(job).map(|course| &course.last)
    }

    /// A trainer reported.
    pub fn report(&mut self, job: &JobName, progress: Progress) {
        let here = (progress.fraction(), progress.written_at);
        // An attempt that goes on finds out while it loads how far those before it came.
        let (begun, trained) = match self.running.get(job) {
            Some(course) if course.trains => (course.begun, true),
            _ => (here, false),
        };
        let trains = trained || progress.phase != Phase::Loading;
        self.running.insert(job.clone(), Course { begun, trains, last: progress });
    }

    /// Its trainer has ended.
    pub fn end(&mut self, job: &JobName) {
        if let Some(whole) = self.running.remove(job).and_then(|course| course.whole()) {
            self.ended = (self.ended.0 + 1, self.ended.1 + whole);
        }
    }

    /// Seconds until the job is done, at its pace so far; an early stop makes it sooner. `now` in seconds since the epoch.
    pub fn job_left(&self, job: &JobName, now: f64) -> Option<u64> {
        self.running.get(job)?.left(now).map(seconds)
    }

    /// Seconds until `waiting` jobs more are done behind those that run, with as many at once as run now. None if nothing
    /// runs, or nothing tells how long a job takes.
    pub fn search_left(&self, waiting: u64, now: f64) -> Option<u64> {
        let wholes: Vec<f64> = self.running.values().filter_map(Course::whole).collect();
        let known = f64::from(self.ended.0) + wholes.len() as f64;
        if known == 0.0 || self.running.is_empty() {
            return None;
        }
        let typical = (self.ended.1 + wholes.iter().sum::<f64>()) / known;
        let lefts: Vec<f64> = self.running.values().map(|course| course.left(now).unwrap_or(typical)).collect();
        Some(seconds(last_end(&lefts, waiting, typical)))
    }
}

/// When the last job ends, where each of `waiting` jobs takes `typical` and starts on the slot that is free first.
fn last_end(lefts: &[f64], waiting: u64, typical: f64) -> f64 {
    let slots = lefts.len() as u64;
    let mut ends = lefts.to_vec();
    ends.sort_by(f64::total_cmp);
    // Whole rounds move every slot alike; what is left of a round goes to those that are free first.
    let (rounds, rest) = (waiting / slots.max(1), waiting % slots.max(1));
    for (place, end) in ends.iter_mut().enumerate() {
        *end += typical * (rounds + u64::from((place as u64) < rest)) as f64;
    }
    ends.into_iter().fold(0.0, f64::max)
}

/// Float to integer saturates, and what is no number becomes 0.
fn seconds(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::progress;

    fn name(index: u64) -> JobName {
        JobName::numbered("job", index).expect("a name")
    }

    /// A report of a job of one fold with ten epochs.
    fn at(epoch: u32, written_at: f64) -> Progress {
        Progress { folds: 1, epoch, phase: Phase::Training, written_at, last_step_at: written_at, ..progress() }
    }

    #[test]
    fn a_job_goes_on_at_its_pace_since_this_attempt_began() {
        // First report, last report, now, seconds left.
        let cases = [
            (at(0, 100.0), at(5, 150.0), 150.0, Some(50)),
            // Resumed at epoch 8: what earlier attempts did says nothing about the pace.
            (at(8, 100.0), at(9, 130.0), 130.0, Some(30)),
            (at(0, 100.0), at(5, 150.0), 170.0, Some(30)),
            (at(0, 100.0), at(5, 150.0), 999.0, Some(0)),
            (at(0, 100.0), at(0, 150.0), 150.0, None),
            (at(3, 100.0), at(5, 100.0), 150.0, None),
            (at(3, 100.0), at(5, f64::NAN), 150.0, None),
        ];
        for (first, last, now, left) in cases {
            let mut courses = Courses::default();
            courses.report(&name(0), first.clone());
            courses.report(&name(0), last.clone());
            assert_eq!(courses.job_left(&name(0), now), left, "{first:?} {last:?}");
        }
        assert_eq!(Courses::default().job_left(&name(0), 0.0), None);
    }

    #[test]
    fn what_an_attempt_finds_done_while_it_loads_is_no_pace() {
        let mut courses = Courses::default();
        let loading = |epoch, written_at| Progress { phase: Phase::Loading, ..at(epoch, written_at) };
        courses.report(&name(0), loading(0, 100.0));
        courses.report(&name(0), loading(8, 101.0));
        assert_eq!(courses.job_left(&name(0), 101.0), None);
        courses.report(&name(0), at(8, 102.0));
        courses.report(&name(0), at(9, 132.0));
        assert_eq!(courses.job_left(&name(0), 132.0), Some(30));
        // A later fold loads too.
        courses.report(&name(0), loading(9, 142.0));
        assert_eq!(courses.job_left(&name(0), 142.0), Some(40));
        assert_eq!(courses.progress(&name(0)), Some(&loading(9, 142.0)));
    }

    #[test]
    fn waiting_jobs_start_on_the_slot_that_is_free_first() {
        // What runs has left, how many wait, how long one takes, when the last ends.
        let cases = [
            (vec![5.0], 0, 10.0, 5.0),
            (vec![5.0], 3, 10.0, 35.0),
            (vec![5.0, 9.0], 1, 10.0, 15.0),
            (vec![5.0, 9.0], 2, 10.0, 19.0),
            (vec![5.0, 9.0], 1_000_001, 10.0, 5_000_015.0),
            (vec![1.0, 50.0], 1, 10.0, 50.0),
            (vec![], 4, 10.0, 0.0),
        ];
        for (lefts, waiting, typical, end) in cases {
            assert_eq!(last_end(&lefts, waiting, typical), end, "{lefts:?} {waiting}");
        }
    }

    #[test]
    fn a_search_is_judged_by_what_its_jobs_took_and_by_nothing_where_none_tells() {
        let mut courses = Courses::default();
        assert_eq!(courses.search_left(3, 0.0), None);
        courses.report(&name(0), at(0, 0.0));
        assert_eq!(courses.search_left(3, 0.0), None, "no job has told its pace");
        courses.report(&name(0), at(5, 20.0));
        courses.end(&name(0));
        assert_eq!(courses.search_left(3, 20.0), None, "nothing runs");
        courses.report(&name(1), at(0, 20.0));
        assert_eq!(courses.search_left(1, 20.0), Some(80), "40 s for each, as the one that ended would have taken");
        courses.report(&name(1), at(5, 30.0));
        assert_eq!(courses.search_left(1, 30.0), Some(40), "10 s, and 30 s as the two take on average");
    }
}
