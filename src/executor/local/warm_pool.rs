//! Keeps trainers loaded while a search begins and between short jobs, so that none waits for libtorch.

use super::child::Child;
use super::start::{self, StartError};
use super::warm_trainer::{WarmTrainer, Word};
use crate::executor::assignment::Assignment;
use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// Most trainers at once: two slots may become empty together.
const MOST: usize = 2;

/// Loading takes a third of a second, and a waiting process sixty megabytes. That pays if jobs are no longer than this.
const SHORT: Duration = Duration::from_secs(60);

/// A trainer that no job has used is ended after this time.
const UNUSED: Duration = Duration::from_secs(120);

/// How long after its start a trainer that is still loading is waited for. It is ready sooner than a new one.
const LOADING: Duration = Duration::from_secs(30);

/// Identifies the program in a file: device, inode, and its last change in seconds and nanoseconds.
type Edition = (u64, u64, i64, i64);

/// Cheap to clone: all clones share the waiting trainers.
#[derive(Debug, Clone, Default)]
pub struct WarmPool(Arc<Mutex<PoolState>>);

#[derive(Debug, Default)]
struct PoolState {
    /// The oldest first.
    waiting: VecDeque<Waiting>,
    /// Processes that are being started.
    begun: usize,
    /// Whether the last job that ended was long. Unknown before the first, and a trainer that waits in vain costs little.
    long: bool,
    /// A program that cannot wait. `None` if none is known.
    unable: Option<Edition>,
}

#[derive(Debug)]
struct Waiting {
    trainer: WarmTrainer,
    edition: Edition,
    since: Instant,
}

impl WarmPool {
    fn kept(&self) -> MutexGuard<'_, PoolState> {
        // A panic ends the process, so a poisoned lock is never seen; its content would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts `program` for `assignment`. Uses a waiting trainer if there is one, and loads the next one if jobs are short. May
    /// wait for the loading.
    ///
    /// # Errors
    /// Those of [`start::start`].
    pub fn start(&self, program: &Path, assignment: &Assignment) -> Result<Child, StartError> {
        let edition = edition(program);
        let started = match self.next(edition).map(|waiting| self.assign(waiting, program, assignment)) {
            Some(Ok(Some(child))) => Ok(child),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => start::start(program, assignment),
        };
        if let (Ok(_), Some(edition)) = (&started, edition) {
            self.prepare(program, edition, MOST);
        }
        started
    }

    /// Loads a trainer for the first job of a coming search, if none waits.
    pub fn prewarm(&self, program: &Path) {
        if let Some(edition) = edition(program) {
            self.prepare(program, edition, 1);
        }
    }

    /// Takes out the trainer that has waited longest. Ends those loaded from a program that has been replaced since, because the
    /// job expects the new program's results.
    fn next(&self, edition: Option<Edition>) -> Option<Waiting> {
        loop {
            // Without the lock, since dropping another trainer takes a moment.
            let waiting = self.kept().waiting.pop_front()?;
            if Some(waiting.edition) == edition {
                return Some(waiting);
            }
        }
    }

    /// `None` if it must be started in the usual way.
    fn assign(&self, mut waiting: Waiting, program: &Path, assignment: &Assignment) -> Result<Option<Child>, StartError> {
        match waiting.trainer.word(LOADING.saturating_sub(waiting.since.elapsed())) {
            Word::Ready => {
                let child = waiting.trainer.assign(assignment)?;
                debug!(pid = child.as_ref().map(Child::id), "a trainer that waited takes the job");
                return Ok(child);
            }
            Word::Unable => {
                info!(program = ?program, "this trainer does not wait for jobs; each is started anew");
                self.kept().unable = Some(waiting.edition);
            }
            Word::None => {
                info!(program = ?program, "the trainer that was being loaded is gone or late; the job's is started anew")
            }
        }
        Ok(None)
    }

    /// Loads `most` trainers for the next jobs.
    fn prepare(&self, program: &Path, edition: Edition, most: usize) {
        while self.may_begin(edition, most) {
            // Without the lock: a process takes milliseconds to start, and another slot may want a waiting trainer meanwhile.
            let begun = WarmTrainer::begin(program);
            let mut kept = self.kept();
            kept.begun -= 1;
            match begun {
                Ok(trainer) => kept.waiting.push_back(Waiting { trainer, edition, since: Instant::now() }),
                Err(e) => return warn!(program = ?program, error = e.to_string(), "no trainer is kept loaded for the next job"),
            }
        }
    }

    /// Whether one more is wanted. If so, it counts as begun.
    fn may_begin(&self, edition: Edition, most: usize) -> bool {
        let mut kept = self.kept();
        let wanted = !kept.long && kept.unable != Some(edition) && kept.waiting.len() + kept.begun < most;
        kept.begun += usize::from(wanted);
        wanted
    }

    /// A job's trainer has ended after living this long.
    pub fn ended(&self, lived: Duration) {
        self.kept().long = lived >= SHORT;
    }

