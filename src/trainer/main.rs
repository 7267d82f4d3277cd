//! Trains the networks of one job on one device, and says everything it has to say in files of the job's folder.

mod assignment;
mod bench;
mod cut_file;
mod data;
mod device;
mod evaluate;
mod failure;
mod fold;
#[cfg(test)]
mod golden_tests;
mod log;
mod model;
mod network_seeds;
#[cfg(test)]
mod network_tests;
mod process_env;
mod reconstructions;
mod records;
mod reporter;
mod results;
mod run;
mod session;
mod shim;
mod standby;
mod stderr;
mod stop;
#[cfg(test)]
mod testing;
mod training;
mod training_state;
mod training_table;
#[cfg(test)]
mod transfer_tests;

use assignment::TrainerAssignment;
use failure::TrainingFailure;
use neurosearch::domain::job::Ended;
use neurosearch::executor::Identity;
use neurosearch::executor::trainer_cli::{self, TrainerCommand};
use neurosearch::executor::trainer_exit_code::Exit;
use neurosearch::store::fs::atomic;
use neurosearch::store::fs::error::StoreError;
use neurosearch::store::fs::lock::{self, Lock, Locking};
use neurosearch::store::records::layout::JobDir;
use neurosearch::store::records::sweep;
use reporter::Interruption;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use stderr::{last_word, note};
use stop::TrainingStop;

fn main() -> ExitCode {
    match trainer_cli::parse(std::env::args_os()) {
        Ok(TrainerCommand::Train(folder)) => leave(train(&JobDir::new(folder))),
        Ok(TrainerCommand::Standby) => leave(match standby::wait() {
            Ok(Some(job)) => train(&job),
            Ok(None) => Exit::Done,
            Err(exit) => exit,
        }),
        Ok(TrainerCommand::Bench(bench)) => bench::run(&bench),
        // Where nobody can read a refusal, the exit code still says it.
        Err(answer) => match (answer.print(), answer.use_stderr()) {
            (_, true) => Exit::Usage.into(),
            (Ok(()), false) => Exit::Done.into(),
            (Err(_), false) => Exit::Crashed.into(),
        },
    }
}

/// Ends the process at once: everything has been said and synced, and libtorch takes a tenth of a second to take itself apart.
fn leave(exit: Exit) -> ! {
    // SAFETY: neither call has any requirement. What libraries wrote through C's own buffers still goes out.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(exit.code().into())
    }
}

/// Warnings of the code that the programs share go to the attempt's log as well.
fn hear_warnings() {
    let to_stderr = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr);
    // On a full disk a warning is lost; reporting that would panic. Nobody else has set a subscriber before.
    let _ = tracing::subscriber::set_global_default(to_stderr.with_ansi(false).log_internal_errors(false).finish());
}

/// Holds the job's folder, trains, and leaves a last word there whatever happens.
fn train(job: &JobDir) -> Exit {
    if !process_env::is_settled() {
        note(format_args!("goes on slower, for it could not start itself with another environment"));
    }
    hear_warnings();
    let (_lock, identity) = match hold(job) {
        Ok(held) => held,
        Err(exit) => return exit,
    };
    let (assigned, interruption) = match begin(job, &identity) {
        Ok(started) => started,
        Err((exit, sentence)) => {
            last_word(format_args!("{sentence}"));
            return exit;
        }
    };
    if let Err(error) = cut_file::tell(assigned.cache.as_ref()) {
        note(format_args!("a mapped file that is cut short will not be told of: {error}"));
    }
    if let Err(error) = log::keep(job.attempt_log(assigned.attempt)) {
        note(format_args!("this log may grow without bounds: {error}"));
    }
    let result = catch_unwind(AssertUnwindSafe(|| run::run(job, &assigned, interruption)));
    let (ended, unread, exit) = verdict(result.unwrap_or_else(|panic| Err(TrainingStop::panicked(panic.as_ref()))));
    let written = records::end(job, ended.clone(), unread.as_deref(), assigned.attempt);
    if let Err(error) = &written {
        last_word(format_args!("{error}"));
    }
    match &ended {
        Ended::Failed { class, sentence } => last_word(format_args!("failed ({class}): {sentence}")),
        Ended::Interrupted { sentence: Some(sentence) } => last_word(format_args!("stopped: {sentence}")),
        Ended::Interrupted { sentence: None } | Ended::Done => {}
    }
    match (written, &ended) {
        (Ok(()), _) => exit,
        // The exit code alone tells the class then.
        (Err(error), Ended::Failed { .. }) if !error.is_of_the_disk() => exit,
        (Err(error), _) => Exit::unwritten(&error),
    }
}

