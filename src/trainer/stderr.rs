//! Remarks for the attempt's log, which never end the work.

use std::fmt::Arguments;
use std::io::Write;

/// One line to standard error. A full disk loses the line and nothing else, unlike with `eprintln!`, which panics.
pub fn note(remark: Arguments<'_>) {
    // Nothing can be done about a log that takes no more lines.
    let _ = writeln!(std::io::stderr().lock(), "neurosearch-trainer: {remark}");
}
