//! How a search's effects are carried out: messages at once, work on the disk one at a time and off the actors' thread.

use super::accept_space::Accepted;
use super::draw::{self, Slot};
use super::{Sampler, scan};
use crate::daemon::analyzer::Changed;
use crate::daemon::devices::{Claim, Demanded, Released};
use crate::daemon::http::verbs::enqueue;
use crate::daemon::trainer::{Role, StopIt, Trainer};
use crate::domain::device::Device;
use crate::domain::job::{JobName, JobState};
use crate::domain::network::device_fit::{self, OnTooLarge};
use crate::domain::search_terms::Terms;
use crate::engine::effect::{Effect, RecordUpdate};
use crate::engine::outcome::Outcome;
use crate::engine::react::{self, Drawn, NotDrawn};
use crate::engine::state::{Lease, Search, Standing};
use crate::engine::{attempt_end, holds, restore};
use crate::executor::{Assignment, Executor, cache_folder};
use crate::store::fs::disk_fault;
use crate::store::fs::error::StoreError;
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::search_record::SearchRecord;
use crate::store::records::{free_space, list_jobs, record, space_file, sweep};
use crate::store::system::now;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// One piece of work on the disk.
#[derive(Debug)]
pub enum Task {
    Draw {
        index: u64,
        /// The device of the slot that waits for it, or why there is none.
        device: Result<String, String>,
    },
    Record {
        job: JobName,
        update: RecordUpdate,
    },
    Launch {
        job: JobName,
        lease: Lease,
        attempt: u32,
        update: RecordUpdate,
    },
    Search(Box<SearchRecord>),
    /// The text of `random_search.error`; none removes it.
    Error(Option<String>),
    /// Whether the directory takes writes again, and has at least so many bytes free.
    Probe {
        wanted: u64,
    },
    /// A job of somebody's own choosing, and who waits for its name.
    Enqueue {
        chosen: enqueue::Chosen,
        answer: oneshot::Sender<Result<JobName, String>>,
    },
}

impl Task {
    /// Whether it begins nothing new.
    pub fn only_records(&self) -> bool {
        matches!(self, Task::Record { .. } | Task::Search(_) | Task::Error(_))
    }
}

/// How it came out.
#[derive(Debug)]
enum Done {
    Drawn(u64, Result<(JobName, Drawn), NotDrawn>),
    Recorded(JobName, Result<usize, StoreError>),
    Launchable {
        job: JobName,
        lease: Lease,
        attempt: u32,
        recorded: Result<usize, StoreError>,
    },
    /// It does not fit the device, for this reason.
    TooLarge(JobName, String),
    SearchRecorded(Result<(), StoreError>),
    ErrorWritten(Result<(), StoreError>),
    Enqueued,
    Probed(Result<(), StoreError>),
    /// The directory is not ours now: the work waits.
    Away(Task),
}

/// What the work needs to know besides the task.
struct Desk {
    launch: LaunchDir,
    /// Device and inode that the directory must have.
    directory: Option<(u64, u64)>,
    terms: Option<Terms>,
    accepted: Option<Accepted>,
    threads: usize,
    cpu_slots: u32,
    executor: Arc<dyn Executor>,
    on_too_large: OnTooLarge,
}

