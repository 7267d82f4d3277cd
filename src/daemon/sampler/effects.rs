//! Carries out a search's effects: sends messages at once, and queues work on the disk.

use super::Sampler;
use super::disk_task::{DiskTask, DiskTaskDone, DiskWorker};
use crate::daemon::analyzer::TableChange;
use crate::daemon::devices::{Claim, Demanded, Released};
use crate::daemon::trainer::{Role, StopIt, Trainer};
use crate::domain::device::Device;
use crate::domain::job::JobName;
use crate::engine::effect::Effect;
use crate::engine::outcome::Outcome;
use crate::engine::react;
use crate::engine::state::{Lease, Search, Standing};
use crate::engine::{attempt_end, holds, restore};
use crate::executor::{Assignment, cache_folder};
use crate::store::fs::disk_fault;
use crate::store::fs::error::StoreError;
use crate::store::fs::rights::Rights;
use crate::store::records::search_record::SearchRecord;
use crate::store::system::now;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::time::Duration;
use tracing::{info, warn};

impl Sampler {
    pub(crate) fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Ask(demand) => self.devices.do_send(Demanded { search: self.launch.clone(), demand }),
                Effect::Draw { index, lease, failure } => {
                    let device = lease.map(|lease| lease.device).ok_or_else(|| failure.unwrap_or_default());
                    self.add_task(DiskTask::Draw { index, device }, ctx);
                }
                Effect::Launch { job, lease, attempt, update } => {
                    self.add_task(DiskTask::Launch { job, lease, attempt, update }, ctx);
                }
                Effect::Claim { job, device } => self.claim(job, device, ctx),
                Effect::Follow { job, lease: _ } => {
                    let attempt = self.search.jobs.get(&job).map_or(0, |job| job.history.attempts);
                    self.start_trainer(job, Role::Adopt { attempt }, ctx);
                }
                Effect::Stop { job } => {
                    if let Some(trainer) = self.trainers.get(&job) {
                        trainer.do_send(StopIt);
                    }
                }
                Effect::Release { lease, job, failed } => {
                    let job = job.map(|job| format!("{}/{job}", self.launch.path().display()));
                    self.devices.do_send(Released { lease: lease.id, job, failed });
                }
                Effect::Record { job, update } => self.add_task(DiskTask::Record { job, update }, ctx),
                Effect::RecordSearch => {
                    if let Some(terms) = self.search.terms.clone() {
                        self.add_task(DiskTask::Search(Box::new(SearchRecord::new(terms))), ctx);
                    }
                }
                Effect::Rest { job, seconds } => {
                    ctx.run_later(Duration::from_secs(seconds), move |this, ctx| {
                        let effects = attempt_end::on_retry_due(&mut this.search, &job);
                        this.perform(effects, ctx);
                    });
                }
                Effect::Probe { seconds } => {
                    ctx.run_later(Duration::from_secs(seconds), |this, ctx| this.probe(ctx));
                }
                Effect::Tabulate { job } => self.analyzer.do_send(TableChange::Job(job)),
                Effect::TabulateAll => self.analyzer.do_send(TableChange::All),
                Effect::WriteTables => self.analyzer.do_send(TableChange::Nothing),
                Effect::Say(text) => info!(launch = ?self.launch.path(), text = text.as_str(), "search"),
            }
        }
    }

    /// Tests whether the obstacle is gone. An input is tested apart from the queue of records, since its disk may be a different
    /// one, and dead.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.search.room_wanted;
        let Some(input) = self.search.out_of_reach.clone() else { return self.add_task(DiskTask::Probe { wanted }, ctx) };
        let launch = self.launch.clone();
        let again = move || Rights::of_owner(launch.path())?.read(|| disk_fault::again(&input));
        let work = self.services.workshop.run(self.launch.path(), again);
        ctx.spawn(work.into_actor(self).map(move |again, this, ctx| match again {
            Ok(Err(e)) => {
                let effects = holds::on_no_room(&mut this.search, format!("an input could not be read: {e}"));
                this.perform(effects, ctx);
            }
            Ok(Ok(())) | Err(_) => this.add_task(DiskTask::Probe { wanted }, ctx),
        }));
    }

    fn claim(&mut self, job: JobName, device: Device, ctx: &mut Context<Self>) {
        let Some(need) = self.search.jobs.get(&job).map(|job| job.need) else { return };
        let claim = self.devices.send(Claim { search: self.launch.clone(), device, need });
        ctx.spawn(claim.into_actor(self).map(move |lease, this, ctx| {
            if let Ok(lease) = lease {
                let effects = restore::on_claimed(&mut this.search, &job, lease);
                this.perform(effects, ctx);
            }
        }));
    }

    fn start_trainer(&mut self, job: JobName, role: Role, ctx: &mut Context<Self>) {
        let folder = self.launch.job(&job);
        let trainer = Trainer::new(self.services.clone(), job.clone(), folder, role, ctx.address().recipient());
        self.trainers.insert(job, trainer.start());
    }

    /// Queues work; there is at most one piece for each event, and events come from jobs that hold a slot.
    pub(crate) fn add_task(&mut self, task: DiskTask, ctx: &mut Context<Self>) {
        if !self.closed || task.only_records() {
            self.tasks.push_back(task);
        }
        self.next_task(ctx);
    }

    fn disk_worker(&self) -> DiskWorker {
        DiskWorker {
            launch: self.launch.clone(),
            directory: self.locked.as_ref().map(|locked| locked.directory),
            terms: self.search.terms.clone(),
            accepted: self.accepted.clone(),
            threads: self.services.threads(),
            cpu_slots: self.services.cpu_slots(),
            executor: self.services.executor.clone(),
            on_too_large: self.services.settings().on_too_large,
        }
    }

    pub(crate) fn next_task(&mut self, ctx: &mut Context<Self>) {
        if self.at_work {
            return;
        }
        let Some(task) = self.tasks.pop_front_if(|_| !self.away) else {
            if let Some(finishing) = self.finishing.take() {
                // The daemon may have stopped waiting.
                let _ = finishing.send(());
            }
            return;
        };
        self.at_work = true;
        let worker = self.disk_worker();
        let work = self.on_disk(move || worker.work(task));
        ctx.spawn(work.into_actor(self).map(|done, this, ctx| {
            this.at_work = false;
            match done {
                Ok(done) => this.on_done(done, ctx),
                Err(e) => warn!(launch = ?this.launch.path(), error = e.to_string(), "work was cut short"),
            }
            this.next_task(ctx);
        }));
    }

    fn on_done(&mut self, done: DiskTaskDone, ctx: &mut Context<Self>) {
        if let DiskTaskDone::Away(task) = done {
            self.tasks.push_front(task);
            self.away = true;
            return self.want_look(ctx);
        }
        let search = &mut self.search;
        let effects = match done {
            DiskTaskDone::Drawn(index, Ok((name, drawn))) => react::on_drawn(search, index, name, drawn, now()),
            DiskTaskDone::Drawn(index, Err(why)) => react::on_not_drawn(search, index, why),
            DiskTaskDone::SearchRecorded(Ok(())) | DiskTaskDone::ErrorWritten(Ok(())) => Vec::new(),
            DiskTaskDone::Recorded(job, Ok(_)) => holds::on_saved(search, &job),
            // The folder is gone: the next look forgets the job.
            DiskTaskDone::Recorded(_, Err(e)) if e.is_missing() => Vec::new(),
            DiskTaskDone::Recorded(job, Err(e)) if e.is_of_the_disk() => holds::on_unsaved(search, Some(&job), e.to_string()),
            DiskTaskDone::Recorded(job, Err(e)) => holds::on_damaged(search, &job, e.to_string()),
            DiskTaskDone::SearchRecorded(Err(e)) => holds::on_unsaved(search, None, e.to_string()),
            DiskTaskDone::ErrorWritten(Err(e)) => {
                // The faults are shown by `status` all the same.
                self.alarms.push(e.to_string());
                Vec::new()
            }
            DiskTaskDone::TooLarge(job, sentence) => attempt_end::on_too_large(search, &job, sentence),
            DiskTaskDone::Enqueued { made, need, answer } => {
                let effects = made.clone().map_or_else(|_| Vec::new(), |name| react::on_enqueued(search, name, need));
                // After the job is counted, so that nobody who was answered finds the search finished. Whoever asked may have
                // stopped waiting; the job is there all the same.
                let _ = answer.send(made);
                effects
            }
            DiskTaskDone::Launchable { job, recorded: Err(e), .. } => not_launchable(search, &job, &e),
            DiskTaskDone::Launchable { job, lease, attempt, recorded: Ok(said) } => {
                let effects = holds::on_saved(search, &job);
                self.perform(effects, ctx);
                return self.launch(job, &lease, attempt, said, ctx);
            }
            DiskTaskDone::Probed(Ok(())) => holds::on_room(search),
            DiskTaskDone::Probed(Err(e)) => holds::on_no_room(search, e.to_string()),
            DiskTaskDone::Away(_) => Vec::new(),
        };
        self.perform(effects, ctx);
    }

    /// The record says running, so the trainer may start now, with this number of threads and this user's rights.
    fn launch(
        &mut self,
        job: JobName,
        lease: &Lease,
        attempt: u32,
        (threads, reads_as): (usize, Option<u32>),
        ctx: &mut Context<Self>,
    ) {
        if !matches!(self.search.jobs.get(&job).map(|job| &job.standing), Some(Standing::Starting(_))) {
            // A stop was requested while its record was being written, so it never began.
            let outcome = Outcome::default();
            let effects = attempt_end::on_ended(&mut self.search, &job, &outcome);
            return self.perform(effects, ctx);
        }
        let settings = self.services.settings();
        let (precision, cache) = (settings.precision, cache_folder::of_settings(&settings));
        let device = lease.device.clone();
        let assignment = Assignment { job: self.launch.job(&job), device, threads, attempt, precision, cache, reads_as };
        self.start_trainer(job, Role::Start(assignment), ctx);
    }
}

