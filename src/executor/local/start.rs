//! Starts a trainer on a job's folder. The trainer outlives its starter.

use super::child::Child;
use super::handed_lock;
use crate::executor::assignment::{Assignment, variable};
use crate::executor::run::NotStarted;
use crate::store::fs::error::StoreError;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The trainer could not be started, so nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot start the trainer {}: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
}

impl From<StartError> for NotStarted {
    fn from(error: StartError) -> Self {
        match &error {
            StartError::Store(own) if !own.is_of_the_disk() => NotStarted::Job(error.to_string()),
            StartError::Store(_) | StartError::Spawn { .. } => NotStarted::Surroundings(error.to_string()),
        }
    }
}

/// Starts `program` for `assignment`. It leads its own process group, has no pipe to this process, and writes to `attempt-N.log`.
/// Its standard input is the job's lock, which is taken before it starts: if this process dies now, the next one sees that the
/// job has a trainer. The job's folder and its private folder must exist.
///
/// # Errors
/// If the log cannot be opened or the program cannot be started.
pub fn start(program: &Path, assignment: &Assignment) -> Result<Child, StartError> {
    let fail = |source| StartError::Spawn { program: program.to_path_buf(), source };
    let folder = assignment.folder()?;
    let output = assignment.open_log()?;
    let errors = output.try_clone().map_err(fail)?;
    let lock = handed_lock::take(assignment)?;
    let mut command = Command::new(program);
    // The root, so that a trainer never keeps an unrelated file system busy.
    command.arg(&folder).current_dir("/").process_group(0);
    command.stdin(lock.map_or_else(Stdio::null, Stdio::from)).stdout(output).stderr(errors).envs(variables(assignment));
    let child = command.spawn().map_err(fail)?;
    Child::lead(child).map_err(fail)
}

