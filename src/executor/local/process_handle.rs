//! Holds one exact process, so that a signal can reach no other one.

use super::process_identity::Identity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, getpgid};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Makes `pidfd_send_signal` signal the group that the process leads. Linux has it from 6.9 on.
const PROCESS_GROUP: libc::c_uint = 4;

/// A process that was alive when it was opened. Another one that gets its number later is never taken for it.
#[derive(Debug)]
pub struct ProcessHandle {
    identity: Identity,
    /// `None` if the kernel is older than 5.3, or forbids it.
    descriptor: Option<OwnedFd>,
}

impl ProcessHandle {
    /// `None` if the process is gone.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn open(identity: Identity) -> io::Result<Option<Self>> {
        if !identity.is_alive()? {
            return Ok(None);
        }
        let descriptor = match identity.descriptor() {
            Ok(descriptor) => Some(descriptor),
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::NOSYS | Errno::PERM) => None,
                // The last two are the kernel's answers for a thread, which is no process of its own.
                Some(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
                _ => return Err(e),
            },
        };
        Ok(Some(ProcessHandle { identity, descriptor }))
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it still runs. An unreaped zombie does not.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_alive(&self) -> io::Result<bool> {
        self.identity.is_alive()
    }

    /// A descriptor that becomes readable once it has ended.
    pub fn wake(&self) -> Option<OwnedFd> {
        self.descriptor.as_ref()?.try_clone().ok()
    }

    /// Signals the group that it leads, or the process alone if it leads none or the kernel cannot name a group safely. One
    /// that has ended is no error.
    ///
    /// # Errors
    /// If it belongs to another user, or the kernel has no way to name exactly this process.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.identity.pid;
        let Some(descriptor) = &self.descriptor else {
            let sentence = format!("this kernel cannot signal exactly one process; end it by hand: kill {pid}");
            return Err(io::Error::new(io::ErrorKind::Unsupported, sentence));
        };
        if has_ended(descriptor)? {
            return Ok(());
        }
        let sent = match self.leads_a_group()? {
            true => match send(descriptor, signal, PROCESS_GROUP) {
                Err(Errno::INVAL) => send(descriptor, signal, 0),
                sent => sent,
            },
            false => send(descriptor, signal, 0),
        };
        sent_to(pid, sent)
    }

    fn leads_a_group(&self) -> io::Result<bool> {
        let pid = self.identity.raw()?;
        Ok(getpgid(Some(pid)).is_ok_and(|group| group == pid))
    }
}

/// What to say of a signal that was sent to the process or group `pid`. One that is gone is no error.
pub fn sent_to(pid: u32, sent: Result<(), Errno>) -> io::Result<()> {
    match sent {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(Errno::PERM) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("process {pid} belongs to another user, who alone (or root) can stop it"),
        )),
        Err(e) => Err(e.into()),
    }
}

fn has_ended(descriptor: &OwnedFd) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(&now))? > 0)
}

/// As rustix's own, which takes no flags.
fn send(descriptor: &OwnedFd, signal: Signal, flags: libc::c_uint) -> Result<(), Errno> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and the kernel takes a null pointer for the signal's own particulars.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor.as_raw_fd(), signal.as_raw(), nothing, flags) };
    if sent == 0 { Ok(()) } else { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    fn sleeping(group: i32) -> Child {
        Command::new("sleep").arg("600").process_group(group).spawn().expect("sleep runs")
    }

    fn handle(child: &Child) -> ProcessHandle {
        let identity = Identity::of(child.id()).expect("looked").expect("it runs");
        ProcessHandle::open(identity).expect("looked").expect("it runs")
    }

    #[test]
    fn a_process_that_only_shares_the_number_is_never_opened() {
        let own = Identity::own().expect("found");
        let earlier = Identity { start_time: own.start_time.wrapping_sub(1), ..own };
        assert!(ProcessHandle::open(earlier.clone()).expect("looked").is_none());
        for pid in [0, u32::MAX] {
            assert!(ProcessHandle::open(Identity { pid, ..earlier.clone() }).expect("looked").is_none(), "{pid}");
        }
    }

    #[test]
    fn a_group_is_signalled_only_through_its_leader() {
        let mut leader = sleeping(0);
        let mut member = sleeping(i32::try_from(leader.id()).expect("a pid"));
        handle(&member).signal(Signal::TERM).expect("sent");
        assert_eq!(member.wait().expect("reaped").signal(), Some(15));
        assert!(leader.try_wait().expect("asked").is_none(), "the leader lives");

        let mut member = sleeping(i32::try_from(leader.id()).expect("a pid"));
        let led = handle(&leader);
        // An older kernel reaches the leader alone.
        let whole = send(led.descriptor.as_ref().expect("a descriptor"), Signal::CONT, PROCESS_GROUP) != Err(Errno::INVAL);
        led.signal(Signal::TERM).expect("sent");
        assert_eq!(leader.wait().expect("reaped").signal(), Some(15));
        if !whole {
            member.kill().expect("killed");
        }
        assert_eq!(member.wait().expect("reaped").signal(), Some(if whole { 15 } else { 9 }));
        led.signal(Signal::TERM).expect("one that has ended is no error");
    }
}
