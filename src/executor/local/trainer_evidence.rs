//! Decides whether a process is a job's trainer, from what the kernel says of it. A record alone is not believed.
//!
//! A record may be copied with its folder, or written by anybody who may write there. What can be neither copied nor written is
//! the lock: the process has the file of this job's lock open, and the lock is on it. A copy made of hard links shares the file.
//! Then the folder counts in which the process opened it, because each of the two has a folder of its own.

use crate::executor::assignment::variable;
use crate::executor::trainer_program;
use crate::store::fs::error::StoreError;
use crate::store::fs::lock;
use crate::store::fs::open_dir::Folder;
use crate::store::records::layout::JobDir;
use rustix::process::geteuid;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The answer, with the reason in one clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    ItsTrainer,
    /// The process has nothing to do with this job. It is left alone.
    Another(String),
    /// It holds this job's lock as the trainer of another job, of which this job's folder is a copy.
    OfTheOriginal(String),
    /// It holds the lock, perhaps. This user may not see more of it.
    Unknown(String),
}

/// How the process stands to the job's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LockSeen {
    /// Nobody holds it.
    Free,
    /// The process holds it.
    Held,
    /// The process holds the file, which has several names, and opened it in this other folder.
    HeldIn(PathBuf),
    /// Somebody else holds it.
    HeldByAnother,
}

/// Users by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Users {
    own: u32,
    process: u32,
    /// Owner of `trainer.json`.
    record: u32,
    /// Owners of the job's folder and of its launch directory.
    folders: [u32; 2],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Evidence {
    lock: LockSeen,
    /// What the process runs. `None` if that is a trainer.
    other_program: Option<OsString>,
    is_this_process: bool,
    users: Users,
}

/// Whether the live process `pid` is the job's trainer. May wait for the disk.
pub fn judge(job: &JobDir, pid: u32) -> Verdict {
    match gather(job, pid) {
        Ok(evidence) => decide(pid, &evidence),
        Err(e) => Verdict::Unknown(format!("whether process {pid} is its trainer cannot be seen from here: {e}")),
    }
}

fn decide(pid: u32, evidence: &Evidence) -> Verdict {
    let another = |why: String| Verdict::Another(format!("process {pid}, which is recorded as its trainer, {why}"));
    match &evidence.lock {
        LockSeen::Free | LockSeen::HeldByAnother => return another("does not hold the lock of its folder".to_string()),
        LockSeen::HeldIn(folder) => {
            let why = format!("process {pid}, which is recorded as its trainer, trains in {folder:?}, of which this is a copy");
            return Verdict::OfTheOriginal(why);
        }
        LockSeen::Held => {}
    }
    let Users { own, process, record, folders } = evidence.users;
    if evidence.is_this_process {
        another("is the one that asks".to_string())
    } else if let Some(program) = &evidence.other_program {
        another(format!("runs {program:?}, which is no trainer"))
    } else if record == own || (record == process && folders.contains(&process)) {
        Verdict::ItsTrainer
    } else {
        another(format!("is user {process}'s, and its record is user {record}'s"))
    }
}

/// # Errors
/// The system's, that of another user's process included.
fn gather(job: &JobDir, pid: u32) -> Result<Evidence, StoreError> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let fail = |e| StoreError::io("look at", &proc, e);
    let lock = lock_seen(job, &proc)?;
    // All else needs rights that only the lock's holder makes worth asking for.
    let holds = lock == LockSeen::Held;
    let other_program = if holds { other_program(&proc).map_err(fail)? } else { None };
    Ok(Evidence { lock, other_program, is_this_process: pid == std::process::id(), users: users(job, &proc)? })
}

fn users(job: &JobDir, proc: &Path) -> Result<Users, StoreError> {
    let owner = |path: &Path| fs::symlink_metadata(path).map(|found| found.uid()).map_err(|e| StoreError::io("look at", path, e));
    let launch = job.path().parent().unwrap_or(Path::new("/"));
    Ok(Users {
        own: geteuid().as_raw(),
        process: owner(proc)?,
        record: owner(&job.trainer_record())?,
        folders: [owner(job.path())?, owner(launch)?],
    })
}

fn lock_seen(job: &JobDir, proc: &Path) -> Result<LockSeen, StoreError> {
    let Some(lock) = lock::held_file(&job.lock())? else { return Ok(LockSeen::Free) };
    let own = Folder::open(&job.private())?.identity()?;
    let fail = |e| StoreError::io("look at", proc, e);
    for entry in fs::read_dir(proc.join("fd")).map_err(fail)? {
        let descriptor = entry.map_err(fail)?;
        let path = descriptor.path();
        // It may be closed by now.
        let is_lock = fs::metadata(&path).is_ok_and(|file| (file.dev(), file.ino()) == (lock.dev(), lock.ino()));
        if !is_lock || !is_locked(proc, &descriptor.file_name()) {
            continue;
        }
        let folder = fs::read_link(&path).map_err(fail)?.parent().unwrap_or(Path::new("/")).to_path_buf();
        let held = lock.nlink() == 1 || is_folder(proc, &folder, own);
        return Ok(if held { LockSeen::Held } else { LockSeen::HeldIn(folder) });
    }
    Ok(LockSeen::HeldByAnother)
}

