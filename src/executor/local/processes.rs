//! The executor that runs trainers as processes of this machine.

use super::gpus::{self, GpuList};
use super::live_trainers::LiveTrainers;
use super::memory::{OomKills, OomWatch};
use super::process_handle::ProcessHandle;
use super::process_identity::{ProcessRun, is_here};
use super::start::start;
use super::trainer_evidence::{self, Verdict};
use super::trainer_process::TrainerProcess;
use super::warm_pool::WarmPool;
use crate::domain::device::Device;
use crate::executor::assignment::Assignment;
use crate::executor::found_devices::{FoundDevice, FoundDevices};
use crate::executor::run::{Executor, FoundRun, NotStarted, Run};
use crate::executor::trainer_program::find_trainer;
use crate::store::records::layout::JobDir;
use crate::store::records::run_id::RunId;
use std::io;

/// Cheap to clone; all clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    live: LiveTrainers,
    /// `None` if each trainer is loaded for its own job.
    pool: Option<WarmPool>,
}

impl Processes {
    /// For many jobs, one after another: keeps trainers loaded for the next ones.
    pub fn with_warm_trainers() -> Self {
        Processes { pool: Some(WarmPool::default()), ..Processes::default() }
    }

    fn listing(&self, listing: GpuList) -> FoundDevices {
        let gpus = listing.gpus.iter().map(|gpu| gpu.found(|pid| self.live.contains(pid)));
        FoundDevices { devices: [FoundDevice::cpu()].into_iter().chain(gpus).collect(), problem: listing.problem }
    }
}

impl Executor for Processes {
    fn check(&self) -> Result<(), String> {
        find_trainer().map(drop).map_err(|e| e.to_string())
    }

    fn devices(&self, gpus: bool) -> FoundDevices {
        self.listing(if gpus { gpus::find() } else { GpuList::default() })
    }

    fn room(&self, device: &Device, cpu_slots: u32) -> Option<u64> {
        gpus::room(device, cpu_slots)
    }

    fn start(&self, assignment: &Assignment) -> Result<Box<dyn Run>, NotStarted> {
        let memory = OomWatch::since(OomKills::now());
        let program = find_trainer().map_err(|e| NotStarted::Surroundings(e.to_string()))?;
        let child = match &self.pool {
            Some(pool) => pool.start(&program, assignment)?,
            None => start(&program, assignment)?,
        };
        let followed = self.live.follow(child.id());
        Ok(Box::new(TrainerProcess::started(child, memory, followed, self.pool.clone())))
    }

    fn find(&self, job: &JobDir, run: &RunId) -> io::Result<FoundRun> {
        let Some(ProcessRun { identity, host }) = ProcessRun::recorded(run) else {
            let kind = run.kind();
            return Ok(FoundRun::Unknown(format!(
                "its trainer is run by another executor, {kind:?}, and has not said how it ended"
            )));
        };
        if !is_here(&host, &identity.boot_id) {
            let why = format!("its trainer was started on another machine, {host:?}, and has not said how it ended");
            return Ok(FoundRun::Unknown(why));
        }
        let Some(process) = ProcessHandle::open(identity)? else { return Ok(FoundRun::Over) };
        let pid = process.identity().pid;
        let verdict = trainer_evidence::judge(job, pid);
        // Another process may have got its number meanwhile, and was judged then.
        if !process.is_alive()? {
            return Ok(FoundRun::Over);
        }
        Ok(match verdict {
            Verdict::ItsTrainer => {
                let followed = self.live.follow(pid);
                FoundRun::Alive(Box::new(TrainerProcess::found(process, followed, self.pool.clone())))
            }
            Verdict::Another(why) => FoundRun::Another { why, holds_its_lock: false },
            Verdict::OfTheOriginal(why) => FoundRun::Another { why, holds_its_lock: true },
            Verdict::Unknown(why) => FoundRun::Unknown(why),
        })
    }

    fn expect_jobs(&self) {
        // If there is no program, the first job reports that.
        if let (Some(pool), Ok(program)) = (&self.pool, find_trainer()) {
            pool.prewarm(&program);
        }
    }

    fn refresh(&self) -> Result<(), String> {
        self.pool.iter().for_each(WarmPool::reap_unused);
        Ok(())
    }
}