impl Sampler {
    pub(crate) fn perform(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Ask(demand) => self.devices.do_send(Demanded { search: self.launch.clone(), demand }),
                Effect::Draw { index, lease, failure } => {
                    let device = lease.map(|lease| lease.device).ok_or_else(|| failure.unwrap_or_default());
                    self.add_task(Task::Draw { index, device }, ctx);
                }
                Effect::Launch { job, lease, attempt, update } => {
                    self.add_task(Task::Launch { job, lease, attempt, update }, ctx);
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
                Effect::Record { job, update } => self.add_task(Task::Record { job, update }, ctx),
                Effect::RecordSearch => {
                    if let Some(terms) = self.search.terms.clone() {
                        self.add_task(Task::Search(Box::new(SearchRecord::new(terms))), ctx);
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
                Effect::Tabulate { job } => self.analyzer.do_send(Changed::Job(job)),
                Effect::TabulateAll => self.analyzer.do_send(Changed::All),
                Effect::WriteTables => self.analyzer.do_send(Changed::Nothing),
                Effect::Say(text) => info!(launch = ?self.launch.path(), text = text.as_str(), "search"),
            }
        }
    }

    /// Tries what held the search: an input first, beside the line of records, since its disk may be another one, and dead.
    fn probe(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.search.room_wanted;
        let Some(input) = self.search.out_of_reach.clone() else { return self.add_task(Task::Probe { wanted }, ctx) };
        let work = self.services.workshop.run(self.launch.path(), move || disk_fault::again(&input));
        ctx.spawn(work.into_actor(self).map(move |again, this, ctx| match again {
            Ok(Err(e)) => {
                let effects = holds::on_no_room(&mut this.search, format!("an input could not be read: {e}"));
                this.perform(effects, ctx);
            }
            Ok(Ok(())) | Err(_) => this.add_task(Task::Probe { wanted }, ctx),
        }));
    }

    fn claim(&mut self, job: JobName, device: String, ctx: &mut Context<Self>) {
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
    pub(crate) fn add_task(&mut self, task: Task, ctx: &mut Context<Self>) {
        if !self.closed || task.only_records() {
            self.tasks.push_back(task);
        }
        self.next_task(ctx);
    }

    fn desk(&self) -> Desk {
        Desk {
            launch: self.launch.clone(),
            directory: self.locked.as_ref().map(|locked| locked.directory),
            terms: self.search.terms.clone(),
            accepted: self.accepted.clone(),
            threads: self.services.threads(),
            cpu_slots: self.services.cpu_slots(),
            executor: self.services.executor.clone(),
            on_too_large: self.services.settings.on_too_large,
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
        let desk = self.desk();
        let work = self.on_disk(move || desk.work(task));
        ctx.spawn(work.into_actor(self).map(|done, this, ctx| {
            this.at_work = false;
            match done {
                Ok(done) => this.on_done(done, ctx),
                Err(e) => warn!(launch = ?this.launch.path(), error = e.to_string(), "work was cut short"),
            }
            this.next_task(ctx);
        }));
    }

    fn on_done(&mut self, done: Done, ctx: &mut Context<Self>) {
        if let Done::Away(task) = done {
            self.tasks.push_front(task);
            self.away = true;
            return self.want_look(ctx);
        }
        let search = &mut self.search;
        let effects = match done {
            Done::Drawn(index, Ok((name, drawn))) => react::on_drawn(search, index, name, drawn, now()),
            Done::Drawn(index, Err(why)) => react::on_not_drawn(search, index, why),
            Done::SearchRecorded(Ok(())) | Done::ErrorWritten(Ok(())) => Vec::new(),
            Done::Recorded(job, Ok(_)) => holds::on_saved(search, &job),
            // The folder is gone: the next look forgets the job.
            Done::Recorded(_, Err(e)) if e.is_missing() => Vec::new(),
            Done::Recorded(job, Err(e)) if e.is_of_the_disk() => holds::on_unsaved(search, Some(&job), e.to_string()),
            Done::Recorded(job, Err(e)) => holds::on_damaged(search, &job, e.to_string()),
            Done::SearchRecorded(Err(e)) => holds::on_unsaved(search, None, e.to_string()),
            Done::ErrorWritten(Err(e)) => {
                // The faults are shown by `status` all the same.
                self.alarms.push(e.to_string());
                Vec::new()
            }
            Done::TooLarge(job, sentence) => attempt_end::on_too_large(search, &job, sentence),
            Done::Enqueued => {
                self.want_look(ctx);
                Vec::new()
            }
            Done::Launchable { job, recorded: Err(e), .. } => not_launchable(search, &job, &e),
            Done::Launchable { job, lease, attempt, recorded: Ok(threads) } => {
                let effects = holds::on_saved(search, &job);
                self.perform(effects, ctx);
                return self.launch(job, &lease, attempt, threads, ctx);
            }
            Done::Probed(Ok(())) => holds::on_room(search),
            Done::Probed(Err(e)) => holds::on_no_room(search, e.to_string()),
            Done::Away(_) => Vec::new(),
        };
        self.perform(effects, ctx);
    }

    /// The record says running: now the trainer may.
    fn launch(&mut self, job: JobName, lease: &Lease, attempt: u32, threads: usize, ctx: &mut Context<Self>) {
        if !matches!(self.search.jobs.get(&job).map(|job| &job.standing), Some(Standing::Starting(_))) {
            // Asked to stop while its record was being written: it never began.
            let outcome = Outcome::default();
            let effects = attempt_end::on_ended(&mut self.search, &job, &outcome);
            return self.perform(effects, ctx);
        }
        match Device::try_from(lease.device.clone()) {
            Ok(device) => {
                let settings = &self.services.settings;
                let (precision, cache) = (settings.precision, cache_folder::of_settings(settings));
                let assignment = Assignment { job: self.launch.job(&job), device, threads, attempt, precision, cache };
                self.start_trainer(job, Role::Start(assignment), ctx);
            }
            Err(e) => {
                let effects = react::on_not_started(&mut self.search, &job, e.to_string());
                self.perform(effects, ctx);
            }
        }
    }
}

/// The record that must say running before the trainer starts could not be written: whose fault is it?
fn not_launchable(search: &mut Search, job: &JobName, error: &StoreError) -> Vec<Effect> {
    if error.is_missing() {
        react::on_folder_gone(search, job)
    } else if error.is_of_the_disk() {
        react::on_not_started(search, job, error.to_string())
    } else {
        react::on_not_startable(search, job, error.to_string())
    }
}

impl Desk {
    fn work(&self, task: Task) -> Done {
        // Whatever bears the name now must not get the records of what bore it before.
        if self.directory.is_some() && scan::directory(&self.launch).ok().flatten() != self.directory {
            return Done::Away(task);
        }
        match task {
            Task::Draw { index, device } => Done::Drawn(index, self.draw(index, device)),
            Task::Record { job, update } => {
                let folder = self.launch.job(&job);
                let recorded = update_record(&folder, &update, self.threads);
                if update.state.is_given_up()
                    && let Err(e) = sweep::after_end(&folder)
                {
                    // The next start tries again.
                    warn!(job = ?folder.path(), error = e.to_string(), "what a trainer left was not removed");
                }
                Done::Recorded(job, recorded)
            }
            Task::Launch { job, lease, attempt, update } => {
                if let Some(sentence) = self.too_large(&job, &lease, &update) {
                    return Done::TooLarge(job, sentence);
                }
                let recorded = update_record(&self.launch.job(&job), &update, self.threads);
                Done::Launchable { job, lease, attempt, recorded }
            }
            Task::Search(search) => Done::SearchRecorded(record::write(&self.launch.search_record(), &search)),
            Task::Error(Some(text)) => Done::ErrorWritten(space_file::write_error(&self.launch, &text)),
            Task::Error(None) => Done::ErrorWritten(space_file::clear_error(&self.launch)),
            Task::Enqueue { chosen, answer } => {
                // Whoever asked may have stopped waiting; the job is there all the same.
                let _ = answer.send(enqueue::make(&self.launch, &chosen));
                Done::Enqueued
            }
            Task::Probe { wanted } => Done::Probed(free_space::probe(&self.launch, wanted)),
        }
    }

    fn draw(&self, index: u64, device: Result<String, String>) -> Result<(JobName, Drawn), NotDrawn> {
        let slot = device.map(|device| Slot { room: self.room(&device), device, on_too_large: self.on_too_large });
        match (&self.accepted, &self.terms) {
            (Some(accepted), Some(terms)) => draw::draw_job(&self.launch, accepted, terms, index, &slot),
            _ => Err(NotDrawn::Refused("no space is accepted".to_string())),
        }
    }

    fn room(&self, device: &str) -> Option<u64> {
        Device::try_from(device.to_string()).ok().and_then(|device| self.executor.room(&device, self.cpu_slots))
    }

    /// Why the job cannot train on the device of its slot. One that has a checkpoint did, so it is not asked again.
    fn too_large(&self, job: &JobName, lease: &Lease, update: &RecordUpdate) -> Option<String> {
        let record = list_jobs::record_of(&self.launch.job(job)).ok().flatten();
        let footprint = record.and_then(|record| record.footprint).filter(|_| update.history.checkpoints_seen == 0)?;
        device_fit::too_large(&footprint, self.room(&lease.device), &lease.device)
    }
}

/// Brings a job's record up to date, keeping what the update does not name. The threads of its attempts are answered.
fn update_record(job: &JobDir, update: &RecordUpdate, threads: usize) -> Result<usize, StoreError> {
    let old = list_jobs::record_of(job)?.unwrap_or_else(|| JobRecord::queued(Starter::Daemon));
    let threads = old.threads.unwrap_or(threads);
    // Where it runs is not known before its slot is claimed: then the record knows better.
    let unknown = matches!(&update.state, JobState::Running { device: None, .. });
    let new = JobRecord {
        borrower: None,
        state: if unknown { old.state } else { update.state.clone() },
        history: update.history.clone(),
        threads: if update.history.attempts > 0 { Some(threads) } else { old.threads },
        ..old
    };
    record::write(&job.record(), &new).map(|()| threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::sampler::scan::Locked;
    use crate::store::fs::lock::{self, Locking};
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
        let write = || Task::Error(Some("a fault".to_string()));

        assert!(matches!(sampler.desk().work(write()), Done::ErrorWritten(Ok(()))));
        assert!(error().exists());
        // Kept under another name, so that its number is not given to the next.
        fs::rename(launch.path(), dir.path().join("away")).expect("moved away");
        fs::create_dir_all(launch.private()).expect("made");
        let done = sampler.desk().work(write());
        assert!(matches!(done, Done::Away(Task::Error(_))), "{done:?}");
        assert!(!error().exists());
        sampler.on_done(done, &mut Context::new());
        assert!(sampler.away && sampler.tasks.len() == 1, "the work waits for its directory");
    }
}
