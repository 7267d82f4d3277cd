//! The actor for one launch directory: it owns that search's state, and is the only writer of its records.

use super::accept::{self, Accepted};
use super::analyzer::{self, Analyzer};
use super::devices::{Demanded, Devices, Enlist};
use super::look::{self, Held, Known, Looked, SpaceSeen};
use super::perform::Task;
use super::services::{Services, now};
use super::trainer::{News, Report, Trainer};
use super::watcher::{Gone, Ready, Watcher};
use crate::domain::job::JobName;
use crate::engine::coalesce::Coalesce;
use crate::engine::effect::Effect;
use crate::engine::forecast::Courses;
use crate::engine::react::{self, SpaceNews};
use crate::engine::restore;
use crate::engine::state::{Lease, Need, Search, Space, Standing};
use crate::store::launch::SearchRecord;
use crate::store::layout::LaunchDir;
use crate::store::lock::Lock;
use crate::store::space_file::Stamp;
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture, SpawnHandle, WrapFuture,
};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

/// How soon a job whose trainer's fate is unclear is looked at again.
const UNCLEAR: Duration = Duration::from_secs(1);

/// Grants, reports and hints wait here; each sender is bounded by slots, jobs or coalescing.
const MAILBOX: usize = 1024;

/// One launch directory.
pub struct Sampler {
    pub(super) services: Services,
    pub(super) launch: LaunchDir,
    pub(super) devices: Addr<Devices>,
    watcher: Addr<Watcher>,
    pub(super) analyzer: Addr<Analyzer>,
    pub(super) search: Search,
    pub(super) accepted: Option<Accepted>,
    pub(super) record: Option<SearchRecord>,
    /// Work on the disk, one at a time and in order, so that no record is overtaken by an older one.
    pub(super) tasks: VecDeque<Task>,
    pub(super) at_work: bool,
    pub(super) trainers: HashMap<JobName, Addr<Trainer>>,
    pub(super) courses: Courses,
    pub(super) lock: Option<(Lock, (u64, u64))>,
    /// Why the directory is not served, and what could not be read at the last look.
    pub(super) alarms: Vec<String>,
    looking: Coalesce,
    /// The running look judges a refused file anew: its data may have been mended.
    judge_again: bool,
    judged: Option<Stamp>,
    /// The file as it was when it last changed, and when that was seen.
    settling: Option<(Stamp, Instant)>,
    folders: Arc<HashMap<JobName, i128>>,
    /// Ends the time in which a timer need not look again.
    rested_at: Instant,
    ready: bool,
    /// The daemon stops: nothing is drawn or launched any more.
    pub(super) closed: bool,
    /// Waits for the work on the disk to end.
    pub(super) finishing: Option<oneshot::Sender<()>>,
    /// Rings when the time limit ends.
    pub(super) timer: Option<SpawnHandle>,
}

/// Look at the directory: something happened there, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum LookNow {
    /// An event told so.
    Hint,
    /// The timer did, which is skipped where looks are slow.
    Timer,
}

/// A slot was granted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Granted(pub Lease);

/// There is no device of that kind.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct NoDevice {
    pub need: Need,
    pub sentence: String,
}

/// Start nothing more, and answer once every record is on the disk.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Finish;

