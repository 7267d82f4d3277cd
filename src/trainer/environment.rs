//! The environment that makes libtorch fast, which must be there before the process starts: the program executes itself once with it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Set by the first start, so that there is no third.
const SETTLED: &str = "NEUROSEARCH_ENVIRONMENT_SETTLED";

/// glibc gives blocks back to the system at once, and faulting them in again at every step costs much of the time: it is
/// told to keep those below 16 MiB, in one arena. Larger ones still go back, on huge pages: kept, they would leave holes in
/// the heap that small blocks split, and networks with normalisation took twice the memory for a step 5 % faster (measured:
/// `docs/performance.md`). A value that is already set stays.
const ALLOCATOR: [(&str, &str); 4] = [
    ("MALLOC_MMAP_THRESHOLD_", "16777216"),
    ("MALLOC_TRIM_THRESHOLD_", "1099511627776"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Transparent huge pages by madvise, a tunable of glibc 2.35 and later.
const TUNABLES: &str = "GLIBC_TUNABLES";
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1";

/// Executes this program again, with the same arguments and process id, unless that has happened; returns in the second
/// start, or with the error that prevented it, after which the program may go on, only slower. Call it before any thread starts.
pub fn settle() -> io::Result<()> {
    if std::env::var_os(SETTLED).is_some() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(SETTLED, "1").envs(additions(|name| std::env::var_os(name)));
    Err(command.exec())
}

/// The variables to set, given what is set.
fn additions(get: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let missing = ALLOCATOR.iter().filter(|(name, _)| get(name).is_none());
    let mut additions: Vec<_> = missing.map(|(name, value)| (*name, OsString::from(value))).collect();
    let tunables = get(TUNABLES).unwrap_or_default();
    if !tunables.to_string_lossy().contains("glibc.malloc.hugetlb") {
        let parts: Vec<&OsStr> =
            [tunables.as_os_str(), OsStr::new(HUGE_PAGES)].into_iter().filter(|part| !part.is_empty()).collect();
        additions.push((TUNABLES, parts.join(OsStr::new(":"))));
    }
    additions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_set_stays_and_the_rest_is_added() {
        let set = |name: &str| match name {
            "MALLOC_ARENA_MAX" => Some(OsString::from("4")),
            TUNABLES => Some(OsString::from("glibc.malloc.check=1")),
            _ => None,
        };
        let added = additions(set);
        assert!(added.iter().all(|(name, _)| *name != "MALLOC_ARENA_MAX"));
        assert!(added.contains(&("MALLOC_TRIM_THRESHOLD_", OsString::from("1099511627776"))));
        assert!(added.contains(&(TUNABLES, OsString::from("glibc.malloc.check=1:glibc.malloc.hugetlb=1"))));
    }

    #[test]
    fn nothing_is_added_twice() {
        let first = additions(|_| None);
        let again = additions(|name| first.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
        assert!(again.is_empty(), "{again:?}");
    }
}
