//! The command line as a person asks the daemon of a test with it.

use crate::stand_in::{neurosearch, said};
use std::path::Path;
use std::process::Output;

/// The verb and its arguments, asked of the daemon in `dir`. A trainer that it starts itself is the stand-in.
pub fn verb(dir: &Path, args: &[&str]) -> Output {
    neurosearch(dir).args(args).env("NEUROSEARCH_SOCKET", dir.join("d.sock")).output().expect("it runs")
}

/// What the verb says, which has to succeed.
pub fn granted(dir: &Path, args: &[&str]) -> String {
    let output = verb(dir, args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the verb says, which has to be refused with this exit code.
pub fn refused(dir: &Path, args: &[&str], code: i32) -> String {
    let output = verb(dir, args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