impl Sampler {
    pub fn new(services: Services, launch: LaunchDir, devices: Addr<Devices>, watcher: Addr<Watcher>) -> Self {
        let analyzer = Analyzer::new(launch.clone()).start();
        Sampler {
            services,
            launch,
            devices,
            watcher,
            analyzer,
            search: Search::default(),
            accepted: None,
            record: None,
            tasks: VecDeque::new(),
            at_work: false,
            trainers: HashMap::new(),
            courses: Courses::default(),
            lock: None,
            alarms: Vec::new(),
            looking: Coalesce::default(),
            judge_again: false,
            judged: None,
            settling: None,
            folders: Arc::default(),
            rested_at: Instant::now(),
            ready: false,
            closed: false,
            finishing: None,
            timer: None,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let by_standing = |wanted: &dyn Fn(&Standing) -> bool| {
            self.search.jobs.iter().filter(|(_, job)| wanted(&job.standing)).map(|(name, _)| name.clone()).collect()
        };
        let settled = |s: &Standing| matches!(s, Standing::Done | Standing::Cancelled | Standing::Failed(..));
        let unclear = self.search.jobs.iter().filter(|(_, job)| matches!(job.standing, Standing::Unclear(_)));
        let refused = matches!(self.search.space, Space::Refused(_)) && std::mem::take(&mut self.judge_again);
        let known = Known {
            locked: self.lock.as_ref().map(|(_, directory)| *directory),
            holder: self.services.holder.clone(),
            judged: if refused { None } else { self.judged },
            settled_file: self.settling.filter(|(_, since)| since.elapsed() >= self.settle()).map(|(stamp, _)| stamp),
            folders: self.folders.clone(),
            foreign: by_standing(&|s| matches!(s, Standing::Foreign(_))),
            unclear: unclear.map(|(name, job)| (name.clone(), job.attempts)).collect(),
            settled: by_standing(&settled),
        };
        let launch = self.launch.clone();
        let work = spawn_blocking(move || look::look(&launch, &known));
        ctx.spawn(work.into_actor(self).map(|looked, this, ctx| {
            match looked {
                Ok(looked) => this.on_looked(looked, ctx),
                Err(e) => warn!(launch = ?this.launch.path(), error = e.to_string(), "the look was cut short"),
            }
            if this.looking.on_finished() {
                this.look(ctx);
            }
        }));
    }

    fn on_looked(&mut self, looked: Looked, ctx: &mut Context<Self>) {
        // A thousandth of the time goes into looks at most, as far as the timer is concerned.
        self.rested_at = Instant::now() + looked.took * 1000;
        self.alarms = looked.troubles;
        match looked.held {
            Held::Already => {}
            Held::Now { lock, directory, record } => {
                self.lock = Some((lock, directory));
                self.restore_record(record);
                self.keep_time(ctx);
            }
            Held::No(sentence) => {
                warn!(launch = ?self.launch.path(), why = sentence.as_str(), "not served");
                self.alarms.push(sentence);
            }
            Held::Gone => return self.on_directory_gone(ctx),
        }
        let mut effects = restore::on_found(&mut self.search, looked.found);
        effects.extend(restore::on_gone(&mut self.search, &looked.gone));
        for (name, state) in looked.foreign {
            effects.extend(restore::on_foreign(&mut self.search, &name, state));
        }
        for (name, seen, checkpoints) in looked.unclear {
            effects.extend(restore::on_looked_again(&mut self.search, &name, seen, checkpoints));
        }
        effects.extend(self.on_space(looked.space, ctx));
        if let Some(folders) = looked.folders {
            effects.extend(self.tabulate(&folders));
            self.folders = Arc::new(folders);
        }
        if looked.tables_missing && !self.search.jobs.is_empty() {
            effects.push(Effect::TabulateAll);
        }
        self.perform(effects, ctx);
        if self.search.held.is_some() && self.lock.is_some() {
            self.add_task(Task::Probe, ctx);
        }
        if self.search.jobs.values().any(|job| matches!(job.standing, Standing::Unclear(_))) {
            ctx.run_later(UNCLEAR, |this, ctx| this.want_look(ctx));
        }
        if !std::mem::replace(&mut self.ready, true) {
            self.watcher.do_send(Ready(self.launch.clone()));
        }
    }

    /// The jobs whose folders appeared, changed or went; all at once after the first look.
    fn tabulate(&self, now: &HashMap<JobName, i128>) -> Vec<Effect> {
        if !self.ready {
            return vec![Effect::TabulateAll];
        }
        let changed = now.iter().filter(|(name, stamp)| self.folders.get(*name) != Some(*stamp)).map(|(name, _)| name);
        let gone = self.folders.keys().filter(|name| !now.contains_key(*name));
        changed.chain(gone).map(|name| Effect::Tabulate { job: name.clone() }).collect()
    }

    /// What was recorded before is known again, so that jobs can be told by their names and go on.
    fn restore_record(&mut self, record: Option<SearchRecord>) {
        if let Some(record) = &record {
            self.search.terms = Some(accept::restored(record));
        }
        self.record = record;
    }

    fn on_space(&mut self, seen: SpaceSeen, ctx: &mut Context<Self>) -> Vec<Effect> {
        match seen {
            SpaceSeen::Unchanged => Vec::new(),
            SpaceSeen::Missing => {
                self.judged = None;
                self.settling = None;
                self.add_task(Task::Error(None), ctx);
                react::on_space(&mut self.search, SpaceNews::Missing)
            }
            SpaceSeen::Settling(stamp) => {
                if self.settling.is_none_or(|(old, _)| old != stamp) {
                    self.settling = Some((stamp, Instant::now()));
                    ctx.run_later(self.settle(), |this, ctx| this.want_look(ctx));
                }
                react::on_space(&mut self.search, SpaceNews::Unsettled)
            }
            SpaceSeen::Refused { stamp, text } => {
                self.judged = stamp;
                self.add_task(Task::Error(Some(text.clone())), ctx);
                if self.search.space != Space::Refused(text.clone()) {
                    warn!(launch = ?self.launch.path(), faults = text.as_str(), "random_search.json is refused");
                }
                react::on_space(&mut self.search, SpaceNews::Refused(text))
            }
            SpaceSeen::Accepted { stamp, accepted } => {
                self.judged = Some(stamp);
                self.add_task(Task::Error(None), ctx);
                match accept::terms(&accepted.space, self.record.as_ref(), &self.services.settings.search) {
                    Ok(terms) => {
                        info!(launch = ?self.launch.path(), seed = terms.seed, n_jobs = terms.n_jobs, "random_search.json is accepted");
                        self.record = Some(accept::record(&terms, &accepted));
                        self.accepted = Some(accepted);
                        react::on_space(&mut self.search, SpaceNews::Accepted(terms))
                    }
                    Err(sentence) => react::on_space(&mut self.search, SpaceNews::Refused(sentence)),
                }
            }
        }
    }

    /// The directory is gone or was replaced: nothing of it is ours any more, once its trainers have ended.
    fn on_directory_gone(&mut self, ctx: &mut Context<Self>) {
        if self.trainers.is_empty() {
            info!(launch = ?self.launch.path(), "the launch directory is gone");
            self.tell_gone(ctx);
            ctx.stop();
        } else {
            self.alarms.push("the directory is gone, or another one has its name; its trainers still run".to_string());
            ctx.run_later(UNCLEAR, |this, ctx| this.want_look(ctx));
        }
    }

    /// Nobody serves this directory from now on.
    pub(super) fn tell_gone(&self, ctx: &mut Context<Self>) {
        self.watcher.do_send(Gone { launch: self.launch.clone(), sampler: ctx.address() });
    }

    /// How long a space file must stay as it is before it is believed.
    fn settle(&self) -> Duration {
        Duration::from_millis(self.services.settings.settle_milliseconds)
    }

    /// Looks now, or once more after the look that runs.
    pub(super) fn want_look(&mut self, ctx: &mut Context<Self>) {
        if self.looking.on_request() {
            self.look(ctx);
        }
    }
}

impl Actor for Sampler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.devices.do_send(Enlist { search: self.launch.clone(), sampler: ctx.address() });
        self.devices.do_send(Demanded { search: self.launch.clone(), demand: self.search.told });
        self.want_look(ctx);
    }
}

