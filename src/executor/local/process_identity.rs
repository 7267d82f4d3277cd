//! Identifies a process by pid, start time and boot, since a pid alone is reused.

use crate::store::fs::lock::LockHolder;
use crate::store::records::job_records::Borrower;
use crate::store::records::run_id::RunId;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::{fs, io};

/// One process of this machine, distinct from every earlier and later one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/<pid>/stat`.
    pub start_time: u64,
    /// The kernel's random name for this boot.
    pub boot_id: String,
}

/// The kind of [`RunId`] of a process.
const PROCESS: &str = "process";

/// A process, as `trainer.json` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRun {
    #[serde(flatten)]
    pub identity: Identity,
    /// Where it runs.
    pub host: String,
}

impl ProcessRun {
    /// The process that the record names. `None` if it names another kind of run.
    pub fn recorded(run: &RunId) -> Option<Self> {
        run.id(PROCESS)
    }
}

impl Identity {
    /// The current process `pid`. `None` if there is none, or only an unreaped zombie.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        match stat(pid)? {
            Some(stat) if !stat.ended => Ok(Some(Identity { pid, start_time: stat.start_time, boot_id: boot_id()? })),
            _ => Ok(None),
        }
    }

    /// This very process.
    pub fn own() -> io::Result<Self> {
        Identity::of(std::process::id())?.ok_or_else(|| io::Error::other("/proc/self/stat does not show this process"))
    }

    /// As `trainer.json` names a trainer that is this process of this machine.
    pub fn run(&self) -> io::Result<RunId> {
        Ok(RunId::new(PROCESS, &ProcessRun { identity: self.clone(), host: host() })?)
    }

    /// As `job.json` carries it.
    pub fn as_borrower(&self) -> Borrower {
        Borrower { pid: self.pid, start_time: self.start_time, boot_id: self.boot_id.clone(), host: host() }
    }

    /// Whether this exact process still runs. An unreaped zombie does not.
    pub fn is_alive(&self) -> io::Result<bool> {
        if boot_id()? != self.boot_id {
            return Ok(false);
        }
        Ok(stat(self.pid)?.is_some_and(|stat| !stat.ended && stat.start_time == self.start_time))
    }

    /// A descriptor of this exact process, which becomes readable once it has ended.
    ///
    /// # Errors
    /// If it is gone, or the kernel has no such descriptors, as before 5.3.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        let descriptor = pidfd_open(self.raw()?, PidfdFlags::empty())?;
        // Another process may have got its number before that was opened.
        match stat(self.pid)? {
            Some(stat) if stat.start_time == self.start_time => Ok(descriptor),
            _ => Err(Errno::SRCH.into()),
        }
    }

    /// The pid in the form that system calls take; a pid of 0 or beyond the kernel's range names no process.
    pub(crate) fn raw(&self) -> io::Result<Pid> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not the number of a process", self.pid)))
    }
}

/// The kernel's random name for this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_string())
}

/// This process, as the locks that it takes name it; `device`: what a trainer was assigned.
pub fn lock_holder(device: Option<String>) -> io::Result<LockHolder> {
    Ok(LockHolder { host: host(), pid: std::process::id(), boot_id: boot_id()?, device })
}

/// Whether the process that borrowed a job may still be working on it. One on another machine may.
pub fn may_live(borrower: &Borrower) -> bool {
    let Borrower { pid, start_time, boot_id, host } = borrower;
    let identity = Identity { pid: *pid, start_time: *start_time, boot_id: boot_id.clone() };
    !is_here(host, boot_id) || identity.is_alive().unwrap_or(true)
}

/// Whether a process other than this one, with the pid `pid`, may be using a temporary file. This process sweeps before it
/// writes.
pub fn may_be_writing(pid: u32) -> bool {
    pid != std::process::id() && Identity::of(pid).map_or(true, |found| found.is_some())
}

