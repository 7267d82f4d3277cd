//! The environment that makes libtorch fast, which must be there before the process starts: the program executes itself once with it.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Set by the first start, so that there is no third.
const SETTLED: &str = "NEUROSEARCH_ENVIRONMENT_SETTLED";

/// Settings for glibc's allocator. A value that is already set stays.
///
/// By default glibc gives blocks back to the system at once, and every step then faults them in again, which takes much of the
/// time. So it keeps blocks below 16 MiB, in one arena. Larger ones still go back, on huge pages. If they were kept, small blocks
/// would split the holes that they leave: networks with normalisation took twice the memory for a step that was 5 % faster
/// (`docs/performance.md`).
const ALLOCATOR: [(&str, &str); 4] = [
    ("MALLOC_MMAP_THRESHOLD_", "16777216"),
    ("MALLOC_TRIM_THRESHOLD_", "1099511627776"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_TOP_PAD_", "67108864"),
];

/// Transparent huge pages by madvise, a tunable of glibc 2.35 and later.
const TUNABLES: &str = "GLIBC_TUNABLES";
const HUGE_PAGES: &str = "glibc.malloc.hugetlb=1";

/// Whether this is the second start, with the variables set. The first goes on where it cannot execute itself, only slower.
pub fn is_settled() -> bool {
    std::env::var_os(SETTLED).is_some()
}

type ProcessVariables = *const *const c_char;

/// Called by the loader before any library's own initialisers: libtorch's take half a second, which a process that is about to
/// be replaced need not spend.
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_THE_LIBRARIES: unsafe extern "C" fn(c_int, ProcessVariables, ProcessVariables) = settle;

/// Executes this program again, with the same arguments and process id, unless that has happened.
///
/// The C library has not set its own `environ` yet: the environment is what the loader hands over.
///
/// # Safety
/// `arguments` and `environment` are lists of terminated strings that end with null, as the loader passes them.
unsafe extern "C" fn settle(_count: c_int, arguments: ProcessVariables, environment: ProcessVariables) {
    // SAFETY: the loader's lists, which live as long as the process.
    let set: Vec<&CStr> = unsafe {
        (0..).map(|i| *environment.add(i)).take_while(|word| !word.is_null()).map(|word| CStr::from_ptr(word)).collect()
    };
    if value(&set, SETTLED).is_some() {
        // What was executed by that path is called `exe` in `top` and the journal. Threads take the name over.
        // SAFETY: a terminated string, of which the kernel takes as much as it has room for.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"neurosearch-trainer".as_ptr()) };
        return;
    }
    let mut added = additions(|name| value(&set, name));
    added.push((SETTLED, OsString::from("1")));
    let replaced = |word: &CStr| added.iter().any(|(name, _)| value(&[word], name).is_some());
    let words = added.iter().filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok());
    let words: Vec<CString> = words.collect();
    let kept = set.iter().filter(|word| !replaced(word)).map(|word| word.as_ptr());
    let all: Vec<*const c_char> = kept.chain(words.iter().map(|word| word.as_ptr())).chain([std::ptr::null()]).collect();
    // SAFETY: terminated strings in lists that end with null; it returns only where it failed.
    unsafe {
        execve(c"/proc/self/exe".as_ptr(), arguments, all.as_ptr());
    }
}

unsafe extern "C" {
    fn execve(path: *const c_char, arguments: ProcessVariables, environment: ProcessVariables) -> c_int;
}

/// What `NAME=value` says of a name.
fn value(set: &[&CStr], name: &str) -> Option<OsString> {
    let of = |word: &&CStr| Some(word.to_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
    set.iter().find_map(of).map(OsString::from_vec)
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
    fn this_very_process_was_started_again_with_everything_set() {
        assert!(is_settled());
        assert!(ALLOCATOR.iter().all(|(name, _)| std::env::var_os(name).is_some()));
        assert_eq!(value(&[c"AB=1", c"A=2=3"], "A"), Some(OsString::from("2=3")));
    }

    #[test]
    fn nothing_is_added_twice() {
        let first = additions(|_| None);
        let again = additions(|name| first.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone()));
        assert!(again.is_empty(), "{again:?}");
    }
}
