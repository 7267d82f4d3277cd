//! The actor for one running job, bound to one device: starts or adopts the trainer process, follows it, stops it.

use super::analyzer::AreYouThere;
use super::attempt_result::{Left, what_is_left};
use super::context::Services;
use crate::domain::job::JobName;
use crate::domain::progress::Progress;
use crate::engine::outcome::Outcome;
use crate::engine::stall;
use crate::executor::local::memory::OomKills;
use crate::executor::local::start::NotStarted;
use crate::executor::{self, Assignment, Child, Identity, Look, Stop};
use crate::store::records::layout::JobDir;
use crate::store::records::progress;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinError;
use tracing::{info, warn};

/// How often a process is looked at whose end the kernel does not tell of, and one that was told to stop.
const LOOK: Duration = Duration::from_millis(250);

/// How often the progress record is read: the trainer replaces it at most once a second.
const FOLLOW: Duration = Duration::from_secs(1);

/// How many of the last readings of the kernel's counters are kept, one for each [`FOLLOW`]: a killed process may take a
/// moment to end, and a kill of somebody else's long before is none of this trainer's.
const REMEMBERED: usize = 5;

/// How a trainer is come by.
#[derive(Debug)]
pub enum Role {
    Start(Assignment),
    /// It lives already; `attempt` is the last that was recorded.
    Adopt {
        attempt: u32,
    },
}

/// What happens to a job, told to its search.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Report {
    pub job: JobName,
    pub news: News,
}

/// One piece of news.
#[derive(Debug)]
pub enum News {
    Started,
    /// Nothing runs, because of the surroundings; the sentence says why.
    NotStarted(String),
    /// Nothing runs, because of the job's own folder.
    NotStartable(String),
    /// What stands in the way of following or stopping it.
    Trouble(String),
    Progress {
        progress: Box<Progress>,
        fold_finished: bool,
    },
    /// No news for longer than the job's own steps explain.
    Stalled,
    /// The last report: the actor ends with it.
    Ended(Outcome),
}

/// Ask the trainer to stop: signal, grace, kill.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopIt;

enum Process {
    None,
    Ours(Child),
    Adopted(Identity),
}

