//! A trainer's output, read piece by piece without following links: its folder may be somebody else's.

use super::error::StoreError;
use super::layout::LaunchDir;
use super::open;
use crate::domain::job::JobName;
use std::io::{Read, Seek, SeekFrom};

/// A piece of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Where the next piece begins.
    pub next: u64,
}

/// At most `most` bytes of the log of attempt `attempt`, from the byte `from` on; a character that is not all there is left
/// to the next piece.
///
/// # Errors
/// When there is no such log, or a link leads to it.
pub fn read(launch: &LaunchDir, job: &JobName, attempt: u32, from: u64, most: u64) -> Result<Piece, StoreError> {
    let path = launch.job(job).attempt_log(attempt);
    let fail = |e: std::io::Error| StoreError::io("read", &path, e);
    let mut file = open::read(&path)?;
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
    fn a_log_is_read_piece_by_piece_and_never_through_a_link() {
        let dir = tempfile::tempdir().expect("a temporary directory");
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
