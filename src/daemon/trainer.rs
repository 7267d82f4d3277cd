//! The actor for one running job on one device: starts or adopts its trainer, follows it, stops it.

use super::attempt_result::{AttemptResult, what_is_left};
use super::context::Services;
use super::messages::AreYouThere;
use crate::domain::job::{Ended, JobName};
use crate::domain::progress::Progress;
use crate::engine::outcome::Outcome;
use crate::engine::stall;
use crate::executor::{Assignment, NotStarted, Run, RunState, TrainerStatus, trainer_status};
use crate::store::records::layout::JobDir;
use crate::store::records::progress;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use std::future::Future;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinError;
use tracing::{info, warn};

/// How often a run is polled if nothing reports its end, or if it was told to stop.
const LOOK: Duration = Duration::from_millis(250);

/// How often the progress record is read. The trainer replaces it at most once a second.
const FOLLOW: Duration = Duration::from_secs(1);

/// How to obtain the trainer.
#[derive(Debug)]
pub enum Role {
    Start(Assignment),
    /// It is already alive. `attempt` is the last recorded one.
    Adopt {
        attempt: u32,
    },
}

/// An event in a job's life, sent to its search.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Report {
    pub job: JobName,
    pub news: News,
}

/// One event.
#[derive(Debug)]
pub enum News {
    Started,
    /// Nothing runs, because of the environment. The sentence says why.
    NotStarted(String),
    /// Nothing runs, because of the job's own folder.
    NotStartable(String),
    /// What prevents following or stopping it.
    Trouble(String),
    Progress {
        progress: Box<Progress>,
        fold_finished: bool,
    },
    /// No report for longer than the job's own steps explain.
    Stalled,
    /// The last report. The actor ends with it.
    Ended(Outcome),
}

/// Ask the trainer to stop: signal, grace, kill.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopIt;

/// One job's trainer.
pub struct Trainer {
    services: Services,
    name: JobName,
    job: JobDir,
    sampler: Recipient<Report>,
    role: Option<Role>,
    attempt: u32,
    /// `None` before it is started or found.
    run: Option<Box<dyn Run>>,
    stopping: bool,
    stop_wanted: bool,
    progress: Option<Progress>,
    news_at: Instant,
    stalled: bool,
    /// Its end is being examined, or a record is being read.
    concluding: bool,
    following: bool,
}

impl Trainer {
    pub fn new(services: Services, name: JobName, job: JobDir, role: Role, sampler: Recipient<Report>) -> Self {
        let attempt = match &role {
            Role::Start(assignment) => assignment.attempt,
            Role::Adopt { attempt } => *attempt,
        };
        Trainer {
            services,
            name,
            job,
            sampler,
            role: Some(role),
            attempt,
            run: None,
            stopping: false,
            stop_wanted: false,
            progress: None,
            news_at: Instant::now(),
            stalled: false,
            concluding: false,
            following: false,
        }
    }

