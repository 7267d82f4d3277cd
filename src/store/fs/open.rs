//! Opens files and folders without being led elsewhere or kept waiting: no link in what is ours of a path, regular files alone.

use super::error::StoreError;
use super::owned_path::Place;
use super::rights;
use super::walk::Wanted;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Never waits for a pipe's other end, and never becomes a child's.
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// As the umask leaves them.
const MODE: Mode = Mode::from_raw_mode(0o666);

/// The regular file at `place`, for reading.
///
/// # Errors
/// Names the file: not there, no regular file, or with a link in its path where none may be.
pub fn read(place: &(impl Place + ?Sized)) -> Result<File, StoreError> {
    let file = raw(place, OFlags::RDONLY).map_err(|e| refused("read", place.path(), e))?;
    regular(place.path(), File::from(file)).map(|(file, _)| file)
}

/// The whole content of the regular file at `place`, at most `most` bytes; `larger` says what a larger one is not.
///
/// # Errors
/// As [`read`], and where there is more.
pub fn bytes(place: &(impl Place + ?Sized), most: u64, larger: &str) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    bytes_into(place, most, larger, &mut bytes).map(|()| bytes)
}

/// As [`bytes`], at the end of a buffer that is used again.
pub fn bytes_into(place: &(impl Place + ?Sized), most: u64, larger: &str, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
    let path = place.path();
    let file = raw(place, OFlags::RDONLY).map_err(|e| refused("read", path, e))?;
    let (file, stat) = regular(path, File::from(file))?;
    // One read, where the length is known; what is not on a disk says that it has none.
    let length = u64::try_from(stat.st_size).ok().filter(|length| *length > 0).unwrap_or(u64::MAX);
    let before = bytes.len();
    bytes.reserve_exact(if length <= most { length as usize } else { 0 });
    file.take(length.min(most + 1)).read_to_end(bytes).map_err(|e| StoreError::io("read", path, e))?;
    if (bytes.len() - before) as u64 > most {
        return Err(StoreError::content(place.path(), larger));
    }
    Ok(())
}

/// The regular file at `place` for reading and writing, made where there is none, and never cut short. It may have other names:
/// whoever writes to it looks first.
///
/// # Errors
/// As [`read`].
pub fn lock(place: &(impl Place + ?Sized)) -> Result<File, StoreError> {
    writable(place, OFlags::RDWR | OFlags::CREATE).map(|(file, _)| file)
}

/// The regular file at `place` for writing at its end, made where there is none.
///
/// # Errors
/// As [`read`], and where it has another name too: what is written here would change there.
pub fn append(place: &(impl Place + ?Sized)) -> Result<File, StoreError> {
    let path = place.path();
    let (file, stat) = writable(place, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND)?;
    match stat.st_nlink {
        // Removed just now: whoever opens it next makes another.
        0 | 1 => Ok(file),
        links => {
            Err(StoreError::content(path, format!("it has {links} hard links, and what is written here would change there")))
        }
    }
}

fn writable(place: &(impl Place + ?Sized), flags: OFlags) -> Result<(File, Stat), StoreError> {
    let path = place.path();
    let file = raw(place, flags).map_err(|e| refused("open", path, e))?;
    regular(path, File::from(file))
}

/// The directory at `place`.
///
/// # Errors
/// Names it: not there, no directory, or with a link in its path where none may be.
pub fn directory(place: &(impl Place + ?Sized)) -> Result<OwnedFd, StoreError> {
    raw(place, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|e| refused("open", place.path(), e))
}

/// What the system says of what has this name, a link being a link, without opening it. Of a `place` in a directory that is
/// held open links on the way are not refused: the answer tells files apart, and nothing is read of them.
///
/// # Errors
/// The system's.
pub fn stat(place: &(impl Place + ?Sized)) -> Result<Stat, Errno> {
    match place.held() {
        Some(held) if place.own_parts() > 0 => statat(held, split(place.path(), place.own_parts()).1, AtFlags::SYMLINK_NOFOLLOW),
        _ => statat(CWD, place.path(), AtFlags::SYMLINK_NOFOLLOW),
    }
}

