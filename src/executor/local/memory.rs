//! Measures the memory left for a trainer, and detects kills by the kernel when memory ran out.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the counters are read while a trainer runs, and how many of the last readings are kept. A killed process may take a
/// moment to end. A much earlier kill of another process does not concern this trainer.
const READ: Duration = Duration::from_secs(1);
const KEPT: usize = 5;

/// How often the kernel killed a process because memory ran out, in this process's control group and on the whole machine.
/// A trainer started from here lives in the same group, so a rise while it ran is a sign that memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OomKills {
    /// `None` if the group does not count.
    group: Option<u64>,
    /// `None` on kernels before 4.13.
    machine: Option<u64>,
}

impl OomKills {
    /// The counters now.
    pub fn now() -> Self {
        let group = Group::own();
        OomKills {
            group: group.as_ref().and_then(Group::oom_kills),
            machine: read(Path::new("/proc/vmstat")).and_then(|text| counter(&text, "oom_kill")),
        }
    }

    /// Whether a counter rose since `earlier`.
    pub fn rose_since(&self, earlier: &OomKills) -> bool {
        let rose = |now: Option<u64>, then: Option<u64>| matches!((now, then), (Some(now), Some(then)) if now > then);
        rose(self.group, earlier.group) || rose(self.machine, earlier.machine)
    }
}

/// The kernel's counters over the last seconds of a trainer. Earlier counts say nothing about it.
#[derive(Debug)]
pub struct OomWatch {
    /// Oldest first.
    readings: VecDeque<OomKills>,
    read_at: Instant,
}

impl OomWatch {
    /// Starts from a reading before the trainer was started.
    pub fn since(before: OomKills) -> Self {
        OomWatch { readings: VecDeque::from([before]), read_at: Instant::now() }
    }

    /// Called while the trainer runs, as often as the caller likes.
    pub fn go_on(&mut self, now: Instant) {
        if now.duration_since(self.read_at) >= READ {
            self.read_at = now;
            self.remember(OomKills::now());
        }
    }

    fn remember(&mut self, reading: OomKills) {
        self.readings.push_back(reading);
        while self.readings.len() > KEPT {
            self.readings.pop_front();
        }
    }

    /// Whether memory ran out in the trainer's last seconds.
    pub fn ran_out(&self) -> bool {
        self.rose_to(&OomKills::now())
    }

    fn rose_to(&self, now: &OomKills) -> bool {
        self.readings.front().is_some_and(|before| now.rose_since(before))
    }
}

/// Returns freed memory from the allocator to the system, as after a scan of very many jobs. Otherwise memory that many threads
/// used for a moment would count as this process's for good.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own call, which any thread may make at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that a new process can use without swapping: the machine's `MemAvailable`, or what the control group's limit leaves if
/// that is less. `None` if `/proc/meminfo` does not say.
pub fn available() -> Option<u64> {
    let machine = mem_available(&read(Path::new("/proc/meminfo"))?)?;
    let left = Group::own().as_ref().and_then(Group::left);
    Some(left.map_or(machine, |left| left.min(machine)))
}

/// The memory controller's folder for this process.
struct Group {
    folder: PathBuf,
    /// Whether the files are of version 2. Otherwise version 1.
    unified: bool,
}

impl Group {
    fn own() -> Option<Self> {
        Group::of(&read(Path::new("/proc/self/cgroup"))?, Path::new("/sys/fs/cgroup"))
    }

    /// Reads the lines of `/proc/self/cgroup`, `<number>:<controllers>:<path>`. A version 1 memory controller wins, since version
    /// 2 does not count memory then.
    fn of(lines: &str, root: &Path) -> Option<Self> {
        let mut unified = None;
        for line in lines.lines() {
            let mut parts = line.splitn(3, ':');
            let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let path = path.trim_start_matches('/');
            if controllers.split(',').any(|c| c == "memory") {
                return Some(Group { folder: root.join("memory").join(path), unified: false });
            }
            if controllers.is_empty() {
                unified = Some(Group { folder: root.join(path), unified: true });
            }
        }
        unified
    }

    fn oom_kills(&self) -> Option<u64> {
        let name = if self.unified { "memory.events" } else { "memory.oom_control" };
        counter(&read(&self.folder.join(name))?, "oom_kill")
    }

    /// Bytes left under the limit. `None` if there is no limit.
    fn left(&self) -> Option<u64> {
        let (limit, used) =
            if self.unified { ("memory.max", "memory.current") } else { ("memory.limit_in_bytes", "memory.usage_in_bytes") };
        let limit: u64 = read(&self.folder.join(limit))?.trim().parse().ok()?;
        let used: u64 = read(&self.folder.join(used))?.trim().parse().ok()?;
        // File pages count as used, but the kernel can free them.
        let cache = read(&self.folder.join("memory.stat")).and_then(|stat| counter(&stat, "inactive_file")).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cache)))
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The number after `name` in lines of `<name> <number>`.
fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// `MemAvailable` in bytes, which the file gives in KiB.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    #[test]
    fn the_machines_memory_is_read_in_bytes() {
        assert_eq!(mem_available("MemTotal:  99 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(mem_available("MemTotal: 99 kB\n"), None);
        assert!(available().expect("this machine says") > 0);
    }

    #[test]
    fn either_version_of_control_groups_counts_its_kills_and_its_limit() {
        let root = tempdir();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("a/memory.events", "oom 9\noom_kill 3\noom_group_kill 0\n");
        write("a/memory.max", "1000\n");
        write("a/memory.current", "700\n");
        write("a/memory.stat", "anon 1\ninactive_file 200\n");
        write("memory/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        write("memory/b/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/b/memory.usage_in_bytes", "12\n");
        let unified = Group::of("0::/a\n", root.path()).expect("a group");
        assert_eq!((unified.oom_kills(), unified.left()), (Some(3), Some(500)));
        let old = Group::of("4:cpu,memory:/b\n0::/\n", root.path()).expect("a group");
        assert_eq!(old.oom_kills(), Some(5));
        assert!(old.left().expect("a limit") > 1 << 60);
        write("a/memory.max", "max\n");
        assert_eq!(unified.left(), None);
    }

    #[test]
    fn only_a_rise_of_a_counter_says_that_memory_ran_out() {
        let counted = |group, machine| OomKills { group, machine };
        let before = counted(Some(1), Some(5));
        assert!(counted(Some(2), Some(5)).rose_since(&before));
        assert!(counted(None, Some(6)).rose_since(&before));
        assert!(!counted(Some(1), Some(5)).rose_since(&before));
        assert!(!counted(Some(0), None).rose_since(&before));
        assert!(!counted(Some(4), None).rose_since(&counted(None, None)));
        assert!(!OomKills::now().rose_since(&OomKills::now()));
    }
    #[test]
    fn a_kill_long_before_the_end_is_not_the_trainers() {
        let counted = |machine| OomKills { group: None, machine: Some(machine) };
        let mut watch = OomWatch::since(counted(5));
        assert!(watch.rose_to(&counted(6)), "of a trainer that lived a moment");
        (0..KEPT - 1).for_each(|_| watch.remember(counted(6)));
        assert!(watch.rose_to(&counted(6)));
        watch.remember(counted(6));
        assert!(!watch.rose_to(&counted(6)), "seconds ago");
        assert!(watch.rose_to(&counted(7)));
    }
}