impl Handler<LookNow> for Sampler {
    type Result = ();

    fn handle(&mut self, msg: LookNow, ctx: &mut Self::Context) {
        if msg == LookNow::Hint || Instant::now() >= self.rested_at {
            self.judge_again |= msg == LookNow::Timer;
            self.want_look(ctx);
        }
    }
}

impl Handler<Granted> for Sampler {
    type Result = ();

    fn handle(&mut self, Granted(lease): Granted, ctx: &mut Self::Context) {
        let effects = react::on_slot(&mut self.search, lease, now());
        self.perform(effects, ctx);
    }
}

impl Handler<NoDevice> for Sampler {
    type Result = ();

    fn handle(&mut self, msg: NoDevice, ctx: &mut Self::Context) {
        let effects = react::on_no_device(&mut self.search, msg.need, &msg.sentence);
        self.perform(effects, ctx);
    }
}

impl Handler<Report> for Sampler {
    type Result = ();

    fn handle(&mut self, Report { job, news }: Report, ctx: &mut Self::Context) {
        let effects = match news {
            News::Started => react::on_started(&mut self.search, &job),
            News::NotStarted(sentence) => {
                self.trainers.remove(&job);
                react::on_not_started(&mut self.search, &job, sentence)
            }
            News::Progress { progress, fold_finished } => {
                let checkpoints = progress.checkpoints;
                self.courses.report(&job, progress);
                react::on_progress(&mut self.search, &job, checkpoints, fold_finished)
            }
            News::Stalled => react::on_stalled(&mut self.search, &job),
            News::Ended(outcome) => {
                self.trainers.remove(&job);
                self.courses.end(&job);
                react::on_ended(&mut self.search, &job, &outcome)
            }
        };
        self.perform(effects, ctx);
    }
}

impl Handler<Finish> for Sampler {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Finish, ctx: &mut Self::Context) -> Self::Result {
        let (finished, wait) = oneshot::channel();
        self.closed = true;
        self.finishing = Some(finished);
        self.tasks.retain(Task::only_records);
        self.next_task(ctx);
        Box::pin(async {
            // Dropped with the actor: then there is nothing to wait for either.
            let _ = wait.await;
        })
    }
}

impl Handler<analyzer::AreYouThere> for Sampler {
    type Result = ();

    fn handle(&mut self, _: analyzer::AreYouThere, _: &mut Self::Context) {}
}