/// The directory that holds `place`, to work in it.
///
/// # Errors
/// The system's, that of a link included.
pub fn folder_of(place: &(impl Place + ?Sized)) -> io::Result<OwnedFd> {
    let folder = place.path().parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    path_at(folder, place.own_parts().saturating_sub(1), place.held(), OFlags::RDONLY | OFlags::DIRECTORY)
}

fn regular(path: &Path, file: File) -> Result<(File, Stat), StoreError> {
    let stat = fstat(&file).map_err(|e| StoreError::io("look at", path, e.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        FileType::Directory => Err(StoreError::io("read", path, Errno::ISDIR.into())),
        _ => Err(StoreError::content(path, "not a regular file; nothing else is opened here")),
    }
}

/// The error of an open, which may say more than the system's words.
pub fn refused(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => StoreError::content(path, "it is a link, or lies behind one; no link is followed here"),
        Some(Errno::NXIO) => StoreError::content(path, "not a regular file; nothing else is opened here"),
        _ => StoreError::io(action, path, error),
    }
}

/// What the system says of what `path` leads to, links followed, without opening it.
///
/// # Errors
/// The system's.
pub fn look(path: &Path) -> io::Result<Stat> {
    let looked = rights::found(path, None).and_then(|found| match found {
        Some(place) => Ok(fstat(place)?),
        None => Ok(rustix::fs::stat(path)?),
    });
    looked.map_err(rights::explained)
}

/// Opens without a look at what it is, where whoever is read for may open it as well.
fn raw(place: &(impl Place + ?Sized), flags: OFlags) -> io::Result<OwnedFd> {
    let opened = rights::found(place.path(), Some(Wanted::Read)).and_then(|found| {
        let opened = path_at(place.path(), place.own_parts(), place.held(), flags)?;
        // What was looked at and what was opened: a link may have been exchanged in between.
        match found.map(|found| same(&found, &opened)).transpose()? {
            Some(false) => Err(Errno::ACCESS.into()),
            Some(true) | None => Ok(opened),
        }
    });
    opened.map_err(rights::explained)
}

