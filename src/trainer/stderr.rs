//! Remarks for the attempt's log, which never end the work.

use neurosearch::domain::text::escape::inline;
use neurosearch::executor::last_words;
use std::fmt::Arguments;
use std::io::Write;

/// One line to standard error. A full disk loses the line and nothing else, unlike with `eprintln!`, which panics.
pub fn note(remark: Arguments<'_>) {
    // Nothing can be done about a log that takes no more lines.
    let _ = writeln!(std::io::stderr().lock(), "neurosearch-trainer: {}", inline(&remark.to_string()));
}

/// The line that says why the trainer ends, by which others learn it where there can be no record.
pub fn last_word(why: Arguments<'_>) {
    // As above.
    let _ = std::io::stderr().lock().write_all(last_words::line(why).as_bytes());
}
