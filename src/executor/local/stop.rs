//! Stops a trainer in steps that never wait: SIGTERM to its group, a grace time, SIGKILL.

use super::process_identity::Identity;
use rustix::io::Errno;
use rustix::process::{Signal, getpgid, kill_process, kill_process_group};
use std::io;
use std::time::{Duration, Instant};

/// A trainer asked to end. Its owner calls [`TrainerStop::step`] from time to time until it says [`Stopped::Ended`].
#[derive(Debug)]
pub struct TrainerStop {
    identity: Identity,
    deadline: Instant,
    killed: bool,
}

/// The progress of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The process is gone. If we are its parent, we still have to reap it.
    Ended,
    /// It still runs. `killed` once SIGKILL was sent, which only a process stuck in the kernel survives.
    Waiting { killed: bool },
}

impl TrainerStop {
    /// Asks the process to end by itself, with `grace` from `now` to do so. One that is gone already is no error.
    ///
    /// # Errors
    /// If the process belongs to another user, or cannot be examined.
    pub fn begin(identity: Identity, grace: Duration, now: Instant) -> io::Result<Self> {
        signal(&identity, Signal::TERM)?;
        Ok(TrainerStop { identity, deadline: now + grace, killed: false })
    }

    /// Ends the grace time at `deadline`, if that is sooner.
    pub fn hurry(&mut self, deadline: Instant) {
        self.deadline = self.deadline.min(deadline);
    }

    /// Checks once whether it has ended, or must be killed by now.
    pub fn step(&mut self, now: Instant) -> io::Result<Stopped> {
        if !self.identity.is_alive()? {
            return Ok(Stopped::Ended);
        }
        if !self.killed && now >= self.deadline {
            signal(&self.identity, Signal::KILL)?;
            self.killed = true;
        }
        Ok(Stopped::Waiting { killed: self.killed })
    }
}

/// Signals the process's group if the process leads it, else the process alone (a trainer run by hand in a script).
fn signal(identity: &Identity, signal: Signal) -> io::Result<()> {
    // Checked just before, so that another process with this pid is not hit.
    if !identity.is_alive()? {
        return Ok(());
    }
    let pid = identity.raw()?;
    let result = match getpgid(Some(pid)) {
        Ok(group) if group == pid => kill_process_group(pid, signal),
        Ok(_) => kill_process(pid, signal),
        Err(e) => Err(e),
    };
    match result {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(Errno::PERM) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("process {} belongs to another user, who alone (or root) can stop it", identity.pid),
        )),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_only_shares_the_pid_is_never_signalled() {
        let own = Identity::own().expect("found");
        let earlier = Identity { start_time: own.start_time.wrapping_sub(1), ..own };
        let now = Instant::now();
        let mut stop = TrainerStop::begin(earlier, Duration::ZERO, now).expect("nothing to signal");
        assert_eq!(stop.step(now).expect("looked"), Stopped::Ended);
    }
}
