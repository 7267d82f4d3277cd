//! The actor for one launch directory: it owns that search's state and alone writes its records.

pub mod accept_space;
pub mod chosen_job;
pub mod commands;
pub mod describe;
pub mod disk_task;
pub mod draw;
pub mod effects;
pub mod job_folder;
pub mod on_scan;
pub mod scan;
pub mod time_limit;

use super::analyzer::{Analyzer, ReportTo, Tabulated};
use super::context::Services;
use super::devices::{Demanded, Devices, Enlist};
use super::messages::{ALIVE, AreYouThere, Gone, Granted, LookNow, NoDevice, Ready};
use super::trainer::{News, Report, Trainer};
use crate::domain::job::JobName;
use crate::engine::coalesce::Coalesce;
use crate::engine::forecast::Courses;
use crate::engine::outcome::excused;
use crate::engine::settling::Settling;
use crate::engine::state::Search;
use crate::engine::{attempt_end, holds, react};
use crate::store::records::layout::LaunchDir;
use crate::store::records::list_jobs::FolderTime;
use crate::store::records::space_file::Stamp;
use crate::store::system::now;
use accept_space::Accepted;
use actix::{Actor, Addr, AsyncContext, Context, Handler, MailboxError, Message, Recipient, ResponseFuture, SpawnHandle};
use disk_task::DiskTask;
use scan::Locked;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Grants, reports and hints wait here; each sender is bounded by slots, jobs or coalescing.
const MAILBOX: usize = 1024;

/// One launch directory.
pub struct Sampler {
    pub(super) services: Services,
    pub(super) launch: LaunchDir,
    pub(super) devices: Addr<Devices>,
    /// Receives word once it has scanned, and when it ends.
    pub(super) ready: Recipient<Ready>,
    pub(super) gone: Recipient<Gone>,
    pub(super) analyzer: Addr<Analyzer>,
    pub(super) search: Search,
    pub(super) accepted: Option<Accepted>,
    /// Work on the disk, one at a time and in order, so that no record is overtaken by an older one.
    pub(super) tasks: VecDeque<DiskTask>,
    pub(super) at_work: bool,
    pub(super) trainers: HashMap<JobName, Addr<Trainer>>,
    pub(super) courses: Courses,
    pub(super) locked: Option<Arc<Locked>>,
    /// Another directory has the name. Nothing is done on the disk before ours has it again.
    pub(super) away: bool,
    /// Why the directory is not served, and what the last scan could not read.
    pub(super) alarms: Vec<String>,
    /// Why the tables are not up to date. `None` if they are.
    pub(super) tables_trouble: Option<String>,
    pub(super) looking: Coalesce,
    /// The running scan judges a refused file again, since its data may have been fixed.
    pub(super) judge_again: bool,
    pub(super) judged: Option<Stamp>,
    pub(super) settling: Settling<Stamp>,
    pub(super) folders: Arc<HashMap<JobName, FolderTime>>,
    /// Ends the time in which a timer need not look again.
    pub(super) rested_at: Instant,
    /// The next scheduled scan, and its time. `None` if there is none.
    pub(super) next_look: Option<(SpawnHandle, Instant)>,
    pub(super) has_looked: bool,
    /// The daemon stops: nothing is drawn or started any more.
    pub(super) closed: bool,
    /// Waits for the work on the disk to end.
    pub(super) finishing: Option<oneshot::Sender<()>>,
    /// Fires when the time limit ends.
    pub(super) timer: Option<SpawnHandle>,
}

/// Answered with true once this actor, its analyzer and its trainers have handled all earlier messages.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "bool")]
pub struct AreAllThere;

/// Start nothing more, and answer once every record is on the disk.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Finish;

impl Sampler {
    pub fn new(
        services: Services,
        launch: LaunchDir,
        devices: Addr<Devices>,
        ready: Recipient<Ready>,
        gone: Recipient<Gone>,
    ) -> Self {
        let analyzer = Analyzer::new(services.workshop.clone(), launch.clone()).start();
        Sampler {
            services,
            launch,
            devices,
            ready,
            gone,
            analyzer,
            search: Search::default(),
            accepted: None,
            tasks: VecDeque::new(),
            at_work: false,
            trainers: HashMap::new(),
            courses: Courses::default(),
            locked: None,
            away: false,
            alarms: Vec::new(),
            tables_trouble: None,
            looking: Coalesce::default(),
            judge_again: false,
            judged: None,
            settling: Settling::default(),
            folders: Arc::default(),
            rested_at: Instant::now(),
            next_look: None,
            has_looked: false,
            closed: false,
            finishing: None,
            timer: None,
        }
    }