    /// Runs work on the disk off this thread. Jobs whose launch directories have the same parent share a limit.
    fn on_disk<T, W>(&self, work: W) -> impl Future<Output = Result<T, JoinError>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let place = self.job.path().ancestors().nth(2).unwrap_or(Path::new("/"));
        self.services.workshop.run(place, work)
    }

    fn report(&self, news: News) {
        // A handful a second for each running job. There are no more running jobs than slots.
        self.sampler.do_send(Report { job: self.name.clone(), news });
    }

    fn begin(&mut self, assignment: Assignment, ctx: &mut Context<Self>) {
        let executor = self.services.executor.clone();
        let work = self.on_disk(move || executor.start(&assignment).map_err(not_started));
        ctx.spawn(work.into_actor(self).map(|started, this, ctx| match started {
            Ok(Ok(run)) => {
                info!(job = ?this.job.path(), trainer = %run, attempt = this.attempt, "trainer started");
                this.run = Some(run);
                this.report(News::Started);
                this.watch(ctx);
            }
            Ok(Err(news)) => {
                this.report(news);
                ctx.stop();
            }
            Err(e) => {
                this.report(News::NotStarted(e.to_string()));
                ctx.stop();
            }
        }));
    }

    /// Follows the trainer if it is alive, else concludes.
    fn adopt(&mut self, ctx: &mut Context<Self>) {
        let (executor, job) = (self.services.executor.clone(), self.job.clone());
        let work = self.on_disk(move || trainer_status(&*executor, &job));
        ctx.spawn(work.into_actor(self).map(|status, this, ctx| match status {
            Ok(TrainerStatus::Alive(run, _)) => {
                info!(job = ?this.job.path(), trainer = %run, "trainer adopted");
                this.run = Some(run);
                this.watch(ctx);
            }
            _ => {
                this.watch(ctx);
                this.conclude(None, ctx);
            }
        }));
    }

    fn watch(&mut self, ctx: &mut Context<Self>) {
        self.news_at = Instant::now();
        if std::mem::take(&mut self.stop_wanted) {
            self.begin_stop();
        }
        self.look_at_its_end(ctx);
        ctx.run_interval(LOOK, |this, ctx| this.look(ctx));
        ctx.run_interval(FOLLOW, |this, ctx| this.follow(ctx));
    }

    /// Polls the run at once when it ends, if the kernel reports that. The slot stays empty until then.
    fn look_at_its_end(&self, ctx: &mut Context<Self>) {
        let Some(end) = self.run.as_ref().and_then(|run| run.wake()) else { return };
        // SAFETY: an owned descriptor stays open and unchanged for as long as it lives.
        let Ok(end) = (unsafe { AsyncFd::register_with_interest(end, Interest::READABLE) }) else { return };
        let ended = async move { end.readable().await.map(drop) };
        ctx.spawn(ended.into_actor(self).map(|_, this, ctx| this.look(ctx)));
    }

    /// Checks whether the trainer still runs. A pending stop continues meanwhile.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.concluding {
            return;
        }
        let Some(run) = &mut self.run else { return };
        match run.poll() {
            Ok(RunState::Running) => {}
            // It has nothing to report yet.
            Ok(RunState::Waiting(_)) => self.news_at = Instant::now(),
            Ok(RunState::Over(seen)) => self.conclude(seen, ctx),
            Err(e) if self.stopping => self.cannot_stop(&e),
            Err(e) => self.report(News::Trouble(format!("its trainer cannot be looked at: {e}"))),
        }
    }

    /// The trainer is gone, and ended as `seen`. Reads what it left behind.
    fn conclude(&mut self, seen: Option<Ended>, ctx: &mut Context<Self>) {
        self.concluding = true;
        let (executor, job, attempt) = (self.services.executor.clone(), self.job.clone(), self.attempt);
        let (followed, again) = (self.run.is_some(), seen.clone());
        let work = self.on_disk(move || what_is_left(&*executor, &job, attempt, followed, seen));
        ctx.spawn(work.into_actor(self).map(move |left, this, ctx| match left {
            Ok(AttemptResult::Over(outcome)) => {
                this.report(News::Ended(outcome));
                ctx.stop();
            }
            Ok(AttemptResult::Another(run)) => this.follow_another(run, ctx),
            Ok(AttemptResult::Unclear(why)) => {
                this.report(News::Trouble(format!("how its trainer ended is unclear: {why}")));
                ctx.run_later(FOLLOW, move |this, ctx| this.conclude(again, ctx));
            }
            Err(e) => {
                warn!(job = ?this.job.path(), error = e.to_string(), "the end of the trainer was not read; looking again");
                ctx.run_later(FOLLOW, move |this, ctx| this.conclude(again, ctx));
            }
        }));
    }

    fn follow_another(&mut self, run: Box<dyn Run>, ctx: &mut Context<Self>) {
        info!(job = ?self.job.path(), trainer = %run, "another trainer holds the job; it is followed");
        self.run = Some(run);
        self.look_at_its_end(ctx);
        self.concluding = false;
        // Requests to the other run apply to this one.
        self.stop_wanted |= std::mem::take(&mut self.stopping);
    }

    /// Reads the progress record, and checks for a stall.
    fn follow(&mut self, ctx: &mut Context<Self>) {
        if self.concluding || self.following {
            return;
        }
        self.following = true;
        if std::mem::take(&mut self.stop_wanted) {
            self.begin_stop();
        }
        let job = self.job.clone();
        let work = self.on_disk(move || progress::read(&job));
        ctx.spawn(work.into_actor(self).map(|read, this, _| {
            this.following = false;
            match read {
                Ok(Ok(Some(progress))) => this.on_progress(progress),
                Ok(Ok(None)) => {}
                Ok(Err(e)) => warn!(error = e.to_string(), "progress not read"),
                Err(e) => warn!(error = e.to_string(), "progress not read"),
            }
            let limit = stall::limit(this.progress.as_ref(), this.services.settings().stall_seconds);
            if !this.stalled && !this.concluding && this.news_at.elapsed() > Duration::from_secs(limit) {
                this.stalled = true;
                this.report(News::Stalled);
            }
        }));
    }

    /// Reports the failure. The stop is tried again.
    fn cannot_stop(&mut self, error: &io::Error) {
        (self.stopping, self.stop_wanted) = (false, true);
        self.report(News::Trouble(format!("its trainer cannot be stopped: {error}")));
    }

    fn on_progress(&mut self, progress: Progress) {
        if stall::is_news(self.progress.as_ref(), &progress) {
            self.news_at = Instant::now();
            let fold_finished = self.progress.as_ref().is_some_and(|old| old.folds_done != progress.folds_done);
            self.progress = Some(progress.clone());
            self.report(News::Progress { progress: Box::new(progress), fold_finished });
        }
    }

    fn begin_stop(&mut self) {
        let Some(run) = &mut self.run else {
            self.stop_wanted = true;
            return;
        };
        match run.stop(Duration::from_secs(self.services.settings().stop_grace_seconds)) {
            Ok(()) => self.stopping = true,
            Err(e) => self.cannot_stop(&e),
        }
    }
}

