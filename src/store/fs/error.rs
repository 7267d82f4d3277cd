//! An error of reading or writing, which always names the file and, where there is one, the cure.

use crate::domain::text::escape::inline;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// What the system says of a disk that is full, read-only, failing (the sector, the checksum, the structure) or gone, be it at the
/// other end of a network.
const DISK: [Errno; 20] = [
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::ROFS,
    Errno::IO,
    Errno::NODATA,
    Errno::BADMSG,
    Errno::UCLEAN,
    Errno::STALE,
    Errno::NODEV,
    Errno::NXIO,
    Errno::REMOTEIO,
    Errno::NOTCONN,
    Errno::CONNRESET,
    Errno::CONNABORTED,
    Errno::TIMEDOUT,
    Errno::HOSTDOWN,
    Errno::HOSTUNREACH,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::SHUTDOWN,
];

/// What it says of a name that leads to no file that may be read.
const FILE: [Errno; 8] =
    [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::ACCESS, Errno::PERM, Errno::LOOP, Errno::NAMETOOLONG, Errno::INVAL];

/// What went wrong with one file. `Display` is one sentence that names it, in one line whatever the path holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused: `action` is a verb, as in "read" or "replace".
    #[error("cannot {action} {}: {source}", in_line(path))]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// The file is there but not what it should be; the sentence says what was found and what is allowed.
    #[error("{}: {}", in_line(path), inline(sentence))]
    Content { path: PathBuf, sentence: String },
}

fn in_line(path: &Path) -> String {
    inline(&path.to_string_lossy()).into_owned()
}

impl StoreError {
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        StoreError::Io { action, path: path.to_path_buf(), source }
    }

    pub fn content(path: &Path, sentence: impl Into<String>) -> Self {
        StoreError::Content { path: path.to_path_buf(), sentence: sentence.into() }
    }

    pub fn path(&self) -> &Path {
        match self {
            StoreError::Io { path, .. } | StoreError::Content { path, .. } => path,
        }
    }

    /// The disk is full, over quota, read-only, failing or out of reach: no fault of the file or of whoever wrote it, and it may
    /// pass.
    pub fn is_of_the_disk(&self) -> bool {
        self.codes().any(|code| DISK.contains(&code))
    }

    /// The file itself cannot be used: its content, its name, or that it may not be read; another try comes to the same. All else
    /// may pass: a disk out of reach, or a system that has no more open files to give.
    pub fn is_of_the_file(&self) -> bool {
        // What has no code of the system's was found in the content, or is a reader's own word that the file is not there.
        self.codes().all(|code| FILE.contains(&code))
    }

    /// The system's codes in the error, which a format's writer may have wrapped in errors of its own.
    fn codes(&self) -> impl Iterator<Item = Errno> {
        let mut codes = Vec::new();
        let StoreError::Io { source, .. } = self else { return codes.into_iter() };
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(source);
        while let Some(now) = error {
            let io = now.downcast_ref::<io::Error>();
            codes.extend(io.and_then(io::Error::raw_os_error).map(Errno::from_raw_os_error));
            error = io.and_then(io::Error::get_ref).map_or_else(|| now.source(), |inner| Some(inner));
        }
        codes.into_iter()
    }

    /// The file is not there, which many readers take as an answer.
    pub fn is_missing(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whoever asked may not.
    pub fn is_denied(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_its_path_or_sentence_quotes() {
        let path = Path::new("/a\nb/x");
        assert_eq!(StoreError::content(path, "no \t tab").to_string(), "/a\\nb/x: no \\t tab");
        assert_eq!(StoreError::io("read", path, Errno::NOENT.into()).to_string().lines().count(), 1);
    }

    #[test]
    fn a_failing_disk_is_told_from_a_faulty_file_however_deep_the_error_lies() {
        let error = |source| StoreError::io("replace", Path::new("/x"), source);
        for code in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO, Errno::STALE, Errno::NOTCONN, Errno::TIMEDOUT] {
            assert!(error(code.into()).is_of_the_disk() && !error(code.into()).is_of_the_file(), "{code}");
            let wrapped = io::Error::other(zip::result::ZipError::Io(code.into()));
            assert!(error(io::Error::other(wrapped)).is_of_the_disk(), "{code}");
        }
        for code in [Errno::NOENT, Errno::ACCESS, Errno::ISDIR] {
            assert!(!error(code.into()).is_of_the_disk() && error(code.into()).is_of_the_file(), "{code}");
        }
        let content = StoreError::content(Path::new("/x"), "no JSON");
        assert!(!content.is_of_the_disk() && content.is_of_the_file());
        let files = error(Errno::MFILE.into());
        assert!(!files.is_of_the_disk() && !files.is_of_the_file(), "of the system");
    }
}