/// The record must say running before the trainer starts, but could not be written. Decides whose fault that is.
fn not_launchable(search: &mut Search, job: &JobName, error: &StoreError) -> Vec<Effect> {
    if error.is_missing() {
        react::on_folder_gone(search, job)
    } else if error.is_of_the_disk() {
        react::on_not_started(search, job, error.to_string())
    } else {
        react::on_not_startable(search, job, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::sampler::scan::{self, Locked};
    use crate::store::fs::lock::{self, Locking};
    use crate::store::records::layout::LaunchDir;
    use crate::testing::{sampler, tempdir};
    use std::fs;
    use std::sync::Arc;

    #[actix::test]
    async fn no_record_is_put_into_another_directory_of_the_same_name() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path().join("launch"));
        fs::create_dir_all(launch.private()).expect("made");
        let mut sampler = sampler(launch.path());
        let Ok(Locking::Held(lock)) = lock::take(&launch.lock(), "{}") else { panic!("not locked") };
        let directory = scan::directory(&launch).expect("looked").expect("there");
        sampler.locked = Some(Arc::new(Locked { lock, directory }));
        let error = || launch.path().join("random_search.error");
        let write = || DiskTask::Error(Some("a fault".to_string()));

        assert!(matches!(sampler.disk_worker().work(write()), DiskTaskDone::ErrorWritten(Ok(()))));
        assert!(error().exists());
        // Kept under another name, so that its number is not reused.
        fs::rename(launch.path(), dir.path().join("away")).expect("moved away");
        fs::create_dir_all(launch.private()).expect("made");
        let done = sampler.disk_worker().work(write());
        assert!(matches!(done, DiskTaskDone::Away(DiskTask::Error(_))), "{done:?}");
        assert!(!error().exists());
        sampler.on_done(done, &mut Context::new());
        assert!(sampler.away && sampler.tasks.len() == 1, "the work waits for its directory");
    }
}
