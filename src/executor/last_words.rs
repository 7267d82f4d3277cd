//! The last words of a trainer in its log, for the one that could leave no record of its end.

use crate::domain::job::{Ended, FailureClass};
use crate::domain::text::escape::inline;
use crate::store::fs::error::StoreError;
use crate::store::fs::open;
use crate::store::records::layout::JobDir;
use std::fmt::Arguments;
use std::io::{Read, Seek, SeekFrom};

/// Begins the line of the log that says why the trainer ends.
const MARK: &str = "neurosearch-trainer: ends: ";

/// Bytes at the end of a log in which its last words are looked for.
const TAIL: u64 = 64 << 10;

/// The line in which the trainer says why it ends.
pub fn line(words: Arguments<'_>) -> String {
    format!("{MARK}{}\n", inline(&words.to_string()))
}

/// The end as the executor saw it, with the trainer's own reason where its log has one.
pub fn added(seen: Ended, job: &JobDir, attempt: u32) -> Ended {
    // One that was killed from outside knew nothing of it.
    if matches!(seen, Ended::Failed { class: FailureClass::Killed, .. }) {
        return seen;
    }
    // A log that cannot be read is as good as none.
    let words = find(job, attempt).ok().flatten();
    match (seen, words) {
        (Ended::Failed { class, sentence }, Some(words)) => Ended::Failed { class, sentence: with(&sentence, &words) },
        (Ended::Interrupted { sentence: Some(sentence) }, Some(words)) => {
            Ended::Interrupted { sentence: Some(with(&sentence, &words)) }
        }
        // The other classes are reasons by themselves.
        (Ended::Failed { class: FailureClass::Crashed, sentence }, None) => {
            Ended::Failed { class: FailureClass::Crashed, sentence: format!("{sentence}, without a word of its own") }
        }
        (seen, _) => seen,
    }
}

fn with(sentence: &str, words: &str) -> String {
    format!("{sentence}; its last words: {words}")
}

fn find(job: &JobDir, attempt: u32) -> Result<Option<String>, StoreError> {
    let log = job.attempt_log(attempt);
    let fail = |e| StoreError::io("read", &log, e);
    let mut file = open::read(&log)?;
    let length = file.metadata().map_err(fail)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).map_err(fail)?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).map_err(fail)?;
    let tail = String::from_utf8_lossy(&tail);
    Ok(tail.lines().rev().find_map(|line| line.strip_prefix(MARK)).map(|words| inline(words).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn the_last_words_of_a_log_go_with_an_end_that_came_from_inside() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        fs::create_dir(job.private()).expect("made");
        let failed = |class| Ended::Failed { class, sentence: "it ended with exit status 1".to_string() };
        let said = |class| match added(failed(class), &job, 3) {
            Ended::Failed { sentence, .. } => sentence,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(FailureClass::Crashed), "it ended with exit status 1, without a word of its own");
        let noise = "x".repeat(2 * TAIL as usize);
        fs::write(job.attempt_log(3), format!("{noise}\n{MARK}the first\n{MARK}the \u{1b}lock\nneurosearch-trainer: more\n"))
            .expect("written");
        assert_eq!(said(FailureClass::Crashed), "it ended with exit status 1; its last words: the \\u{1b}lock");
        assert_eq!(said(FailureClass::Killed), "it ended with exit status 1");
        let disk = Ended::Interrupted { sentence: Some("the disk".to_string()) };
        assert!(matches!(added(disk, &job, 3), Ended::Interrupted { sentence: Some(why) } if why.ends_with("lock")));
        assert_eq!(added(Ended::Done, &job, 3), Ended::Done);
    }
}
