//! A tiny executor for tests: a queue that starts trainers under a shell of its own, and knows each by a number and no other thing.

use crate::stand_in::checkout;
use neurosearch::domain::device::Device;
use neurosearch::domain::job::{Ended, FailureClass};
use neurosearch::executor::assignment::variable;
use neurosearch::executor::found_devices::{FoundDevice, FoundDevices};
use neurosearch::executor::{Assignment, Executor, FoundRun, NotStarted, Run, RunState};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::records::run_id::RunId;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const KIND: &str = "queue";

/// What runs the trainers, and outlives every daemon of a test. When the last clone is dropped, all trainers are killed.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    environment: Vec<(&'static str, &'static str)>,
    jobs: BTreeMap<u32, Job>,
    submitted: u32,
    held: bool,
    silent: bool,
    looked_for: usize,
    stops: Vec<(u32, String)>,
}

#[derive(Debug)]
struct Job {
    command: Command,
    child: Option<Child>,
    kill_at: Option<Instant>,
    asked: usize,
}

impl Cluster {
    /// With this variable in every trainer's environment.
    pub fn with(name: &'static str, value: &'static str) -> Self {
        Cluster::default().and(name, value)
    }

    pub fn and(self, name: &'static str, value: &'static str) -> Self {
        self.state().environment.push((name, value));
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test has panicked here")
    }

    /// Begins nothing, or begins what waits.
    pub fn hold(&self, held: bool) {
        self.state().held = held;
    }

    /// Answers nobody who looks for a run.
    pub fn silence(&self, silent: bool) {
        self.state().silent = silent;
    }

    pub fn submitted(&self) -> u32 {
        self.state().submitted
    }

    /// How often the run was asked how it is.
    pub fn asked(&self, id: u32) -> usize {
        self.state().jobs.get(&id).map_or(0, |job| job.asked)
    }

    /// How often a run was looked for by what its trainer had recorded.
    pub fn looked_for(&self) -> usize {
        self.state().looked_for
    }

    /// Which runs were asked to stop, and which were killed then.
    pub fn stops(&self) -> Vec<(u32, String)> {
        self.state().stops.clone()
    }

    /// The node burns down, and the queue with its memory of the run.
    pub fn lose(&self, id: u32) {
        let job = self.state().jobs.remove(&id);
        job.expect("a run of this number").end();
    }
}

impl Job {
    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw);
        if let Some(group) = child {
            // It may be gone already.
            let _ = kill_process_group(group, signal);
        }
    }

    fn end(mut self) {
        self.signal(Signal::KILL);
        self.child.iter_mut().for_each(|child| drop(child.wait()));
    }
}

impl State {
    fn submit(&mut self, assignment: &Assignment) -> Result<u32, NotStarted> {
        let id = self.submitted;
        let failed = |e: &dyn fmt::Display| NotStarted::Surroundings(e.to_string());
        let run = RunId::new(KIND, &id).map_err(|e| failed(&e))?;
        let log = assignment.open_log().map_err(|e| NotStarted::Job(e.to_string()))?;
        let mut command = Command::new("sh");
        // The trainer's exit status is lost here, as in many a queue.
        command.args(["-c", "trap : TERM; \"$0\" \"$1\"; exit 0"]).arg(checkout("tests/programs/stand-in-trainer"));
        command.arg(assignment.job.path()).envs(assignment.variables()).envs(self.environment.iter().copied());
        command.env(variable::RUN, serde_json::to_string(&run).map_err(|e| failed(&e))?).process_group(0);
        command.stdin(Stdio::null()).stderr(log.try_clone().map_err(|e| failed(&e))?).stdout(log);
        self.jobs.insert(id, Job { command, child: None, kill_at: None, asked: 0 });
        self.submitted += 1;
        Ok(id)
    }

    fn poll(&mut self, id: u32) -> io::Result<RunState> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(RunState::Over(None)) };
        job.asked += 1;
        let Some(child) = &mut job.child else {
            if self.held {
                return Ok(RunState::Waiting("no node is free".to_string()));
            }
            job.child = Some(job.command.spawn()?);
            return Ok(RunState::Running);
        };
        if child.try_wait()?.is_some() {
            let sentence = "the queue says that the node failed".to_string();
            return Ok(RunState::Over(Some(Ended::Failed { class: FailureClass::Device, sentence })));
        }
        if job.kill_at.take_if(|at| *at <= Instant::now()).is_some() {
            job.signal(Signal::KILL);
            self.stops.push((id, "killed".to_string()));
        }
        Ok(RunState::Running)
    }

    fn stop(&mut self, id: u32, grace: Duration) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.signal(Signal::TERM);
        job.kill_at = Some(Instant::now() + grace);
        self.stops.push((id, "asked".to_string()));
    }
}

impl Drop for State {
    fn drop(&mut self) {
        std::mem::take(&mut self.jobs).into_values().for_each(Job::end);
    }
}

/// The executor of one daemon over a cluster.
#[derive(Debug)]
pub struct Queue(Cluster);

impl Queue {
    pub fn of(cluster: &Cluster) -> Self {
        Queue(cluster.clone())
    }

    fn run(&self, id: u32) -> Box<dyn Run> {
        Box::new(Queued { id, cluster: self.0.clone() })
    }
}

impl Executor for Queue {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn devices(&self, _: bool) -> FoundDevices {
        FoundDevices { devices: vec![FoundDevice { slots: Some(2), ..FoundDevice::cpu() }], problem: None }
    }

    fn room(&self, _: &Device, _: u32) -> Option<u64> {
        None
    }

    fn start(&self, assignment: &Assignment) -> Result<Box<dyn Run>, NotStarted> {
        let id = self.0.state().submit(assignment)?;
        Ok(self.run(id))
    }

    fn find(&self, _: &JobDir, run: &RunId) -> io::Result<FoundRun> {
        let mut state = self.0.state();
        state.looked_for += 1;
        let Some(id) = run.id::<u32>(KIND) else { return Ok(FoundRun::Unknown("another executor's".to_string())) };
        if state.silent {
            return Ok(FoundRun::Unknown("the queue does not answer".to_string()));
        }
        match state.poll(id)? {
            RunState::Over(_) => Ok(FoundRun::Over),
            RunState::Waiting(_) | RunState::Running => Ok(FoundRun::Alive(self.run(id))),
        }
    }
}

/// One job in the queue.
#[derive(Debug)]
struct Queued {
    id: u32,
    cluster: Cluster,
}

impl Run for Queued {
    fn poll(&mut self) -> io::Result<RunState> {
        self.cluster.state().poll(self.id)
    }

    fn wake(&self) -> Option<OwnedFd> {
        None
    }

    fn stop(&mut self, grace: Duration) -> io::Result<()> {
        self.cluster.state().stop(self.id, grace);
        Ok(())
    }
}

impl fmt::Display for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "number {} in the queue", self.id)
    }
}