/// What has to be there before anything is trained: the job's assignment, the record of this attempt, and an ear for signals.
fn begin(job: &JobDir, identity: &Identity) -> Result<(TrainerAssignment, Interruption), (Exit, String)> {
    let crashed = |sentence: String| (Exit::Crashed, sentence);
    let unwritten = |error: StoreError| (Exit::unwritten(&error), error.to_string());
    let assigned = TrainerAssignment::read(|name| std::env::var_os(name), records::last(job).as_ref()).map_err(crashed)?;
    records::begin(job, identity, &assigned).map_err(unwritten)?;
    sweep::by_trainer(job).map_err(unwritten)?;
    let interruption = Interruption::listen().map_err(|e| crashed(format!("cannot listen for signals: {e}")))?;
    Ok((assigned, interruption))
}

/// The lock on the job's folder, before anything in it is read.
fn hold(job: &JobDir) -> Result<(Lock, Identity), Exit> {
    let refuse = |exit: Exit, sentence: String| {
        last_word(format_args!("{sentence}"));
        exit
    };
    if !job.path().is_dir() {
        return Err(refuse(Exit::Usage, format!("{} is not a folder", job.path().display())));
    }
    let unknown = |e| refuse(Exit::Crashed, format!("cannot tell who this process is: {e}"));
    let identity = Identity::own().map_err(unknown)?;
    let holder = records::holder(assignment::device(|name| std::env::var_os(name))).map_err(unknown)?;
    atomic::make_below(job.path(), &job.private()).map_err(|e| refuse(Exit::unwritten(&e), e.to_string()))?;
    match take(job, &holder) {
        Ok(Locking::Held(lock)) => Ok((lock, identity)),
        Ok(Locking::Busy { holder }) => Err(refuse(
            Exit::Busy,
            format!("{} is being trained by another trainer: {}", job.path().display(), lock::who(&holder)),
        )),
        Err(error) => Err(refuse(Exit::unwritten(&error), error.to_string())),
    }
}

/// Whoever started this may have taken the lock, and handed it over as the standard input.
fn take(job: &JobDir, holder: &str) -> Result<Locking, StoreError> {
    if let Ok(input) = io::stdin().as_fd().try_clone_to_owned()
        && let Some(lock) = lock::take_over(&job.lock(), input.into(), holder)?
    {
        return Ok(Locking::Held(lock));
    }
    lock::take(&job.lock(), holder)
}

/// The last word of a run's result, with the input that the disk did not give, and the exit code.
fn verdict(result: Result<(), TrainingStop>) -> (Ended, Option<PathBuf>, Exit) {
    match result {
        Ok(()) => (Ended::Done, None, Exit::Done),
        Err(TrainingStop::Interrupted) => (Ended::Interrupted { sentence: None }, None, Exit::Interrupted),
        Err(TrainingStop::Disk(sentence, unread)) => (Ended::Interrupted { sentence: Some(sentence) }, unread, Exit::Disk),
        Err(TrainingStop::Failed(TrainingFailure { class, sentence })) => {
            (Ended::Failed { class, sentence }, None, Exit::of(class))
        }
    }
}