/// One job's trainer.
pub struct Trainer {
    services: Services,
    name: JobName,
    job: JobDir,
    sampler: Recipient<Report>,
    role: Option<Role>,
    attempt: u32,
    /// When it was started or adopted.
    since: Instant,
    process: Process,
    stop: Option<Stop>,
    stop_wanted: bool,
    /// The kernel's counters over the last seconds, oldest first: what they counted before says nothing about this trainer.
    memory: VecDeque<OomKills>,
    progress: Option<Progress>,
    news_at: Instant,
    stalled: bool,
    /// An end is being looked into, or a record is being read.
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
            since: Instant::now(),
            process: Process::None,
            stop: None,
            stop_wanted: false,
            memory: VecDeque::new(),
            progress: None,
            news_at: Instant::now(),
            stalled: false,
            concluding: false,
            following: false,
        }
    }

    /// Work on the disk, off this thread; jobs whose launch directories lie together share its places.
    fn on_disk<T, W>(&self, work: W) -> impl Future<Output = Result<T, JoinError>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let place = self.job.path().ancestors().nth(2).unwrap_or(Path::new("/"));
        self.services.workshop.run(place, work)
    }

    fn report(&self, news: News) {
        // A handful a second for each running job, of which there are no more than slots.
        self.sampler.do_send(Report { job: self.name.clone(), news });
    }

    fn begin(&mut self, assignment: Assignment, ctx: &mut Context<Self>) {
        let standbys = self.services.standbys.clone();
        let work = self.on_disk(move || {
            let before = OomKills::now();
            let program = executor::find_trainer().map_err(|e| News::NotStarted(e.to_string()))?;
            standbys.start(&program, &assignment).map(|child| (child, before)).map_err(not_started)
        });
        ctx.spawn(work.into_actor(self).map(|started, this, ctx| match started {
            Ok(Ok((child, before))) => {
                info!(job = ?this.job.path(), pid = child.id(), attempt = this.attempt, "trainer started");
                this.memory.push_back(before);
                this.services.trainers.insert(child.id());
                this.process = Process::Ours(child);
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

    /// Follows whatever process the folder shows, or concludes where there is none.
    fn adopt(&mut self, identity: Identity, ctx: &mut Context<Self>) {
        info!(job = ?self.job.path(), pid = identity.pid, "trainer adopted");
        self.services.trainers.insert(identity.pid);
        self.process = Process::Adopted(identity);
        self.watch(ctx);
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

    fn identity(&self) -> Option<&Identity> {
        match &self.process {
            Process::None => None,
            Process::Ours(child) => Some(child.identity()),
            Process::Adopted(identity) => Some(identity),
        }
    }

    /// Looks at the process at once when it ends, where the kernel tells of it: its slot stands empty until then.
    fn look_at_its_end(&self, ctx: &mut Context<Self>) {
        let Some(process) = self.identity().and_then(|identity| identity.descriptor().ok()) else { return };
        // SAFETY: an owned descriptor is open and the same for as long as it lives.
        let Ok(process) = (unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }) else { return };
        let ended = async move { process.readable().await.map(drop) };
        ctx.spawn(ended.into_actor(self).map(|_, this, ctx| this.look(ctx)));
    }

    /// Whether the process still runs, and whether a stop has to become a kill.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.concluding {
            return;
        }
        if let Some(stop) = &mut self.stop
            && let Err(e) = stop.step(Instant::now())
        {
            self.stop = None;
            self.cannot_stop(&e);
        }
        let ended: io::Result<Option<Option<ExitStatus>>> = match &mut self.process {
            Process::None => Ok(None),
            Process::Ours(child) => child.try_wait().map(|status| status.map(Some)),
            Process::Adopted(identity) => identity.is_alive().map(|alive| (!alive).then_some(None)),
        };
        match ended {
            Ok(None) => {}
            Ok(Some(status)) => self.conclude(status, ctx),
            Err(e) => self.report(News::Trouble(format!("its trainer cannot be looked at: {e}"))),
        }
    }

    /// The process is gone: reads what it left behind.
    fn conclude(&mut self, status: Option<ExitStatus>, ctx: &mut Context<Self>) {
        self.concluding = true;
        if let Some(identity) = self.identity() {
            self.services.trainers.remove(identity.pid);
        }
        let (job, attempt, before) = (self.job.clone(), self.attempt, self.memory.front().copied());
        let followed = !matches!(self.process, Process::None);
        let work = self.on_disk(move || what_is_left(&job, attempt, followed, status, before));
        ctx.spawn(work.into_actor(self).map(move |left, this, ctx| match left {
            Ok(Left::Over(outcome)) => {
                this.services.standbys.ended(this.since.elapsed());
                this.report(News::Ended(outcome));
                ctx.stop();
            }
            Ok(Left::Another(identity)) => {
                info!(job = ?this.job.path(), pid = identity.pid, "another trainer holds the job; it is followed");
                this.services.trainers.insert(identity.pid);
                this.process = Process::Adopted(identity);
                this.look_at_its_end(ctx);
                this.concluding = false;
                // What was asked of the other one holds for this one.
                this.stop_wanted |= this.stop.take().is_some();
            }
            Ok(Left::Unclear(why)) => {
                this.report(News::Trouble(format!("how its trainer ended is unclear: {why}")));
                ctx.run_later(FOLLOW, move |this, ctx| this.conclude(status, ctx));
            }
            Err(e) => {
                warn!(job = ?this.job.path(), error = e.to_string(), "the end of the trainer was not read; looking again");
                ctx.run_later(FOLLOW, move |this, ctx| this.conclude(status, ctx));
            }
        }));
    }

    /// Reads the progress record, and judges silence.
    fn follow(&mut self, ctx: &mut Context<Self>) {
        if self.concluding || self.following {
            return;
        }
        self.following = true;
        if std::mem::take(&mut self.stop_wanted) {
            self.begin_stop();
        }
        let job = self.job.clone();
        let work = self.on_disk(move || (progress::read(&job), OomKills::now()));
        ctx.spawn(work.into_actor(self).map(|read, this, _| {
            this.following = false;
            match read {
                Ok((progress, memory)) => {
                    this.remember(memory);
                    match progress {
                        Ok(Some(progress)) => this.on_progress(progress),
                        Ok(None) => {}
                        Err(e) => warn!(error = e.to_string(), "progress not read"),
                    }
                }
                Err(e) => warn!(error = e.to_string(), "progress not read"),
            }
            let limit = stall::limit(this.progress.as_ref(), this.services.settings.stall_seconds);
            if !this.stalled && !this.concluding && this.news_at.elapsed() > Duration::from_secs(limit) {
                this.stalled = true;
                this.report(News::Stalled);
            }
        }));
    }

    fn remember(&mut self, memory: OomKills) {
        self.memory.push_back(memory);
        while self.memory.len() > REMEMBERED {
            self.memory.pop_front();
        }
    }

    /// It is tried again, and shown meanwhile.
    fn cannot_stop(&mut self, error: &io::Error) {
        self.stop_wanted = true;
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
        let Some(identity) = self.identity().cloned() else {
            self.stop_wanted = true;
            return;
        };
        let grace = Duration::from_secs(self.services.settings.stop_grace_seconds);
        match Stop::begin(identity, grace, Instant::now()) {
            Ok(stop) => self.stop = Some(stop),
            Err(e) => self.cannot_stop(&e),
        }
    }
}

fn not_started(error: NotStarted) -> News {
    match &error {
        NotStarted::Store(own) if !own.is_of_the_disk() => News::NotStartable(error.to_string()),
        NotStarted::Store(_) | NotStarted::Spawn { .. } => News::NotStarted(error.to_string()),
    }
}

impl Actor for Trainer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match self.role.take() {
            Some(Role::Start(assignment)) => self.begin(assignment, ctx),
            Some(Role::Adopt { .. }) => {
                let job = self.job.clone();
                let work = self.on_disk(move || executor::look(&job));
                ctx.spawn(work.into_actor(self).map(|look, this, ctx| match look {
                    Ok(Look::Alive(identity)) => this.adopt(identity, ctx),
                    _ => {
                        this.watch(ctx);
                        this.conclude(None, ctx);
                    }
                }));
            }
            None => ctx.stop(),
        }
    }
}

impl Handler<StopIt> for Trainer {
    type Result = ();

    fn handle(&mut self, _: StopIt, _: &mut Self::Context) {
        if self.stop.is_none() {
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
