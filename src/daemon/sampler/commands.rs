//! Carries out the commands that a search receives over the control socket.

use super::Sampler;
use super::chosen_job::Chosen;
use super::disk_task::DiskTask;
use crate::domain::job::JobName;
use crate::engine::command::{self, Command, on_command};
use actix::{ActorContext, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

/// Change the search, one command after another, up to the first that fails.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<String>, String>")]
pub struct ChangeSearch(pub Vec<Command>);

impl Handler<ChangeSearch> for Sampler {
    type Result = Result<Vec<String>, String>;

    fn handle(&mut self, ChangeSearch(commands): ChangeSearch, ctx: &mut Self::Context) -> Self::Result {
        let mut done = Vec::new();
        for command in commands {
            let (said, effects) = on_command(&mut self.search, command)?;
            done.extend(said);
            self.perform(effects, ctx);
        }
        self.keep_time(ctx);
        // If somebody else holds the job, a scan decides.
        if self.search.jobs.values().any(|job| job.elsewhere.is_some() && job.history.pending.is_some()) {
            self.want_look(ctx);
        }
        Ok(done)
    }
}

/// The daemon stops: every trainer keeps its last epoch and ends.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct StopTrainers;

impl Handler<StopTrainers> for Sampler {
    type Result = ();

    fn handle(&mut self, _: StopTrainers, ctx: &mut Self::Context) {
        let effects = command::on_shutdown(&mut self.search);
        self.perform(effects, ctx);
    }
}

/// Put this job into the queue.
#[derive(Debug, Message)]
#[rtype(result = "Result<JobName, String>")]
pub struct EnqueueJob(pub Chosen);

impl Handler<EnqueueJob> for Sampler {
    type Result = ResponseFuture<Result<JobName, String>>;

    fn handle(&mut self, EnqueueJob(chosen): EnqueueJob, ctx: &mut Self::Context) -> Self::Result {
        let (answer, wait) = oneshot::channel();
        if self.locked.is_some() {
            self.add_task(DiskTask::Enqueue { chosen, answer }, ctx);
        } else {
            // Only the holder of the lock may write here.
            let _ = answer.send(Err(format!("not served: {}", self.alarms.join("; "))));
        }
        Box::pin(async { wait.await.unwrap_or_else(|_| Err("the daemon is stopping; ask again once it is back".to_string())) })
    }
}

/// Stop serving this directory. Refused while anything of it is under way.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), Stay>")]
pub struct Leave;

/// Why a search cannot be left now.
#[derive(Debug)]
pub enum Stay {
    /// A job has just begun.
    Job(String),
    /// A scan or a write is under way, and ends soon.
    Moment(String),
}

impl Handler<Leave> for Sampler {
    type Result = Result<(), Stay>;

    fn handle(&mut self, _: Leave, ctx: &mut Self::Context) -> Self::Result {
        let path = self.launch.path().display();
        if !self.trainers.is_empty() {
            return Err(Stay::Job(format!("a job of {path} has just begun; pause the search first")));
        }
        if self.at_work {
            return Err(Stay::Moment(format!("{path} is being looked at or written to at this moment; ask again")));
        }
        self.closed = true;
        self.tell_gone(ctx);
        ctx.stop();
        Ok(())
    }
}