/// Whether a record with this host and boot was written on this machine. A machine that was renamed meanwhile is still this one,
/// and so is a container on it.
pub fn is_here(recorded_host: &str, recorded_boot: &str) -> bool {
    recorded_host == host() || boot_id().is_ok_and(|boot| boot == recorded_boot)
}

/// This machine's name, as records carry it.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// A zombie or dead: it no longer runs.
    ended: bool,
    start_time: u64,
}

fn stat(pid: u32) -> io::Result<Option<Stat>> {
    let path = format!("/proc/{pid}/stat");
    match fs::read(&path) {
        Ok(bytes) => match parse(&bytes) {
            Some(stat) => Ok(Some(stat)),
            None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("{path} has no start time in field 22"))),
        },
        // A process that ends while it is read gives ESRCH.
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
        Err(e) => Err(e),
    }
}

fn parse(stat: &[u8]) -> Option<Stat> {
    let start_time = field(stat, 22)?.parse().ok()?;
    let state = field(stat, 3)?;
    Some(Stat { ended: matches!(state, "Z" | "X" | "x"), start_time })
}

/// A field of a process's `stat`, by its number in proc(5), from 3 on. The name in field 2 may hold spaces, parentheses and any
/// bytes, so fields count from its last `)`.
pub fn field(stat: &[u8], number: usize) -> Option<&str> {
    let after_name = stat.iter().rposition(|&b| b == b')')? + 1;
    std::str::from_utf8(&stat[after_name..]).ok()?.split_ascii_whitespace().nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn a_name_with_parentheses_spaces_and_foreign_bytes_does_not_shift_the_fields() {
        for name in [&b"(sh)"[..], b"(a) R 9 (b)", b"() )", b"(\xff\xfe x)"] {
            let mut line = b"7 ".to_vec();
            line.extend_from_slice(name);
            line.extend_from_slice(b" S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 2703360 100\n");
            assert_eq!(parse(&line), Some(Stat { ended: false, start_time: 987_654 }), "{}", String::from_utf8_lossy(name));
        }
        assert_eq!(parse(b"7 (sh) Z 1 7"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_process_is_alive_and_one_of_another_start_or_boot_is_not() {
        let own = Identity::own().expect("found");
        assert!(own.is_alive().expect("looked"));
        assert!(!Identity { start_time: own.start_time + 1, ..own.clone() }.is_alive().expect("looked"));
        assert!(!Identity { boot_id: "another".to_string(), ..own.clone() }.is_alive().expect("looked"));
        assert_eq!(Identity::of(u32::MAX).expect("looked"), None);
        let borrower = own.as_borrower();
        assert!(may_live(&borrower));
        assert!(!may_live(&Borrower { start_time: own.start_time + 1, ..borrower.clone() }), "another process of this number");
        let far = Borrower { host: "elsewhere".to_string(), boot_id: "another".to_string(), ..borrower };
        assert!(may_live(&far), "nobody here can know");
    }

    #[test]
    fn a_descriptor_tells_of_the_end_of_the_very_process() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep runs");
        let identity = Identity::of(child.id()).expect("looked").expect("it runs");
        let descriptor = identity.descriptor().expect("of a living process");
        let told = |timeout| {
            let timeout = rustix::event::Timespec { tv_sec: timeout, tv_nsec: 0 };
            poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)).expect("asked")
        };
        assert_eq!(told(0), 0, "it lives");
        child.kill().expect("killed");
        assert_eq!(told(20), 1, "it has ended, and nobody has reaped it");
        Identity { start_time: identity.start_time + 1, ..identity.clone() }.descriptor().expect_err("another process");
        child.wait().expect("reaped");
        identity.descriptor().expect_err("gone");
    }

    #[test]
    fn a_child_that_ended_unreaped_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while Identity::of(child.id()).expect("looked").is_some() {
            assert!(std::time::Instant::now() < deadline, "`true` did not end");
            std::thread::yield_now();
        }
        assert!(child.wait().expect("reaped").success());
    }
}
