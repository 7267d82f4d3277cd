//! A trainer that this process started. Its whole group is gone before its number is reused.

use super::process_handle::sent_to;
use super::process_identity::{Identity, boot_id};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::io;
use std::process::ExitStatus;

/// The leader of a process group, started by [`start`](super::start::start). Dropping it leaves the trainer running.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    identity: Identity,
}

impl Child {
    /// Takes over `child`, which must lead its own process group. Kills it if it cannot be told from other processes.
    pub(crate) fn lead(mut child: std::process::Child) -> io::Result<Self> {
        match identify(child.id()) {
            Ok(identity) => Ok(Child { child, identity }),
            Err(e) => {
                child.kill()?;
                child.wait()?;
                Err(e)
            }
        }
    }

    /// The trainer's pid, which is also its group's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How the trainer ended. `None` while it runs. Never waits. The rest of its group is killed before the leader is reaped:
    /// until then nobody else can get the group's number.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let pid = self.identity.raw()?;
        if self.has_ended(pid)? {
            kill_leftovers(pid)?;
        }
        self.child.try_wait()
    }

    /// Signals its whole group. One that has ended is no error.
    ///
    /// # Errors
    /// If every process of the group belongs to another user.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let pid = self.identity.raw()?;
        // It is not reaped before this has seen its end, so nobody else can have the group's number.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => sent_to(self.id(), kill_process_group(pid, signal)),
        }
    }

    fn has_ended(&self, pid: Pid) -> io::Result<bool> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(pid), look) {
            Ok(status) => Ok(status.is_some()),
            // Reaped before. The standard library remembers the answer.
            Err(Errno::CHILD) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

fn identify(pid: u32) -> io::Result<Identity> {
    match Identity::of(pid)? {
        Some(identity) => Ok(identity),
        // It ended already. No other process can have its number before it is reaped, so no start time is needed.
        None => Ok(Identity { pid, start_time: 0, boot_id: boot_id()? }),
    }
}

fn kill_leftovers(group: Pid) -> io::Result<()> {
    match kill_process_group(group, Signal::KILL) {
        // Only the unreaped leader is left, or no process of ours.
        Ok(()) | Err(Errno::SRCH | Errno::PERM) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
