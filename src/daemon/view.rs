//! What a search shows of itself over the control socket.

use super::sampler::Sampler;
use crate::control::types::{self, Counts, SearchState};
use crate::domain::job::{JobName, JobState};
use crate::engine::state::{Job, NO_INDEX, Space, Standing};
use actix::{Handler, Message, MessageResult};

/// A search as `status` shows it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "types::Search")]
pub struct DescribeSearch;

/// Its jobs, by index and then by name.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<types::Job>")]
pub struct DescribeJobs;

/// One job, and what it is doing or waiting for; none where there is no such job.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<(types::Job, String)>")]
pub struct DescribeJob(pub JobName);

impl Sampler {
    fn describe(&self) -> types::Search {
        let terms = self.search.terms.as_ref();
        let mut counts = Counts { undrawn: self.search.undrawn(), ..Counts::default() };
        for job in self.search.jobs.values() {
            counts.add(job.state().as_ref());
        }
        let running = self.search.jobs.iter().filter_map(|(name, job)| {
            job.lease().map(|lease| types::Running {
                job: name.to_string(),
                device: lease.device.clone(),
                since: job.since,
                attempt: job.attempts,
                progress: self.progress.get(name).cloned(),
            })
        });
        let faults = match &self.search.space {
            Space::Refused(text) => text.lines().map(str::to_string).collect(),
            Space::Unsettled | Space::Missing | Space::Accepted => Vec::new(),
        };
        types::Search {
            launch: self.launch.path().display().to_string(),
            state: self.state(&counts),
            seed: terms.map(|terms| terms.seed),
            n_jobs: terms.map(|terms| terms.n_jobs),
            priority: terms.map_or(0, |terms| terms.priority),
            slots: terms.and_then(|terms| terms.slots),
            counts,
            faults,
            notices: self.accepted.as_ref().map(|accepted| accepted.notices.clone()).unwrap_or_default(),
            alarms: self.describe_alarms(),
            running: running.collect(),
        }
    }

    fn state(&self, counts: &Counts) -> SearchState {
        let over = counts.queued + counts.running + counts.paused + counts.undrawn == 0;
        match &self.search.space {
            Space::Refused(_) => SearchState::Refused,
            _ if self.search.held.is_some() || !self.alarms.is_empty() => SearchState::Held,
            _ if self.search.terms.as_ref().is_some_and(|terms| terms.paused) => SearchState::Paused,
            _ if self.search.terms.is_some() && over => SearchState::Finished,
            Space::Unsettled => SearchState::Settling,
            Space::Missing | Space::Accepted => SearchState::Active,
        }
    }

    fn describe_alarms(&self) -> Vec<String> {
        let mut alarms = self.alarms.clone();
        alarms.extend(self.search.held.iter().map(|why| format!("nothing new is started: {why}")));
        if self.search.time_over {
            alarms.push(
                "the time limit is over: nothing new is started; `neurosearch set` gives more time_limit_hours".to_string(),
            );
        }
        if self.search.space == Space::Missing && self.search.undrawn() > 0 {
            alarms.push("random_search.json is gone: no new job is drawn until it is back".to_string());
        }
        for (name, job) in &self.search.jobs {
            if let Standing::Unclear(why) = &job.standing {
                alarms.push(format!("{name} is left alone: {why}"));
            }
        }
        alarms
    }

    fn describe_job(&self, name: &JobName, job: &Job) -> types::Job {
        let state = job.state();
        let (class, sentence) = match &state {
            Some(JobState::Failed { class, sentence }) => (Some(class.to_string()), Some(sentence.clone())),
            _ => (None, None),
        };
        types::Job {
            name: name.to_string(),
            index: job.index,
            state: state.as_ref().map_or("unrecorded", JobState::as_str).to_string(),
            class,
            sentence,
            device: job.lease().map(|lease| lease.device.clone()),
            since: job.lease().map(|_| job.since),
            attempts: job.attempts,
            failures_in_a_row: job.failures_in_a_row,
            progress: self.progress.get(name).cloned(),
        }
    }

    /// One sentence: what the job is doing, or what it waits for.
    fn why(&self, job: &Job) -> String {
        match &job.standing {
            Standing::Waiting => match (&self.search.held, self.search.terms.as_ref().is_some_and(|terms| terms.paused)) {
                (Some(held), _) => format!("it waits because nothing new is started: {held}"),
                (None, true) => "it waits because its search is paused; resume the search".to_string(),
                (None, false) => format!("it waits for a free slot on {}", crate::engine::pool::called(job.need)),
            },
            Standing::Resting => {
                format!("it failed {} times in a row and pauses before the next attempt", job.failures_in_a_row)
            }
            Standing::Starting(lease) => format!("its trainer is being started on {}", lease.device),
            Standing::Adopting => "its live trainer is being taken over".to_string(),
            Standing::Running(lease) => format!("it runs on {}, attempt {}", lease.device, job.attempts),
            Standing::Unclear(why) => format!("it is left alone: {why}"),
            Standing::Stopping(lease, _) => format!("it was asked to stop, on {}", lease.device),
            Standing::Paused => "it is paused; resume it".to_string(),
            Standing::Done => "every fold has its results".to_string(),
            Standing::Cancelled => "it was cancelled; retry starts it again".to_string(),
            Standing::Failed(class, sentence) => format!("it failed ({class}): {sentence}"),
            Standing::Foreign(_) => "somebody else runs it, or it was made elsewhere; the daemon only tabulates it".to_string(),
        }
    }
}

impl Handler<DescribeSearch> for Sampler {
    type Result = MessageResult<DescribeSearch>;

    fn handle(&mut self, _: DescribeSearch, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.describe())
    }
}

impl Handler<DescribeJobs> for Sampler {
    type Result = MessageResult<DescribeJobs>;

    fn handle(&mut self, _: DescribeJobs, _: &mut Self::Context) -> Self::Result {
        let mut jobs: Vec<(&JobName, &Job)> = self.search.jobs.iter().collect();
        jobs.sort_by_key(|(name, job)| (job.index.unwrap_or(NO_INDEX), *name));
        MessageResult(jobs.into_iter().map(|(name, job)| self.describe_job(name, job)).collect())
    }
}

impl Handler<DescribeJob> for Sampler {
    type Result = MessageResult<DescribeJob>;

    fn handle(&mut self, DescribeJob(name): DescribeJob, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.search.jobs.get(&name).map(|job| (self.describe_job(&name, job), self.why(job))))
    }
}