/// The environment of a trainer that is a process of this machine, and names itself as such.
pub fn variables(assignment: &Assignment) -> Vec<(&'static str, OsString)> {
    let mut variables = assignment.variables();
    variables.push((variable::RUN, OsString::new()));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::device::Device;
    use crate::domain::job::{Ended, FailureClass};
    use crate::domain::network::precision::Precision;
    use crate::executor::local::live_trainers::LiveTrainers;
    use crate::executor::local::memory::{OomKills, OomWatch};
    use crate::executor::local::process_identity::Identity;
    use crate::executor::local::trainer_process::TrainerProcess;
    use crate::executor::run::{Run, RunState};
    use crate::store::data::volume_cache::CachePlace;
    use crate::store::records::attempt_log;
    use crate::store::records::layout::JobDir;
    use crate::testing::{self, tempdir};
    use std::fs;
    use std::time::{Duration, Instant};

    fn job(dir: &Path) -> JobDir {
        let job = JobDir::new(dir.join("job-0"));
        fs::create_dir_all(job.private()).expect("made");
        job
    }

    fn script(dir: &Path, body: &str) -> PathBuf {
        let path = dir.join("trainer.sh");
        testing::script(&path, body);
        path
    }

    fn assignment(job: JobDir, device: Device) -> Assignment {
        let cache = Some(CachePlace { folder: PathBuf::from("/var/cache/x"), limit: 5_000_000_000 });
        Assignment { job, device, threads: 3, attempt: 2, precision: Precision::Tf32, cache, reads_as: Some(61_001) }
    }

    fn wait(child: &mut Child) -> std::process::ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = child.try_wait().expect("waited") {
                return status;
            }
            assert!(Instant::now() < deadline, "the trainer did not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn the_trainer_gets_its_whole_assignment_and_writes_to_the_attempts_log() {
        let dir = tempdir();
        let program = script(
            dir.path(),
            "echo $1 $NEUROSEARCH_DEVICE $NEUROSEARCH_THREADS $NEUROSEARCH_ATTEMPT $NEUROSEARCH_PRECISION \
             $NEUROSEARCH_CACHE_DIR $NEUROSEARCH_CACHE_GIGABYTES $NEUROSEARCH_READS_AS; \
             echo \"[$CUDA_VISIBLE_DEVICES] $CUDA_DEVICE_ORDER\" >&2; exit 3",
        );
        let job = job(dir.path());
        for (device, visible) in [(Device::Cpu, ""), (Device::gpu("GPU-1a").expect("a device"), "GPU-1a")] {
            let _ = fs::remove_file(job.attempt_log(2));
            let mut child = start(&program, &assignment(job.clone(), device.clone())).expect("started");
            assert_eq!(wait(&mut child).code(), Some(3));
            let expected = format!("{} {device} 3 2 tf32 /var/cache/x 5 61001\n[{visible}] PCI_BUS_ID\n", job.path().display());
            assert_eq!(fs::read_to_string(job.attempt_log(2)).expect("read"), expected);
        }
    }

    #[test]
    fn the_log_of_an_attempt_long_ago_makes_way() {
        let dir = tempdir();
        let (program, job) = (script(dir.path(), "exit 0"), job(dir.path()));
        [1, 2].iter().for_each(|attempt| fs::write(job.attempt_log(*attempt), "").expect("written"));
        let late = Assignment { attempt: attempt_log::KEPT + 1, ..assignment(job.clone(), Device::Cpu) };
        wait(&mut start(&program, &late).expect("started"));
        let there = [1, 2, late.attempt].map(|attempt| job.attempt_log(attempt).exists());
        assert_eq!(there, [false, true, true]);
    }

    #[test]
    fn the_trainer_leads_its_own_group_and_its_end_takes_the_group_with_it() {
        let dir = tempdir();
        let pid_file = dir.path().join("helper.pid");
        let program = script(dir.path(), &format!("sleep 600 & echo $! > {}.tmp; mv {0}.tmp {0}", pid_file.display()));
        let mut child = start(&program, &assignment(job(dir.path()), Device::Cpu)).expect("started");
        assert_ne!(child.id(), std::process::id());
        wait(&mut child);
        let helper: u32 = fs::read_to_string(&pid_file).expect("read").trim().parse().expect("a pid");
        let deadline = Instant::now() + Duration::from_secs(20);
        while Identity::of(helper).expect("looked").is_some() {
            assert!(Instant::now() < deadline, "the group's other process lives on");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(child.try_wait().expect("asked again").is_some(), "the answer stays");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_that_names_it() {
        let dir = tempdir();
        let error = start(&dir.path().join("absent"), &assignment(job(dir.path()), Device::Cpu)).expect_err("refused");
        assert!(error.to_string().contains("absent"), "{error}");
    }

    #[test]
    fn a_trainer_that_ignores_sigterm_is_killed_once_its_grace_is_over() {
        let dir = tempdir();
        let ready = dir.path().join("ready");
        let body = format!("trap '' TERM; echo > {}; while :; do sleep 0.01; done", ready.display());
        let child = start(&script(dir.path(), &body), &assignment(job(dir.path()), Device::Cpu)).expect("started");
        let deadline = Instant::now() + Duration::from_secs(20);
        while !ready.exists() {
            assert!(Instant::now() < deadline, "the trainer did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
        let followed = LiveTrainers::default().follow(child.id());
        let mut run = TrainerProcess::started(child, OomWatch::since(OomKills::now()), followed, None);
        run.stop(Duration::from_secs(600)).expect("asked");
        assert_eq!(run.poll().expect("polled"), RunState::Running, "it ignores that");
        run.stop(Duration::ZERO).expect("asked again");
        let mut last = RunState::Running;
        while last == RunState::Running {
            assert!(Instant::now() < deadline, "the trainer did not end");
            std::thread::sleep(Duration::from_millis(2));
            last = run.poll().expect("polled");
        }
        let RunState::Over(Some(Ended::Failed { class: FailureClass::Killed, sentence })) = last else { panic!("{last:?}") };
        assert!(sentence.contains("SIGKILL"), "{sentence}");
    }
}