/// Whether a lock for one holder alone is on the open file, however many processes share that.
fn is_locked(proc: &Path, descriptor: &OsStr) -> bool {
    let locks = fs::read_to_string(proc.join("fdinfo").join(descriptor)).unwrap_or_default();
    let mut locks = locks.lines().filter_map(|line| line.strip_prefix("lock:"));
    locks.any(|lock| ["FLOCK", "WRITE"].iter().all(|word| lock.split_ascii_whitespace().any(|found| found == *word)))
}

/// Whether `folder`, as the process sees it, is the directory with this device and inode. The kernel follows the renames of an
/// open file, so its path is the one that it has now.
fn is_folder(proc: &Path, folder: &Path, identity: (u64, u64)) -> bool {
    let inside = folder.strip_prefix("/").unwrap_or(folder);
    fs::metadata(proc.join("root").join(inside)).is_ok_and(|found| (found.dev(), found.ino()) == identity)
}

/// The program of the process. `None` if that is a trainer: by its own name, as a script that another program runs, or because
/// it was started as a trainer. The last is all there is to see of a program that a script of the user's puts in its own place.
fn other_program(proc: &Path) -> io::Result<Option<OsString>> {
    let program = fs::read_link(proc.join("exe"))?.into_os_string();
    // The file may have been replaced since by a newer version.
    let path = program.as_bytes().strip_suffix(b" (deleted)").unwrap_or(program.as_bytes());
    let program = PathBuf::from(OsString::from_vec(path.to_vec()));
    let scripts = scripts(&fs::read(proc.join("cmdline"))?);
    let behind_links: Vec<PathBuf> = scripts.iter().filter_map(|script| fs::canonicalize(script).ok()).collect();
    let named = [&program].into_iter().chain(&scripts).chain(&behind_links).any(|path| is_trainer(path));
    let known = named || is_started_as_trainer(&fs::read(proc.join("environ"))?);
    Ok(if known { None } else { Some(program.into_os_string()) })
}

/// What the process runs if it is an interpreter, which may get an option before the script. `words`: its command line.
fn scripts(words: &[u8]) -> Vec<PathBuf> {
    let words = words.split(|byte| *byte == 0).skip(1).take(2);
    words.map(|word| PathBuf::from(OsStr::from_bytes(word))).filter(|path| path.is_absolute()).collect()
}

/// `environment`: what the process was started with, which it cannot have from anybody but its starter.
fn is_started_as_trainer(environment: &[u8]) -> bool {
    let mut names = environment.split(|byte| *byte == 0).filter_map(|entry| entry.split(|byte| *byte == b'=').next());
    names.any(|name| name == variable::ATTEMPT.as_bytes())
}