fn not_started(error: NotStarted) -> News {
    match error {
        NotStarted::Job(sentence) => News::NotStartable(sentence),
        NotStarted::Surroundings(sentence) => News::NotStarted(sentence),
    }
}

impl Actor for Trainer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.role.take() {
            Some(Role::Start(assignment)) => self.begin(assignment, ctx),
            Some(Role::Adopt { .. }) => self.adopt(ctx),
            None => ctx.stop(),
        }
    }
}

impl Handler<StopIt> for Trainer {
    type Result = ();

    fn handle(&mut self, _: StopIt, _: &mut Self::Context) {
        if !self.stopping {
            self.begin_stop();
        }
    }
}

impl Handler<AreYouThere> for Trainer {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::sampler::Sampler;
    use crate::testing::{progress, services};

    #[actix::test]
    async fn only_a_report_with_news_in_it_ends_the_silence() {
        let (name, job) = (JobName::numbered("job", 0).expect("a name"), JobDir::new("/nowhere/launch/job-0"));
        let sampler = Context::<Sampler>::new().address().recipient();
        let mut trainer = Trainer::new(services(), name, job, Role::Adopt { attempt: 1 }, sampler);
        let mut silent_since = trainer.news_at;
        let mut breaks_silence = |report: Progress| {
            trainer.on_progress(report);
            std::mem::replace(&mut silent_since, trainer.news_at) != trainer.news_at
        };
        assert!(breaks_silence(progress()));
        assert!(!breaks_silence(progress()));
        assert!(!breaks_silence(Progress { written_at: 1.0, ..progress() }), "it only says that it lives");
        assert!(breaks_silence(Progress { written_at: 2.0, batches_done: 1, ..progress() }));
    }
}