fn same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let [one, other] = [fstat(one)?, fstat(other)?];
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn path_at(path: &Path, own: usize, held: Option<&OwnedFd>, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | ALWAYS;
    let opened = match (own, held) {
        (0, None) => openat(CWD, path, flags, MODE),
        (0, Some(held)) => openat(held, ".", flags, MODE),
        (1, None) => openat(CWD, path, flags | OFlags::NOFOLLOW, MODE),
        (_, Some(held)) => beneath(held, split(path, own).1, flags | OFlags::NOFOLLOW),
        (_, None) => {
            let (base, inside) = split(path, own);
            let base = openat(CWD, base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
            base.and_then(|base| beneath(&base, inside, flags | OFlags::NOFOLLOW))
        }
    };
    match opened {
        Ok(file) => Ok(file),
        // What the kernel says of a link where a directory was asked for.
        Err(Errno::NOTDIR) if own > 0 && path.is_symlink() => Err(Errno::LOOP.into()),
        Err(e) => Err(e.into()),
    }
}

fn beneath(base: &OwnedFd, inside: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    // The call refuses a mode where nothing can be made.
    let mode = if flags.contains(OFlags::CREATE) { MODE } else { Mode::empty() };
    match openat2(base, inside, flags, mode, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS) {
        // Kernels before 5.6 have no such call, some containers forbid it, and a rename at the same time disturbs it.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => part_by_part(base, inside, flags),
        other => other,
    }
}

/// The part that was given, and the part that is ours: its last `own` parts.
fn split(path: &Path, own: usize) -> (&Path, &Path) {
    let bytes = path.as_os_str().as_bytes();
    let slash = (0..own).try_fold(bytes.len(), |end, _| bytes[..end].iter().rposition(|byte| *byte == b'/'));
    match slash {
        None => (Path::new("."), path),
        Some(0) => (Path::new("/"), Path::new(OsStr::from_bytes(&bytes[1..]))),
        Some(at) => (Path::new(OsStr::from_bytes(&bytes[..at])), Path::new(OsStr::from_bytes(&bytes[at + 1..]))),
    }
}

fn part_by_part(base: &OwnedFd, inside: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut at = openat(base, ".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts = inside.iter().peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return openat(&at, part, flags, MODE);
        }
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = match openat(&at, part, on_the_way, Mode::empty()) {
            Err(Errno::NOTDIR) => return Err(Errno::LOOP),
            other => other?,
        };
    }
    Err(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fs::atomic;
    use crate::store::fs::open_dir::Folder;
    use crate::store::fs::owned_path::Below;
    use crate::store::records::layout::LaunchDir;
    use crate::store::records::{create_job, sweep};
    use crate::testing::tempdir;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A launch directory whose private folder is a link to `elsewhere`, in which things lie that are not ours.
    fn linked() -> (tempfile::TempDir, LaunchDir, std::path::PathBuf) {
        let dir = tempdir();
        let (launch, elsewhere) = (dir.path().join("launch"), dir.path().join("elsewhere"));
        fs::create_dir(&launch).expect("made");
        fs::create_dir_all(elsewhere.join("new-plans")).expect("made");
        for name in ["search.json", "lock", "new-plans/mine", ".search.json.1-1.tmp"] {
            fs::write(elsewhere.join(name), "precious").expect("written");
        }
        symlink(&elsewhere, launch.join(".neurosearch")).expect("linked");
        (dir, LaunchDir::new(launch), elsewhere)
    }

    #[test]
    fn nothing_behind_a_link_is_read_written_or_removed() {
        let (_dir, launch, elsewhere) = linked();
        let record = launch.search_record();
        let failures = [
            read(&record).map(drop),
            lock(&launch.lock()).map(drop),
            append(&launch.lock()).map(drop),
            directory(&launch.private()).map(drop),
            atomic::replace(&record, b"ours"),
            atomic::remove(&record),
            create_job::sweep(&launch, |_| false),
        ];
        for (index, failure) in failures.into_iter().enumerate() {
            let error = failure.expect_err("refused").to_string();
            assert!(error.contains("link"), "{index}: {error}");
        }
        for name in ["search.json", "lock", "new-plans/mine", ".search.json.1-1.tmp"] {
            assert_eq!(fs::read_to_string(elsewhere.join(name)).expect("still there"), "precious", "{name}");
        }
        assert_eq!(fs::read_dir(&elsewhere).expect("listed").count(), 4, "nothing came");
    }

    #[test]
    fn a_job_folder_or_a_fold_that_is_a_link_is_not_swept() {
        let (dir, launch, _) = linked();
        let precious = dir.path().join("precious");
        fs::create_dir(&precious).expect("made");
        fs::write(precious.join(".model.1-1.tmp"), "mine").expect("written");
        symlink(&precious, launch.path().join("job-0")).expect("linked");
        fs::create_dir(launch.path().join("job-1")).expect("made");
        symlink(&precious, launch.path().join("job-1/fold-0")).expect("linked");
        let [first, second] = ["job-0", "job-1"].map(|name| launch.folder(name));
        assert!(sweep::by_trainer(&first).expect_err("refused").to_string().contains("link"));
        sweep::by_trainer(&second).expect("nothing to sweep");
        assert!(precious.join(".model.1-1.tmp").exists());
    }

    #[test]
    fn a_launch_directory_may_be_given_by_a_link() {
        let dir = tempdir();
        fs::create_dir_all(dir.path().join("real/.neurosearch")).expect("made");
        symlink(dir.path().join("real"), dir.path().join("link")).expect("linked");
        let launch = LaunchDir::new(dir.path().join("link"));
        atomic::replace(&launch.search_record(), b"ours").expect("written");
        assert_eq!(bytes(&launch.search_record(), 10, "larger").expect("read"), b"ours");
    }

    #[test]
    fn what_lies_in_a_directory_that_is_held_open_is_found_there_whatever_has_its_name() {
        let dir = tempdir();
        let [launch, aside] = ["launch", "aside"].map(|name| dir.path().join(name));
        fs::create_dir_all(launch.join("job-0/fold-0")).expect("made");
        fs::write(launch.join("job-0/fold-0/training.tsv"), "of the first").expect("written");
        symlink("job-0", launch.join("job-1")).expect("linked");
        let folder = Folder::open(&Below::given(&launch)).expect("opened");
        let held = LaunchDir::open(&folder);
        drop(folder);
        fs::rename(&launch, &aside).expect("moved");
        fs::create_dir_all(launch.join("job-0/fold-0")).expect("made");
        fs::write(launch.join("job-0/fold-0/training.tsv"), "of the second").expect("written");
        let table = |launch: &LaunchDir, job| bytes(&launch.folder(job).fold(0).training_table(None), 100, "larger");
        assert_eq!(table(&held, "job-0").expect("read"), b"of the first");
        assert_eq!(table(&LaunchDir::new(&launch), "job-0").expect("read"), b"of the second");
        assert!(table(&held, "job-1").expect_err("refused").to_string().contains("link"));
        // A name directly in it, and the directory itself.
        fs::write(aside.join("random_search.json"), "{}").expect("written");
        assert_eq!(bytes(&held.space(), 100, "larger").expect("read"), b"{}");
        let entries = Folder::open(held.place()).and_then(|folder| folder.entries()).expect("listed");
        assert!(entries.iter().any(|entry| entry.name == "random_search.json"));
    }

    #[test]
    fn a_file_is_read_whole_whether_its_length_is_told_or_not() {
        let dir = tempdir();
        let path = dir.path().join("file");
        fs::write(&path, "twelve bytes").expect("written");
        let mut all = b"before ".to_vec();
        bytes_into(&path, 12, "larger", &mut all).expect("read");
        assert_eq!(all, b"before twelve bytes");
        assert!(bytes(&path, 11, "larger than eleven").expect_err("refused").to_string().contains("larger than eleven"));
        // The kernel's own files have no length.
        let status = bytes(Path::new("/proc/self/status"), 1 << 20, "larger").expect("read");
        assert!(String::from_utf8_lossy(&status).contains("VmHWM"));
    }

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_waits_for_another() {
        let dir = tempdir();
        let base = Below::given(dir.path());
        let names = ["pipe", "socket", "folder", "link"];
        rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).expect("a socket");
        fs::create_dir(dir.path().join("folder")).expect("made");
        symlink("/dev/zero", dir.path().join("link")).expect("linked");
        for place in names.map(|name| base.join(name)) {
            for failure in [read(&place).map(drop), lock(&place).map(drop), append(&place).map(drop)] {
                let error = failure.expect_err("refused").to_string();
                assert!(["regular file", "link", "directory"].iter().any(|word| error.contains(word)), "{error}");
            }
        }
        // A path that is somebody's own business may be a link, but not to a device.
        let error = bytes(&dir.path().join("link"), 10, "larger").expect_err("refused").to_string();
        assert!(error.contains("regular file"), "{error}");
    }

    #[test]
    fn a_path_is_divided_where_our_parts_begin() {
        for (path, own, given, ours) in [
            ("/a/b/c", 1, "/a/b", "c"),
            ("/a/b/c", 2, "/a", "b/c"),
            ("/a/b/c", 3, "/", "a/b/c"),
            ("a/b", 1, "a", "b"),
            ("a/b", 2, ".", "a/b"),
            ("/a//b", 1, "/a/", "b"),
        ] {
            assert_eq!(split(Path::new(path), own), (Path::new(given), Path::new(ours)), "{path}, {own}");
        }
    }

    #[test]
    fn what_has_another_name_elsewhere_is_not_written_to() {
        let dir = tempdir();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        fs::write(&first, "precious").expect("written");
        fs::hard_link(&first, &second).expect("linked");
        assert!(append(&second).expect_err("refused").to_string().contains("2 hard links"));
        fs::remove_file(&first).expect("removed");
        append(&second).expect("its only name");
    }

    #[test]
    fn a_kernel_without_openat2_comes_to_the_same() {
        let (_dir, launch, _) = linked();
        fs::create_dir_all(launch.path().join("job-0/.neurosearch")).expect("made");
        fs::write(launch.path().join("job-0/.neurosearch/job.json"), "{}").expect("written");
        let base = || rustix::fs::open(launch.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("opened");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | ALWAYS;
        let opened = |inside: &str| part_by_part(&base(), Path::new(inside), flags).map(drop);
        assert_eq!(opened("job-0/.neurosearch/job.json"), Ok(()));
        assert_eq!(opened("job-0/.neurosearch/absent"), Err(Errno::NOENT));
        assert_eq!(opened(".neurosearch/search.json"), Err(Errno::LOOP));
        assert_eq!(opened(".neurosearch"), Err(Errno::LOOP));
    }
}
