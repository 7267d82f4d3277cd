//! A trainer that this process started, whose whole group is gone before its number is given back.

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
    /// Takes over `child`, which must lead its own process group. One that cannot be told from others is killed.
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

    /// How the trainer ended; none while it runs. Never waits. What is left of its group is killed before it is reaped:
    /// until then the group's number cannot belong to anybody else.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let pid = self.identity.raw()?;
        if self.has_ended(pid)? {
            kill_leftovers(pid)?;
        }
        self.child.try_wait()
    }

    fn has_ended(&self, pid: Pid) -> io::Result<bool> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::Pid(pid), look) {
            Ok(status) => Ok(status.is_some()),
            // Reaped before: the answer is remembered by the standard library.
            Err(Errno::CHILD) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

fn identify(pid: u32) -> io::Result<Identity> {
    match Identity::of(pid)? {
        Some(identity) => Ok(identity),
        // It ended already; no other process can have its number before it is reaped, so no start time is needed.
        None => Ok(Identity { pid, start_time: 0, boot_id: boot_id()? }),
    }
}

fn kill_leftovers(group: Pid) -> io::Result<()> {
    match kill_process_group(group, Signal::KILL) {
        // Only the unreaped leader is left, or nothing of ours.
        Ok(()) | Err(Errno::SRCH | Errno::PERM) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
