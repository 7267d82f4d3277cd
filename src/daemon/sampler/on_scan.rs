//! Applies the result of a scan to a search: its lock, space file and jobs.

use super::Sampler;
use super::accept_space::{self, Accepted};
use super::disk_task::DiskTask;
use super::scan::{self, DirectoryHeld, KnownBefore, ScanResult, SpaceSeen};
use crate::analysis::SpaceFolds;
use crate::daemon::analyzer::GoBy;
use crate::daemon::messages::Ready;
use crate::domain::job::JobName;
use crate::domain::search_terms::Terms;
use crate::engine::effect::Effect;
use crate::engine::react::{self, SpaceNews};
use crate::engine::state::{Job, Space, Standing};
use crate::engine::{holds, rescan_pause, restore};
use crate::store::records::list_jobs::FolderTime;
use crate::store::records::search_record::SearchRecord;
use crate::store::records::space_file::Stamp;
use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, spawn_blocking};
use tracing::{info, warn};

/// Pause before another scan if something about a directory or a job is unclear.
const UNCLEAR: Duration = Duration::from_secs(1);

impl Sampler {
    /// What a look need not find out anew.
    fn known(&mut self) -> KnownBefore {
        let those = |wanted: &dyn Fn(&Job) -> bool| {
            self.search.jobs.iter().filter(|(_, job)| wanted(job)).map(|(name, _)| name.clone()).collect()
        };
        let unclear = |job: &Job| matches!(job.standing, Standing::Unclear(_)) && !job.unread;
        let unclear = self.search.jobs.iter().filter(|(_, job)| unclear(job));
        let foreign = self.search.jobs.iter().filter(|(_, job)| matches!(job.standing, Standing::Foreign(_)));
        let refused = matches!(self.search.space, Space::Refused(_)) && std::mem::take(&mut self.judge_again);
        KnownBefore {
            locked: self.locked.clone(),
            holder: self.services.holder.clone(),
            executor: self.services.executor.clone(),
            judged: if refused { None } else { self.judged },
            settled_file: self.settling.settled(Instant::now(), self.settle()),
            folders: self.folders.clone(),
            jobs: self.search.jobs.keys().cloned().collect(),
            unread: those(&|job| job.unread),
            taken: self.taken(),
            foreign: foreign.map(|(name, job)| (name.clone(), job.history.pending.is_some())).collect(),
            unclear: unclear.map(|(name, job)| (name.clone(), job.history.attempts)).collect(),
            settled: those(&|job| job.standing.is_over()),
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let known = self.known();
        let launch = self.launch.clone();
        let work = self.on_disk(move || scan::look(&launch, &known));
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

    fn on_looked(&mut self, looked: ScanResult, ctx: &mut Context<Self>) {
        self.rested_at =
            Instant::now() + rescan_pause::after(looked.took, Duration::from_secs(self.services.settings().rescan_seconds));
        self.alarms = looked.troubles;
        let Some(mut effects) = self.on_held(looked.held, ctx) else { return };
        effects.extend(restore::on_found(&mut self.search, looked.found));
        effects.extend(restore::on_gone(&mut self.search, &looked.gone));
        effects.extend(restore::on_freed(&mut self.search, &looked.freed));
        for (name, theirs) in looked.foreign {
            effects.extend(restore::on_foreign(&mut self.search, &name, theirs));
        }
        for (name, seen, checkpoints) in looked.unclear {
            effects.extend(restore::on_looked_again(&mut self.search, &name, seen, checkpoints));
        }
        if let Some(seen) = looked.space {
            effects.extend(self.on_space(seen, ctx));
        }
        if let Some(folders) = looked.folders {
            effects.extend(self.tabulate(&folders));
            self.folders = Arc::new(folders);
        }
        if looked.tables_missing && !self.search.jobs.is_empty() {
            effects.push(Effect::WriteTables);
        }
        effects.extend(holds::on_looked(&self.search));
        self.perform(effects, ctx);
        if self.search.jobs.values().any(|job| matches!(job.standing, Standing::Unclear(_))) {
            self.look_in(UNCLEAR, ctx);
        }
        if self.locked.is_some() && !std::mem::replace(&mut self.has_looked, true) {
            self.ready.do_send(Ready(self.launch.clone()));
        }
    }

    /// What follows from whose the directory is, or None if nothing else of the look counts.
    fn on_held(&mut self, held: DirectoryHeld, ctx: &mut Context<Self>) -> Option<Vec<Effect>> {
        match held {
            DirectoryHeld::Already => Some(self.on_ours(ctx)),
            DirectoryHeld::Now { locked, record } => {
                self.locked = Some(Arc::new(locked));
                self.restore_record(record);
                self.keep_time(ctx);
                Some(Vec::new())
            }
            DirectoryHeld::Again(locked) => {
                warn!(launch = ?self.launch.path(), "the lock was removed, and is taken anew");
                self.locked = Some(Arc::new(locked));
                let mut effects = self.on_ours(ctx);
                effects.push(Effect::RecordSearch);
                Some(effects)
            }
            DirectoryHeld::No { sentence, for_good } => {
                warn!(launch = ?self.launch.path(), why = sentence.as_str(), "not served");
                self.alarms.push(sentence);
                if for_good {
                    // Slots are granted without waiting for it.
                    self.ready.do_send(Ready(self.launch.clone()));
                }
                Some(Vec::new())
            }
            DirectoryHeld::Lost(sentence) => {
                self.on_away(sentence, ctx);
                None
            }
            DirectoryHeld::Gone => {
                self.on_directory_gone(ctx);
                None
            }
        }
    }

    /// Loads a trainer while the space file settles and is judged, ready for the first job.
    fn foresee(&self) {
        if self.search.terms.is_none() || self.search.undrawn() > 0 {
            let executor = self.services.executor.clone();
            drop(spawn_blocking(move || executor.expect_jobs()));
        }
    }

    /// The directory has its name and its lock is ours, so waiting work continues.
    fn on_ours(&mut self, ctx: &mut Context<Self>) -> Vec<Effect> {
        self.away = false;
        self.next_task(ctx);
        holds::on_back(&mut self.search)
    }

    /// The jobs whose folders appeared, changed or went; all at once after the first look.
    fn tabulate(&self, now: &HashMap<JobName, FolderTime>) -> Vec<Effect> {
        if !self.has_looked {
            return vec![Effect::TabulateAll];
        }
        let changed = now.iter().filter(|(name, stamp)| self.folders.get(*name) != Some(*stamp)).map(|(name, _)| name);
        let gone = self.folders.keys().filter(|name| !now.contains_key(*name));
        changed.chain(gone).map(|name| Effect::Tabulate { job: name.clone() }).collect()
    }

    /// Restores what was recorded before, so that jobs are known by name and continue.
    fn restore_record(&mut self, record: Option<SearchRecord>) {
        if let Some(record) = record {
            self.search.terms = Some(record.terms);
        }
    }

    fn on_space(&mut self, seen: SpaceSeen, ctx: &mut Context<Self>) -> Vec<Effect> {
        let SpaceSeen { news, stamp, folds } = seen;
        if !matches!(news, SpaceNews::Unsettled) {
            self.judged = stamp;
            self.analyzer.do_send(GoBy(SpaceFolds::Known(folds)));
        }
        let news = match news {
            SpaceNews::Missing => {
                self.settling.on_missing();
                self.add_task(DiskTask::Error(None), ctx);
                SpaceNews::Missing
            }
            SpaceNews::Unsettled => {
                self.settles(stamp, ctx);
                SpaceNews::Unsettled
            }
            SpaceNews::Refused(text) => {
                self.add_task(DiskTask::Error(Some(text.clone())), ctx);
                if self.search.space != Space::Refused(text.clone()) {
                    warn!(launch = ?self.launch.path(), faults = text.as_str(), "random_search.json is refused");
                }
                SpaceNews::Refused(text)
            }
            SpaceNews::Accepted(accepted) => {
                self.add_task(DiskTask::Error(None), ctx);
                self.on_accepted(accepted).map_or_else(SpaceNews::Refused, SpaceNews::Accepted)
            }
        };
        react::on_space(&mut self.search, news)
    }

    /// The file changed. It is scanned again once it has been stable for long enough.
    fn settles(&mut self, stamp: Option<Stamp>, ctx: &mut Context<Self>) {
        let Some(stamp) = stamp else { return };
        let pause = self.settling.on_seen(stamp, Instant::now(), self.settle());
        self.look_in(pause, ctx);
        self.foresee();
    }

    /// The terms under which jobs are drawn from the space from now on.
    fn on_accepted(&mut self, accepted: Accepted) -> Result<Terms, String> {
        let terms = accept_space::terms(&accepted, self.search.terms.as_ref(), &self.services.settings())?;
        info!(launch = ?self.launch.path(), seed = terms.seed, n_jobs = terms.n_jobs, "random_search.json is accepted");
        self.accepted = Some(accepted);
        Ok(terms)
    }

    /// The directory is gone or was replaced. Nothing in it is ours once its trainers have ended.
    fn on_directory_gone(&mut self, ctx: &mut Context<Self>) {
        // A job that is being adopted is alive, but not among the trainers yet.
        let adopting = self.search.jobs.values().any(|job| job.standing == Standing::Adopting);
        if self.trainers.is_empty() && !adopting {
            info!(launch = ?self.launch.path(), "the launch directory is gone");
            self.tell_gone(ctx);
            ctx.stop();
        } else {
            let sentence = "the directory is gone, or another one has its name; its trainers still run";
            self.on_away(sentence.to_string(), ctx);
        }
    }

    fn on_away(&mut self, sentence: String, ctx: &mut Context<Self>) {
        self.away = true;
        let effects = holds::on_away(&mut self.search, sentence);
        self.perform(effects, ctx);
        self.look_in(UNCLEAR, ctx);
    }

    /// Runs work on the disk off this thread. Launch directories with the same parent share a limit.
    pub(crate) fn on_disk<T, W>(&self, work: W) -> impl Future<Output = Result<T, JoinError>> + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        self.services.workshop.run(self.launch.path().parent().unwrap_or(Path::new("/")), work)
    }

    /// How long a space file must be stable before it is accepted.
    fn settle(&self) -> Duration {
        Duration::from_millis(self.services.settings().settle_milliseconds)
    }

    /// Schedules a scan after a pause. Only one is scheduled at a time, and the sooner one wins.
    fn look_in(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        let at = Instant::now() + pause;
        if self.next_look.is_some_and(|(_, due)| due <= at) {
            return;
        }
        let look = ctx.run_later(pause, |this, ctx| {
            this.next_look = None;
            this.want_look(ctx);
        });
        if let Some((later, _)) = self.next_look.replace((look, at)) {
            ctx.cancel_future(later);
        }
    }

    /// Scans now, or once more after the running scan.
    pub(crate) fn want_look(&mut self, ctx: &mut Context<Self>) {
        if self.looking.on_request() {
            self.look(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settling::Settling;
    use crate::store::records::layout::LaunchDir;
    use crate::store::records::space_file;
    use crate::testing::{sampler, space, tempdir};

    /// A launch directory with a space file, and the stamp of its content.
    fn launch() -> (tempfile::TempDir, Stamp) {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        std::fs::write(launch.space(), "{}").expect("written");
        let stamp = space_file::stamp(&launch).expect("looked").expect("there");
        (dir, stamp)
    }

    fn seen(news: SpaceNews<Accepted>, stamp: Option<Stamp>) -> SpaceSeen {
        SpaceSeen { news, stamp, folds: None }
    }

    #[actix::test]
    async fn a_look_may_believe_a_space_file_only_once_it_has_settled() {
        let (dir, stamp) = launch();
        let mut sampler = sampler(dir.path());
        let believed = |sampler: &mut Sampler| sampler.known().settled_file;
        assert_eq!(believed(&mut sampler), None);
        sampler.on_space(seen(SpaceNews::Unsettled, Some(stamp)), &mut Context::new());
        assert_eq!(believed(&mut sampler), None, "it was seen a moment ago");
        let settle = sampler.settle();
        sampler.settling = Settling::default();
        sampler.settling.on_seen(stamp, Instant::now() - settle, settle);
        assert_eq!(believed(&mut sampler), Some(stamp));
        sampler.on_space(seen(SpaceNews::Missing, None), &mut Context::new());
        assert_eq!(believed(&mut sampler), None);
    }

    #[actix::test]
    async fn what_a_look_sees_of_the_space_file_is_judged_shown_and_told_the_search() {
        let (dir, stamp) = launch();
        let fault = || "a fault".to_string();
        let accepted = || {
            let space = Arc::new(space(dir.path(), "caps", "labels"));
            Accepted { space, json: Arc::default(), notices: Vec::new() }
        };
        let clear = || vec![DiskTask::Error(None)];
        // What is seen; whether it need be judged again, what is written, what the search knows.
        for (found, judged, written, known) in [
            (seen(SpaceNews::Unsettled, Some(stamp)), None, vec![], Space::Unsettled),
            (seen(SpaceNews::Missing, None), None, clear(), Space::Missing),
            (
                seen(SpaceNews::Refused(fault()), Some(stamp)),
                Some(stamp),
                vec![DiskTask::Error(Some(fault()))],
                Space::Refused(fault()),
            ),
            (seen(SpaceNews::Accepted(accepted()), Some(stamp)), Some(stamp), clear(), Space::Accepted),
        ] {
            let mut sampler = sampler(dir.path());
            // No work is done, so that the pending writes can be seen.
            sampler.at_work = true;
            let what = format!("{found:?}");
            sampler.on_space(found, &mut Context::new());
            assert_eq!((sampler.judged, &sampler.search.space), (judged, &known), "{what}");
            assert_eq!(format!("{:?}", sampler.tasks), format!("{written:?}"), "{what}");
            assert_eq!(sampler.search.terms.is_some() && sampler.accepted.is_some(), known == Space::Accepted, "{what}");
        }
    }
}
