//! Describes a search and its jobs for the control socket.

use super::Sampler;
use crate::control::reply::{self, Counts};
use crate::daemon::analyzer::Analyzer;
use crate::domain::device::Need;
use crate::domain::job::{JobName, JobState};
use crate::domain::text::natural_order;
use crate::engine::explain::{self, Explained};
use crate::engine::search_state;
use crate::engine::state::{Job, NO_INDEX, Space, Standing};
use crate::store::system::now;
use actix::{Addr, Handler, Message, MessageResult};

/// A search as `status` shows it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "reply::Search")]
pub struct DescribeSearch;

/// Its jobs, by index and then by name.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<reply::Job>")]
pub struct DescribeJobs;

/// One job, whether drawn or not yet. `None` if there will be no such job.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<Described>")]
pub struct DescribeJob(pub JobName);

/// The analyzer of this search.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Addr<Analyzer>")]
pub struct WhoTabulates;

/// A job and its description.
pub struct Described {
    pub job: reply::Job,
    pub need: Option<Need>,
    pub explained: Explained,
}

impl Sampler {
    fn describe(&self) -> reply::Search {
        let terms = self.search.terms.as_ref();
        let clock = now() as f64;
        let counts = self.search.counts();
        let running = self.search.jobs.iter().filter_map(|(name, job)| {
            job.lease().map(|lease| reply::Running {
                job: name.to_string(),
                device: lease.device.to_string(),
                since: job.since,
                attempt: job.history.attempts,
                progress: self.courses.progress(name).cloned(),
                left_seconds: self.courses.job_left(name, clock),
            })
        });
        let waiting = self.search.demand();
        let faults = match &self.search.space {
            Space::Refused(text) => text.lines().map(str::to_string).collect(),
            Space::Unsettled | Space::Missing | Space::Accepted => Vec::new(),
        };
        reply::Search {
            launch: self.launch.path().display().to_string(),
            state: search_state::of(&self.search, &counts, self.is_served()),
            alarms: self.describe_alarms(&counts),
            seed: terms.map(|terms| terms.seed),
            n_jobs: terms.map(|terms| terms.n_jobs),
            priority: terms.map_or(0, |terms| terms.priority),
            slots: terms.and_then(|terms| terms.slots),
            time_limit: terms.and_then(|terms| terms.time_limit),
            counts,
            faults,
            notices: self.accepted.as_ref().map(|accepted| accepted.notices.clone()).unwrap_or_default(),
            running: running.collect(),
            left_seconds: self.courses.search_left(waiting.cpu + waiting.gpu, clock),
        }
    }

    /// Without the lock, somebody else serves the directory. An unreadable folder raises an alarm, and the others continue.
    const fn is_served(&self) -> bool {
        self.locked.is_some() || self.alarms.is_empty()
    }

    /// Indices that are not drawn, because something that is not a job has their folder's name.
    pub(crate) fn taken(&self) -> Vec<(u64, JobName)> {
        let prefix = self.search.terms.as_ref().map_or("", |terms| &terms.job_prefix);
        self.search.taken.iter().filter_map(|index| Some((*index, JobName::numbered(prefix, *index).ok()?))).collect()
    }

    fn describe_alarms(&self, counts: &Counts) -> Vec<String> {
        let mut alarms = self.alarms.clone();
        alarms.extend(self.tables_trouble.clone());
        alarms.extend(self.search.holds.values().map(|why| format!("nothing new is started: {why}")));
        if self.search.time_over && !counts.is_over() {
            alarms.push(
                "the time limit is over: nothing new is started; `neurosearch set` gives more time_limit_hours".to_string(),
            );
        }
        if self.search.space == Space::Missing && counts.undrawn > 0 {
            alarms.push("random_search.json is gone: no new job is drawn until it is back".to_string());
        }
        alarms.extend(self.taken().into_iter().filter(|(_, name)| !self.search.jobs.contains_key(name)).map(|(_, name)| {
            format!(
                "{name} is not drawn: something that is no job has its name; move {} away",
                self.launch.job(&name).path().display()
            )
        }));
        for (name, job) in &self.search.jobs {
            if let Standing::Unclear(why) = &job.standing {
                alarms.push(format!("{name} is left alone: {why}"));
            }
            let away = job.elsewhere.as_ref().filter(|elsewhere| elsewhere.away);
            alarms.extend(away.map(|elsewhere| format!("{name}: {}", explain::by_another(elsewhere))));
            alarms.extend(job.trouble.iter().map(|trouble| format!("{name}: {trouble}")));
        }
        alarms
    }

    fn describe_job(&self, name: &JobName, job: &Job) -> reply::Job {
        let state = job.state();
        let (class, sentence) = match &state {
            Some(JobState::Failed { class, sentence }) => (Some(class.to_string()), Some(sentence.clone())),
            _ => (None, None),
        };
        reply::Job {
            name: name.to_string(),
            index: job.index,
            state: state.as_ref().map_or("unrecorded", JobState::as_str).to_string(),
            class,
            sentence,
            device: job.lease().map(|lease| lease.device.to_string()),
            since: job.lease().map(|_| job.since),
            attempts: job.history.attempts,
            failures_in_a_row: job.history.failures_in_a_row,
            last_failure: job.history.last_failure.clone(),
            progress: self.courses.progress(name).cloned(),
        }
    }

    fn described(&self, name: &JobName) -> Option<Described> {
        if let Some(job) = self.search.jobs.get(name) {
            let need = (!matches!(job.standing, Standing::Foreign(_))).then_some(job.need);
            return Some(Described {
                job: self.describe_job(name, job),
                need,
                explained: explain::known(&self.search, name, job),
            });
        }
        let terms = self.search.terms.as_ref()?;
        let index = explain::index_to_draw(&self.search, name)?;
        let explained = explain::undrawn(&self.search, index)?;
        let job =
            reply::Job { name: name.to_string(), index: Some(index), state: "undrawn".to_string(), ..reply::Job::default() };
        Some(Described { job, need: Some(terms.need), explained })
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
        let index = |job: &Job| job.index.unwrap_or(NO_INDEX);
        jobs.sort_by(|(a, x), (b, y)| index(x).cmp(&index(y)).then_with(|| natural_order::compare(a.as_str(), b.as_str())));
        MessageResult(jobs.into_iter().map(|(name, job)| self.describe_job(name, job)).collect())
    }
}

impl Handler<WhoTabulates> for Sampler {
    type Result = MessageResult<WhoTabulates>;

    fn handle(&mut self, _: WhoTabulates, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.analyzer.clone())
    }
}

impl Handler<DescribeJob> for Sampler {
    type Result = MessageResult<DescribeJob>;

    fn handle(&mut self, DescribeJob(name): DescribeJob, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.described(&name))
    }
}

#[cfg(test)]
mod tests {
    use crate::control::reply::SearchState;
    use crate::testing::sampler;

    #[actix::test]
    async fn a_search_whose_directory_cannot_be_had_is_shown_as_held() {
        let mut sampler = sampler("/nowhere/launch".as_ref());
        assert_eq!(sampler.describe().state, SearchState::Settling, "not looked at yet");
        sampler.alarms = vec!["another daemon serves this directory".to_string()];
        assert_eq!(sampler.describe().state, SearchState::Held);
        assert_eq!(sampler.describe().alarms, sampler.alarms);
    }
}
