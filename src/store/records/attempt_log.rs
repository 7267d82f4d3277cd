//! A trainer's output, kept within bounds, and read piece by piece without following links: its folder may be somebody else's.

use super::layout::{JobDir, LaunchDir};
use crate::domain::job::JobName;
use crate::store::fs::error::StoreError;
use crate::store::fs::owned_path::Below;
use crate::store::fs::{atomic, open};
use rustix::fs::{fstat, ftruncate};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// A log that grows beyond this loses its middle.
pub const LARGEST: u64 = 4 << 20;

/// Bytes of its beginning that stay, and of its end, where the reason of a failure stands.
const HEAD: u64 = 1 << 20;
const TAIL: u64 = 1 << 20;

/// Logs of one job that are kept, the latest ones: twice as many as failures in a row can end it with.
pub const KEPT: u32 = 50;

/// Cuts the middle out of `log` once it is larger than [`LARGEST`], for the process whose output it is: `output` appends to it.
/// Nothing is done where `output` leads elsewhere.
///
/// # Errors
/// Names the log, which is whole, or ends with its beginning.
pub fn bound(log: &Below, output: impl AsFd) -> Result<(), StoreError> {
    let fail = |e: io::Error| StoreError::io("shorten", log, e);
    let size = |stat: &rustix::fs::Stat| u64::try_from(stat.st_size).unwrap_or(0);
    let stat = fstat(output).map_err(|e| fail(e.into()))?;
    if size(&stat) <= LARGEST {
        return Ok(());
    }
    let (mut from, mut to) = (open::read(log)?, open::append(log)?);
    let own = from.metadata().map_err(fail)?;
    if (own.dev(), own.ino()) != (stat.st_dev, stat.st_ino) {
        return Ok(());
    }
    from.seek(SeekFrom::Start(own.len().saturating_sub(TAIL))).map_err(fail)?;
    let mut end = format!("\n[the log had grown to {} bytes, and what stood here was left out]\n", own.len()).into_bytes();
    from.take(2 * TAIL).read_to_end(&mut end).map_err(fail)?;
    ftruncate(&to, HEAD).map_err(|e| fail(e.into()))?;
    to.write_all(&end).map_err(fail)
}

/// Removes the log that the one of attempt `attempt` of the job is one too many for.
///
/// # Errors
/// Names the log, which stays.
pub fn make_place(job: &JobDir, attempt: u32) -> Result<(), StoreError> {
    attempt.checked_sub(KEPT).filter(|old| *old > 0).map_or(Ok(()), |old| atomic::remove(&job.attempt_log(old)))
}

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Where the next piece begins.
    pub next: u64,
}

/// At most `most` bytes of the log of attempt `attempt`, from the byte `from` on; a character that is not all there is left
/// to the next piece. Where the log is shorter by now, it was cut, and the piece begins with what was left out.
///
/// # Errors
/// When there is no such log, or a link leads to it.
pub fn read(launch: &LaunchDir, job: &JobName, attempt: u32, from: u64, most: u64) -> Result<Piece, StoreError> {
    let path = launch.job(job).attempt_log(attempt);
    let fail = |e: io::Error| StoreError::io("read", &path, e);
    let mut file = open::read(&path)?;
    let length = file.metadata().map_err(fail)?.len();
    let from = if from > length && length > HEAD { HEAD } else { from };
    file.seek(SeekFrom::Start(from)).map_err(fail)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).map_err(fail)?;
    bytes.truncate(bytes.len() - begun(&bytes));
    let next = from + bytes.len() as u64;
    Ok(Piece { bytes, next })
}

/// Bytes at the end that begin a character and do not end it.
fn begun(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map(|chunk| chunk.invalid()).unwrap_or_default();
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;
    use std::fs;

    #[test]
    fn a_piece_ends_with_a_whole_character_and_bytes_that_are_none_do_not_hold_it_up() {
        let cases: [(&[u8], usize); 6] =
            [(b"", 0), (b"abc", 0), ("é".as_bytes(), 0), (b"a\xc3", 1), (b"a\xf0\x9f\x98", 3), (b"a\xff\xfe", 0)];
        for (bytes, left) in cases {
            assert_eq!(begun(bytes), left, "{bytes:?}");
        }
    }

    #[test]
    fn a_log_that_grows_without_end_keeps_its_beginning_and_its_end_and_goes_on() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        let job = JobName::numbered("job", 0).expect("a name");
        fs::create_dir_all(launch.job(&job).private()).expect("made");
        let log = launch.job(&job).attempt_log(1);
        let mut output = open::append(&log).expect("opened");
        writeln!(output, "first").expect("written");
        bound(&log, &output).expect("small");
        assert_eq!(fs::read_to_string(&log).expect("read"), "first\n");
        let most = LARGEST + 2 * HEAD;
        for round in 0..3 {
            let line = format!("warning {round}\n");
            output.write_all(line.repeat(LARGEST as usize / line.len() + 1).as_bytes()).expect("written");
            writeln!(output, "reason {round}").expect("written");
            bound(&log, &output).expect("cut");
            let text = fs::read_to_string(&log).expect("read");
            assert!(text.len() as u64 <= most && text.starts_with("first\n"), "{}", text.len());
            assert!(text.contains("left out") && text.ends_with(&format!("reason {round}\n")));
        }
        let piece = read(&launch, &job, 1, u64::MAX / 2, 100).expect("read");
        assert!(String::from_utf8_lossy(&piece.bytes).contains("was left out"), "a reader that was further goes on there");
        // An output that leads elsewhere is nobody's log.
        let other = fs::File::create(dir.path().join("other")).expect("made");
        other.set_len(LARGEST + 1).expect("grown");
        bound(&log, &other).expect("left alone");
        assert_eq!(other.metadata().expect("there").len(), LARGEST + 1);
    }

    #[test]
    fn the_latest_logs_are_kept() {
        let dir = tempdir();
        let job = JobDir::new(dir.path());
        fs::create_dir_all(job.private()).expect("made");
        for attempt in 1..=KEPT + 2 {
            make_place(&job, attempt).expect("a place");
            fs::write(job.attempt_log(attempt), "").expect("written");
        }
        let there: Vec<u32> = (1..=KEPT + 2).filter(|attempt| job.attempt_log(*attempt).exists()).collect();
        assert_eq!(there, (3..=KEPT + 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_log_is_read_piece_by_piece_and_never_through_a_link() {
        let dir = tempdir();
        let launch = LaunchDir::new(dir.path());
        let job = JobName::numbered("job", 0).expect("a name");
        let log = launch.job(&job).attempt_log(1);
        assert!(read(&launch, &job, 1, 0, 9).expect_err("nothing there").is_missing());
        fs::create_dir_all(launch.job(&job).private()).expect("made");
        fs::write(&log, "hello").expect("written");
        assert_eq!(read(&launch, &job, 1, 0, 3).expect("read"), Piece { bytes: b"hel".to_vec(), next: 3 });
        assert_eq!(read(&launch, &job, 1, 3, 9).expect("read"), Piece { bytes: b"lo".to_vec(), next: 5 });
        assert_eq!(read(&launch, &job, 1, 9, 9).expect("read"), Piece { bytes: Vec::new(), next: 9 });
        fs::remove_file(&log).expect("removed");
        std::os::unix::fs::symlink("/etc/hostname", &log).expect("linked");
        assert!(read(&launch, &job, 1, 0, 9).is_err());
    }
}