fn is_trainer(program: &Path) -> bool {
    program.file_name().is_some_and(|name| trainer_program::names().iter().any(|known| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Identity;
    use crate::store::fs::lock::Locking;
    use crate::testing::{LockHolder, tempdir};

    const PID: u32 = 17;

    type Change = fn(&mut Evidence);

    fn its_own() -> Evidence {
        let users = Users { own: 5, process: 5, record: 5, folders: [5, 9] };
        Evidence { lock: LockSeen::Held, other_program: None, is_this_process: false, users }
    }

    #[test]
    fn only_a_trainer_that_holds_the_jobs_lock_is_the_jobs_trainer() {
        let its = |change: Change| {
            let mut evidence = its_own();
            change(&mut evidence);
            decide(PID, &evidence)
        };
        assert_eq!(its(|_| {}), Verdict::ItsTrainer);
        let another: [(Change, &str); 5] = [
            (|seen| seen.lock = LockSeen::Free, "does not hold the lock"),
            (|seen| seen.lock = LockSeen::HeldByAnother, "does not hold the lock"),
            (|seen| seen.is_this_process = true, "the one that asks"),
            (|seen| seen.other_program = Some("/bin/mail".into()), "/bin/mail"),
            (|seen| seen.users.record = 6, "user 6"),
        ];
        for (change, reason) in another {
            let verdict = its(change);
            assert!(matches!(&verdict, Verdict::Another(why) if why.contains("17") && why.contains(reason)), "{verdict:?}");
        }
        let verdict = its(|seen| seen.lock = LockSeen::HeldIn("/a/job-0/.neurosearch".into()));
        assert!(matches!(&verdict, Verdict::OfTheOriginal(why) if why.contains("/a/job-0")), "{verdict:?}");
    }

    #[test]
    fn a_record_is_believed_of_this_user_and_of_the_folders_owner_whose_process_it_names() {
        // This user, the process's, the record's, those of the job's folder and of the launch directory.
        for (own, process, record, folders, believed) in [
            (5, 5, 5, [5, 5], true),
            (5, 5, 5, [7, 8], true),
            (0, 7, 7, [7, 9], true),
            (0, 7, 7, [0, 7], true),
            (0, 7, 7, [8, 9], false),
            (5, 5, 7, [7, 7], false),
            (0, 8, 7, [7, 7], false),
        ] {
            let users = Users { own, process, record, folders };
            let verdict = decide(PID, &Evidence { users, ..its_own() });
            assert_eq!(verdict == Verdict::ItsTrainer, believed, "{users:?}: {verdict:?}");
        }
    }

    #[test]
    fn a_trainer_is_known_by_its_programs_name_or_by_that_of_its_script() {
        for (program, words, known) in [
            ("/opt/bin/neurosearch-trainer", "neurosearch-trainer\0/a/job-0\0", true),
            ("/usr/bin/dash", "/bin/sh\0/opt/neurosearch-trainer\0/a/job-0\0", true),
            ("/usr/bin/dash", "/bin/sh\0-e\0/opt/neurosearch-trainer\0", true),
            ("/usr/bin/dash", "/bin/sh\0-c\0:\0/opt/neurosearch-trainer\0", false),
            ("/usr/bin/vim", "/opt/neurosearch-trainer\0-c\0", false),
            ("/opt/neurosearch-trainer/vim", "vim\0job-0\0", false),
            ("/usr/bin/neurosearchd", "neurosearchd\0--config\0/etc/neurosearchd.toml\0", false),
        ] {
            let mut paths = scripts(words.as_bytes());
            paths.push(program.into());
            assert_eq!(paths.iter().any(|path| is_trainer(path)), known, "{program} {words:?}");
        }
        for (environment, known) in [
            ("HOME=/root\0NEUROSEARCH_ATTEMPT=1\0", true),
            ("HOME=/root\0NEUROSEARCH_TRAINER=/opt/mine\0", false),
            ("NOT=NEUROSEARCH_ATTEMPT=1\0", false),
        ] {
            assert_eq!(is_started_as_trainer(environment.as_bytes()), known, "{environment:?}");
        }
    }

    /// A job's folder, with a record that this user wrote.
    fn job() -> (tempfile::TempDir, JobDir) {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        fs::write(job.trainer_record(), "{}").expect("written");
        (dir, job)
    }

    fn of(job: &JobDir, holder: &LockHolder) -> Verdict {
        judge(job, holder.identity().pid)
    }

    #[test]
    fn a_trainer_stays_known_when_its_program_is_replaced_and_its_job_is_moved() {
        let (dir, job) = job();
        let program = dir.path().join("neurosearch-trainer");
        let trainer = LockHolder::start_program(&program, &job);
        assert_eq!(of(&job, &trainer), Verdict::ItsTrainer);
        fs::remove_file(&program).expect("removed");
        assert_eq!(of(&job, &trainer), Verdict::ItsTrainer);
        let moved = JobDir::new(dir.path().join("moved"));
        fs::rename(job.path(), moved.path()).expect("moved");
        assert_eq!(of(&moved, &trainer), Verdict::ItsTrainer);
        let copy = JobDir::new(dir.path().join("copy"));
        fs::create_dir_all(copy.private()).expect("made");
        for (from, to) in [(moved.lock(), copy.lock()), (moved.trainer_record(), copy.trainer_record())] {
            fs::hard_link(from, to).expect("linked");
        }
        assert_eq!(of(&moved, &trainer), Verdict::ItsTrainer);
        assert!(matches!(of(&copy, &trainer), Verdict::OfTheOriginal(_)), "{:?}", of(&copy, &trainer));
    }

    #[test]
    fn what_holds_the_lock_and_is_no_trainer_is_another_process() {
        let (_dir, job) = job();
        let other = LockHolder::start("backup", &job);
        assert!(matches!(of(&job, &other), Verdict::Another(why) if why.contains("is no trainer")));
        drop(other);
        let Locking::Held(_held) = lock::take(&job.lock(), "{}").expect("asked") else { panic!("nobody holds it") };
        let own = Identity::own().expect("found").pid;
        assert!(matches!(judge(&job, own), Verdict::Another(why) if why.contains("the one that asks")));
        assert!(matches!(judge(&job, 1), Verdict::Another(_) | Verdict::Unknown(_)));
    }
}