    /// Nobody serves this directory from now on.
    pub(super) fn tell_gone(&self, ctx: &mut Context<Self>) {
        self.gone.do_send(Gone { launch: self.launch.clone(), sampler: ctx.address().recipient() });
    }
}

impl Actor for Sampler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.analyzer.do_send(ReportTo(ctx.address().recipient()));
        let (granted, no_device) = (ctx.address().recipient(), ctx.address().recipient());
        self.devices.do_send(Enlist { search: self.launch.clone(), granted, no_device });
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
            News::NotStartable(sentence) => {
                self.trainers.remove(&job);
                react::on_not_startable(&mut self.search, &job, sentence)
            }
            News::Trouble(sentence) => holds::on_trouble(&mut self.search, &job, Some(sentence)),
            News::Progress { progress, fold_finished } => {
                let checkpoints = progress.checkpoints;
                self.courses.report(&job, *progress);
                react::on_progress(&mut self.search, &job, checkpoints, fold_finished)
            }
            News::Stalled => react::on_stalled(&mut self.search, &job),
            News::Ended(outcome) => {
                self.trainers.remove(&job);
                self.courses.end(&job);
                let outcome = excused(outcome, self.accepted.as_ref().map(|accepted| &*accepted.space));
                attempt_end::on_ended(&mut self.search, &job, &outcome)
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
        self.tasks.retain(DiskTask::only_records);
        self.next_task(ctx);
        Box::pin(async {
            // If the actor drops the sender, there is nothing to wait for either.
            let _ = wait.await;
        })
    }
}

impl Handler<AreAllThere> for Sampler {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: AreAllThere, _: &mut Self::Context) -> Self::Result {
        let analyzer = self.analyzer.send(AreYouThere).timeout(ALIVE);
        let trainers: Vec<_> = self.trainers.values().map(|trainer| trainer.send(AreYouThere).timeout(ALIVE)).collect();
        Box::pin(async move {
            let mut there = analyzer.await.is_ok();
            for trainer in trainers {
                // A trainer actor that ended with its job has nothing left to do.
                there &= !matches!(trainer.await, Err(MailboxError::Timeout));
            }
            there
        })
    }
}

impl Handler<Tabulated> for Sampler {
    type Result = ();

    fn handle(&mut self, Tabulated(trouble): Tabulated, _: &mut Self::Context) {
        self.tables_trouble = trouble;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Need;
    use crate::domain::job::{Ended, FailureClass};
    use crate::domain::missing_input::Input;
    use crate::engine::outcome::Outcome;
    use crate::engine::state::Lease;
    use crate::engine::state::{Job, Standing};
    use crate::testing::{device, sampler, space};

    /// The standing of a job that failed after the data directory `gone` disappeared.
    fn after_end_without(gone: &str, caps_dir: &str) -> Standing {
        let (job, launch) = (JobName::numbered("job", 0).expect("a name"), "/nowhere/launch".as_ref());
        let mut sampler = sampler(launch);
        let space = Arc::new(space(launch, caps_dir, "labels"));
        sampler.accepted = Some(Accepted { space, json: Arc::default(), notices: Vec::new() });
        let lease = Lease { id: 1, device: device("cpu"), need: Need::Cpu };
        sampler.search.jobs.insert(job.clone(), Job::new(Some(0), Need::Cpu, Standing::Running(lease)));
        let ended = Ended::Failed { class: FailureClass::BadData, sentence: "an image is missing".into() };
        let outcome = Outcome { ended: Some(ended), out_of_reach: Some(Input::Directory(gone.into())), ..Outcome::default() };
        sampler.handle(Report { job: job.clone(), news: News::Ended(outcome) }, &mut Context::new());
        sampler.search.jobs[&job].standing.clone()
    }

    #[actix::test]
    async fn a_job_is_blamed_for_data_that_are_gone_only_where_they_are_not_the_searchs_own() {
        assert_eq!(after_end_without("/caps/subjects", "/caps"), Standing::Waiting);
        let failed = Standing::Failed(FailureClass::BadData, "an image is missing".into());
        assert_eq!(after_end_without("/caps/subjects", "/other-caps"), failed);
    }
}
