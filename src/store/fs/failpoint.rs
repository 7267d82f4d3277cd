//! Named failures around every durable write, for the fault suite to arm; inert, at the cost of one comparison, where nobody does.
//!
//! `NEUROSEARCH_FAILPOINTS` names a directory. A file there named `<point>:<where>=<action>` arms one failure, in every
//! process with that environment: `point` as [`Point`] names it, `where` the end of the path that is written, with `%` for
//! every `/` and `#` for every run of digits (or `*` for any path), `action` one of `ENOSPC`, `EIO`, `EROFS`, `kill`
//! (SIGKILL to the process itself), `panic`, and `wait` (with `+`: for as long as the file is there). `@n` after the action fails the n-th pass; without it, the first one. The file goes
//! when its failure happens, so that it happens once however many processes pass; `+` instead of `@n` lets it stay, and
//! fails every pass until somebody removes it. Where a file `trace` lies there, every pass adds its line `<point>:<path>`.

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Names the directory; unset or empty, nothing ever fails here.
pub const VARIABLE: &str = "NEUROSEARCH_FAILPOINTS";

/// An edge between two steps of a durable write, named after the step that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before the temporary file, or a new folder, is made.
    Create,
    /// Before its content is written.
    Write,
    /// After that, before it is synced.
    Sync,
    /// After that, before it gets its name.
    Rename,
    /// After that, before its directory is synced.
    Directory,
    /// After everything.
    Done,
    /// Before a watched directory is looked at, which no write is.
    Look,
    /// Before the kernel is asked to watch a directory.
    Watch,
    /// Before a file or folder goes.
    Remove,
    /// Before a checkpoint is read.
    Read,
}

impl Point {
    const fn as_str(self) -> &'static str {
        match self {
            Point::Create => "create",
            Point::Write => "write",
            Point::Sync => "sync",
            Point::Rename => "rename",
            Point::Directory => "directory",
            Point::Done => "done",
            Point::Look => "look",
            Point::Watch => "watch",
            Point::Remove => "remove",
            Point::Read => "read",
        }
    }
}

/// Fails as armed, else does nothing. `path` is the file or folder that the write is to make.
///
/// # Errors
/// The armed one.
pub fn pass(point: Point, path: &Path) -> io::Result<()> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| std::env::var_os(VARIABLE).filter(|d| !d.is_empty()).map(PathBuf::from));
    directory.as_ref().map_or(Ok(()), |directory| pass_in(directory, point, path))
}

/// One armed failure, read from its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Armed<'a> {
    point: &'a str,
    place: &'a str,
    action: &'a str,
    /// 0 for one that stays.
    passes: u32,
}

impl<'a> Armed<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (point, rest) = name.split_once(':')?;
        let (place, action) = rest.rsplit_once('=')?;
        let (action, passes) = match (action.strip_suffix('+'), action.split_once('@')) {
            (Some(action), _) => (action, 0),
            (None, Some((action, passes))) => (action, passes.parse().ok()?),
            (None, None) => (action, 1),
        };
        Some(Armed { point, place, action, passes })
    }

    fn meets(&self, point: Point, path: &str) -> bool {
        self.point == point.as_str() && (self.place == "*" || path.ends_with(self.place))
    }
}

fn pass_in(directory: &Path, point: Point, path: &Path) -> io::Result<()> {
    let path = flat(path);
    let trace = directory.join("trace");
    if trace.exists() {
        let line = format!("{}:{path}\n", point.as_str());
        OpenOptions::new().append(true).open(&trace)?.write_all(line.as_bytes())?;
    }
    for entry in fs::read_dir(directory)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(armed) = Armed::parse(&name).filter(|armed| armed.meets(point, &path)) else { continue };
        let (file, later) = (entry.path(), format!("{}:{}={}@", armed.point, armed.place, armed.action));
        match armed.passes {
            0 if armed.action == "wait" => wait_for_end_of(&file),
            0 => return fail(armed.action),
            // Whoever removes the file is the one process that fails.
            1 if fs::remove_file(&file).is_ok() => return fail(armed.action),
            1 => {}
            // Lost to another process's pass, it counts for that one.
            n => drop(fs::rename(&file, directory.join(later + &(n - 1).to_string()))),
        }
    }
    Ok(())
}

fn wait_for_end_of(file: &Path) {
    while file.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn fail(action: &str) -> io::Result<()> {
    match action {
        "panic" => panic!("{VARIABLE} arms a panic"),
        "ENOSPC" => Err(Errno::NOSPC.into()),
        "EIO" => Err(Errno::IO.into()),
        "EROFS" => Err(Errno::ROFS.into()),
        "kill" => Err(kill_process(getpid(), Signal::KILL).map_or_else(Into::into, |()| Errno::INTR.into())),
        other => Err(io::Error::other(format!("{VARIABLE} arms {other:?}, which is no failure"))),
    }
}

/// The path as one name: `%` for every `/`, `#` for every run of digits.
fn flat(path: &Path) -> String {
    let mut flat = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            '/' => flat.push('%'),
            '0'..='9' if flat.ends_with('#') => {}
            '0'..='9' => flat.push('#'),
            c => flat.push(c),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tempdir;

    fn arm(names: &[&str]) -> tempfile::TempDir {
        let dir = tempdir();
        for name in names {
            fs::write(dir.path().join(name), "").expect("armed");
        }
        dir
    }

    fn code(dir: &tempfile::TempDir, point: Point, path: &str) -> Option<i32> {
        pass_in(dir.path(), point, Path::new(path)).err().and_then(|e| e.raw_os_error())
    }

    #[test]
    fn an_armed_failure_happens_once_at_its_point_and_path_and_nowhere_else() {
        let dir = arm(&["write:job-#%.neurosearch%job.json=ENOSPC"]);
        assert_eq!(code(&dir, Point::Sync, "/launch/job-12/.neurosearch/job.json"), None);
        assert_eq!(code(&dir, Point::Write, "/launch/job-12/.neurosearch/end.json"), None);
        assert_eq!(code(&dir, Point::Write, "/launch/job-12/.neurosearch/job.json"), Some(28));
        assert_eq!(code(&dir, Point::Write, "/launch/job-12/.neurosearch/job.json"), None);
    }

    #[test]
    fn the_nth_pass_fails_and_one_that_stays_fails_every_time() {
        let dir = arm(&["rename:search.json=EIO@3", "create:*=EROFS+"]);
        let codes: Vec<_> = (0..4).map(|_| code(&dir, Point::Rename, "/a/search.json")).collect();
        assert_eq!(codes, [None, None, Some(5), None]);
        for _ in 0..3 {
            assert_eq!(code(&dir, Point::Create, "/anything"), Some(30));
        }
    }

    #[test]
    fn a_trace_lists_every_pass() {
        let dir = arm(&["trace"]);
        assert_eq!(code(&dir, Point::Done, "/launch/job-10/x"), None);
        assert_eq!(fs::read_to_string(dir.path().join("trace")).expect("read"), "done:%launch%job-#%x\n");
    }

    #[test]
    fn without_its_variable_nothing_fails() {
        assert!(std::env::var_os(VARIABLE).is_none());
        assert!(pass(Point::Write, Path::new("/x")).is_ok());
    }
}
