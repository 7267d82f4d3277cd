//! Programs from outside that a test drives: one that is absent skips the test, or fails it where everything must run.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Set by `make test-all`: a test that cannot run is then one that fails.
const ALL: &str = "NEUROSEARCH_TEST_ALL";

/// Where `program` lies on the path; none where it is absent, which the caller answers by returning.
///
/// # Panics
/// Where the program is absent and every test must run.
pub fn needs(program: &str) -> Option<PathBuf> {
    let found = std::env::var_os("PATH").and_then(|path| find(program, &path));
    if found.is_none() {
        skip(program);
    }
    found
}

/// Ends a test that cannot run here, with the reason in a line that the test runner does not swallow.
///
/// # Panics
/// Where every test must run.
pub fn skip(reason: &str) {
    let sentence = format!("skipped: needs {reason}");
    assert!(std::env::var_os(ALL).is_none(), "{sentence}");
    let test = std::thread::current().name().unwrap_or("a test").to_string();
    // Written past the runner's capture; nowhere is left to report that stderr is closed.
    let _ = writeln!(std::io::stderr(), "{test}: {sentence}");
}

fn find(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    // An ordinary user's path often lacks the administrator's directories.
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(path).chain(more).map(|dir| dir.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[test]
fn a_program_is_found_only_where_it_can_be_run() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().as_os_str();
    assert_eq!(find("no-such-program", path), None);
    std::fs::write(dir.path().join("a-text"), "no program").unwrap();
    assert_eq!(find("a-text", path), None);
    assert!(find("sh", std::ffi::OsStr::new("/bin")).is_some());
}
