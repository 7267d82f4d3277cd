//! A trainer that is a process of this machine, whether this program started it or found it.

use super::child::Child;
use super::exit_status::verdict;
use super::live_trainers::Followed;
use super::memory::OomWatch;
use super::process_handle::ProcessHandle;
use super::process_identity::Identity;
use super::stop::TrainerStop;
use super::warm_pool::WarmPool;
use crate::domain::job::Ended;
use crate::executor::run::{Run, RunState};
use rustix::process::Signal;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One trainer's process.
#[derive(Debug)]
pub struct TrainerProcess {
    process: Process,
    stop: Option<TrainerStop>,
    since: Instant,
    /// Receives how long the trainer lived.
    pool: Option<WarmPool>,
    _followed: Followed,
}

#[derive(Debug)]
enum Process {
    /// A child of ours, so we get its exit status.
    Child(Child, OomWatch),
    /// Started by another process, perhaps an earlier daemon. We can only see that it ended.
    Found(ProcessHandle),
}

impl Process {
    fn identity(&self) -> &Identity {
        match self {
            Process::Child(child, _) => child.identity(),
            Process::Found(found) => found.identity(),
        }
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match self {
            Process::Child(child, _) => child.signal(signal),
            Process::Found(found) => found.signal(signal),
        }
    }
}

impl TrainerProcess {
    pub fn started(child: Child, memory: OomWatch, followed: Followed, pool: Option<WarmPool>) -> Self {
        TrainerProcess::new(Process::Child(child, memory), followed, pool)
    }

    pub fn found(process: ProcessHandle, followed: Followed, pool: Option<WarmPool>) -> Self {
        TrainerProcess::new(Process::Found(process), followed, pool)
    }

    fn new(process: Process, followed: Followed, pool: Option<WarmPool>) -> Self {
        TrainerProcess { process, stop: None, since: Instant::now(), pool, _followed: followed }
    }

    /// Kills once the grace time is over. A stop that failed begins again at the next request.
    fn go_on_stopping(&mut self, now: Instant) -> io::Result<()> {
        if self.stop.as_mut().is_some_and(|stop| stop.must_kill(now))
            && let Err(e) = self.process.signal(Signal::KILL)
        {
            self.stop = None;
            return Err(e);
        }
        Ok(())
    }

    /// None while it runs.
    fn ended(&mut self, now: Instant) -> io::Result<Option<Option<Ended>>> {
        match &mut self.process {
            Process::Child(child, memory) => {
                memory.go_on(now);
                Ok(child.try_wait()?.map(|status| Some(verdict(status, memory.ran_out()))))
            }
            Process::Found(found) => Ok((!found.is_alive()?).then_some(None)),
        }
    }
}

impl Run for TrainerProcess {
    fn poll(&mut self) -> io::Result<RunState> {
        let now = Instant::now();
        self.go_on_stopping(now)?;
        let Some(ended) = self.ended(now)? else { return Ok(RunState::Running) };
        if let Some(pool) = self.pool.take() {
            pool.ended(self.since.elapsed());
        }
        Ok(RunState::Over(ended))
    }

    fn wake(&self) -> Option<OwnedFd> {
        match &self.process {
            Process::Child(child, _) => child.identity().descriptor().ok(),
            Process::Found(found) => found.wake(),
        }
    }

    fn stop(&mut self, grace: Duration) -> io::Result<()> {
        let now = Instant::now();
        if let Some(stop) = &mut self.stop {
            stop.hurry(now + grace);
            return Ok(());
        }
        self.process.signal(Signal::TERM)?;
        self.stop = Some(TrainerStop::begin(grace, now));
        Ok(())
    }
}

impl fmt::Display for TrainerProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.process.identity().pid)
    }
}