    /// Takes out a trainer that was not used by `now`.
    fn unused(&self, now: Instant) -> Option<WarmTrainer> {
        let unused = |waiting: &mut Waiting| now.duration_since(waiting.since) >= UNUSED;
        self.kept().waiting.pop_front_if(unused).map(|waiting| waiting.trainer)
    }

    /// Ends unused trainers. They may take a moment to end.
    pub fn reap_unused(&self) {
        while let Some(trainer) = self.unused(Instant::now()) {
            drop(trainer);
        }
    }
}

/// `None` if the file cannot be examined. Starting it will report why.
fn edition(program: &Path) -> Option<Edition> {
    let meta = fs::metadata(program).ok()?;
    Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Device;
    use crate::domain::network::precision::Precision;
    use crate::executor::local::process_identity::Identity;
    use crate::store::records::layout::JobDir;
    use crate::testing::{script, tempdir};
    use std::path::PathBuf;

    /// A job's folder, and a program that notes its arguments in `folder/asked`.
    fn made(waits: &str) -> (tempfile::TempDir, PathBuf, Assignment) {
        let dir = tempdir();
        let job = JobDir::new(dir.path().join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        let program = dir.path().join("trainer.sh");
        let asked = dir.path().join("asked");
        script(&program, &format!("case $1 in standby) {waits} ;; *) echo anew >> {} ;; esac", asked.display()));
        let (device, precision) = (Device::Cpu, Precision::Fp32);
        let assignment = Assignment { job, device, threads: 1, attempt: 1, precision, cache: None, reads_as: None };
        (dir, program, assignment)
    }

    fn waiting(pool: &WarmPool) -> usize {
        pool.kept().waiting.len()
    }

    #[test]
    fn trainers_are_kept_loaded_only_while_jobs_are_short_and_go_when_nobody_comes() {
        let (_dir, program, assignment) = made("echo ready; cat > /dev/null");
        let pool = WarmPool::default();
        pool.ended(SHORT);
        pool.start(&program, &assignment).expect("started");
        assert_eq!(waiting(&pool), 0, "jobs are long");
        pool.ended(Duration::from_secs(1));
        let anew = pool.start(&program, &assignment).expect("started");
        assert_eq!(waiting(&pool), MOST);
        let first = pool.kept().waiting.front().expect("one").trainer.id();
        let taken = pool.start(&program, &assignment).expect("started");
        assert_eq!((taken.id(), waiting(&pool)), (first.expect("it waits"), MOST), "the next is loaded in its place");
        assert_ne!(anew.id(), taken.id());
        let now = Instant::now();
        assert!(pool.unused(now).is_none());
        assert_eq!(std::iter::from_fn(|| pool.unused(now + UNUSED)).count(), MOST);
    }

    #[test]
    fn a_program_that_does_not_wait_is_asked_once_and_every_job_is_started_all_the_same() {
        let (dir, program, assignment) = made("exit 2");
        let pool = WarmPool::default();
        for _ in 0..3 {
            pool.start(&program, &assignment).expect("started");
        }
        assert_eq!(pool.kept().unable, edition(&program));
        let asked = dir.path().join("asked");
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::read_to_string(&asked).unwrap_or_default() != "anew\nanew\nanew\n" {
            assert!(Instant::now() < deadline, "{:?}", fs::read_to_string(&asked));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn one_is_loaded_for_a_search_that_is_about_to_come_and_its_first_job_takes_it() {
        let (_dir, program, assignment) = made("echo ready; cat > /dev/null");
        let pool = WarmPool::default();
        pool.prewarm(&program);
        pool.prewarm(&program);
        assert_eq!(waiting(&pool), 1, "however many come");
        let first = pool.kept().waiting.front().expect("one").trainer.id();
        let started = pool.start(&program, &assignment).expect("started");
        assert_eq!((Some(started.id()), waiting(&pool)), (first, MOST));
    }

    #[test]
    fn a_program_that_was_replaced_trains_the_next_job_itself() {
        let (dir, program, assignment) = made("echo ready; cat > /dev/null");
        let pool = WarmPool::default();
        pool.start(&program, &assignment).expect("started");
        let old: Vec<Option<u32>> = pool.kept().waiting.iter().map(|waiting| waiting.trainer.id()).collect();
        let (_other, newer, _) = made("exit 2");
        fs::rename(&newer, &program).expect("installed");
        let started = pool.start(&program, &assignment).expect("started");
        assert!(!old.contains(&Some(started.id())));
        assert!(old.iter().flatten().all(|pid| Identity::of(*pid).expect("looked").is_none()), "nothing of the old one waits");
        drop(dir);
    }

    #[test]
    fn where_the_one_that_waits_is_gone_the_job_is_started_anew() {
        let (_dir, program, assignment) = made("echo ready");
        let pool = WarmPool::default();
        pool.start(&program, &assignment).expect("started");
        let gone = pool.kept().waiting.front().expect("one").trainer.id();
        let deadline = Instant::now() + Duration::from_secs(20);
        while gone.is_some_and(|pid| Identity::of(pid).expect("looked").is_some()) {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let started = pool.start(&program, &assignment).expect("started");
        assert_ne!(Some(started.id()), gone);
    }
}
