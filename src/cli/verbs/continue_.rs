//! `neurosearch continue`: goes on with a job from its last finished fold and epoch.

use crate::check;
use crate::cli::args::TrainingArguments;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{self, Out};
use crate::cli::run_job::{self, PreparedJob};
use crate::cli::{job_folder, path_kind};
use crate::domain::device::Holder;
use crate::domain::job::{FailureClass, JobState};
use crate::domain::network::footprint::Footprint;
use crate::domain::network::precision::Precision;
use crate::domain::options::JobOptions;
use crate::executor::local::process_identity::{is_here, may_be_writing, may_live};
use crate::executor::{Processes, TrainerStatus, holder, trainer_status};
use crate::store::fs::error::StoreError;
use crate::store::fs::lock;
use crate::store::records::job_records::{JobRecord, Starter, TrainerRecord, write_commandline};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::{finished_folds, list_jobs, record, sweep};
use std::path::{Path, PathBuf};

/// Go on with a job that was interrupted or failed, from its last finished epoch
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's folder
    job_dir: PathBuf,
    /// Go on also where its last trainer ran on another machine and left no word of its end: it runs no more
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    training: TrainingArguments,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let job = job(&args.job_dir)?;
    let options = job_folder::read(&job.commandline())?;
    let kept = list_jobs::record_of(&job)?;
    refuse_the_daemons(&job, kept.as_ref())?;
    refuse_run_by_another(&job, kept.as_ref(), args.take_over)?;
    refuse_running(&job, args.take_over)?;
    refuse_another_precision(&job, args.training.precision)?;
    refuse_strange_results(&job, &options, kept.as_ref())?;
    sweep::by_starter(&job, may_be_writing)?;
    let mut record = kept.unwrap_or_else(|| JobRecord::queued(Starter::Command));
    if finished_folds::missing(&job, &options).is_empty() {
        return say_finished(&job, record, out);
    }
    let (options, footprint) = complete(&job, options)?;
    let ready = PreparedJob::for_job(options.use_cpu, &args.training)?;
    // One that has a checkpoint did fit.
    if record.history.checkpoints_seen == 0
        && let Some(sentence) = ready.too_large(&footprint)
    {
        let folder = job.path().display();
        return Err(Failure::new(Exit::Failed, format!("{folder}: {}: {sentence}", FailureClass::TooLarge)));
    }
    record.footprint = Some(footprint);
    record.history.failures_in_a_row = 0;
    run_job::run(ready, &job, &options, record, out)
}

fn job(path: &Path) -> Result<JobDir, Failure> {
    path_kind::folder(path)?;
    let absolute = std::fs::canonicalize(path).map_err(|e| StoreError::io("open", path, e))?;
    if !list_jobs::is_job(&absolute) {
        let sentence = format!("{} is no job: it has no commandline.json", path.display());
        return Err(Failure::new(Exit::NotFound, sentence));
    }
    Ok(JobDir::new(absolute))
}

/// A job that a running daemon looks after is the daemon's to go on with.
fn refuse_the_daemons(job: &JobDir, record: Option<&JobRecord>) -> Result<(), Failure> {
    let by_daemon = record.is_some_and(|record| record.starter == Starter::Daemon);
    let launch = LaunchDir::new(job.path().parent().unwrap_or(Path::new("/")));
    if by_daemon && lock::is_held(&launch.lock())? {
        let folder = job.path().display();
        let sentence = format!("a running daemon looks after {folder}; ask it with `neurosearch resume {folder}`, or retry");
        return Err(Failure::new(Exit::Refused, sentence));
    }
    Ok(())
}

/// Two processes would write one record.
fn refuse_run_by_another(job: &JobDir, record: Option<&JobRecord>, take_over: bool) -> Result<(), Failure> {
    let Some(other) = record.and_then(|record| record.borrower.as_ref()).filter(|other| may_live(other)) else { return Ok(()) };
    let away = !is_here(&other.host, &other.boot_id);
    if away && take_over && holder(job) == Holder::Nobody {
        return Ok(());
    }
    let (folder, pid, host) = (job.path().display(), other.pid, &other.host);
    let cure = if away { "if it runs no more, say so with --take-over" } else { "wait for its end" };
    Err(Failure::new(Exit::Exists, format!("{folder} is being run by process {pid} on {host:?}; {cure}")))
}

/// Where nobody can know whether a trainer lives, whoever says `take_over` does, as long as nobody holds the job.
fn refuse_running(job: &JobDir, take_over: bool) -> Result<(), Failure> {
    let folder = job.path().display();
    let free = holder(job) == Holder::Nobody;
    match trainer_status(&Processes::default(), job) {
        TrainerStatus::Unknown(_) if free && take_over => Ok(()),
        TrainerStatus::Ended(_) | TrainerStatus::Gone => Ok(()),
        TrainerStatus::Alive(run, _) => {
            Err(Failure::new(Exit::Exists, format!("{folder} is being trained by {run}; wait for its end")))
        }
        TrainerStatus::Unknown(why) => {
            let cure = if free { "; if it is not, say so with --take-over" } else { "" };
            let sentence = format!("{folder}: whether it is being trained cannot be known from here: {why}{cure}");
            Err(Failure::new(Exit::Failed, sentence))
        }
    }
}

/// Half a training in one precision and half in another would be the result of neither.
fn refuse_another_precision(job: &JobDir, asked: Option<Precision>) -> Result<(), Failure> {
    let Some(asked) = asked else { return Ok(()) };
    match record::read::<TrainerRecord>(&job.trainer_record()) {
        Ok(begun) if begun.precision != asked => {
            let (folder, kept) = (job.path().display(), begun.precision);
            let cure = format!("`neurosearch retrain {} OUT_DIR --precision {asked}`", job.commandline().display());
            Err(Failure::new(Exit::Usage, format!("{folder} was begun in {kept} and goes on so; {cure} trains it anew")))
        }
        // Not begun, or its record cannot be read: then the trainer says what it finds.
        _ => Ok(()),
    }
}

/// Results that no trainer of ours wrote would be mixed with ours, or overwritten.
fn refuse_strange_results(job: &JobDir, options: &JobOptions, record: Option<&JobRecord>) -> Result<(), Failure> {
    let ours = record.is_some() || job.trainer_record().exists();
    if ours || !options.folds.indices().iter().any(|&fold| job.fold(fold).path().exists()) {
        return Ok(());
    }
    let folder = job.path().display();
    let cure = format!("`neurosearch retrain {} OUT_DIR` trains its options anew", job.commandline().display());
    Err(Failure::new(Exit::BadInput, format!("{folder} holds results that neurosearch did not write; {cure}")))
}

/// A job whose folds all have their results; its record may not say so yet, if its starter died.
fn say_finished(job: &JobDir, mut record: JobRecord, out: &mut Out) -> VerbResult {
    if record.state != JobState::Done {
        record.state = JobState::Done;
        record::write(&job.record(), &record)?;
    }
    out.line(format_args!("{}: done already, every fold has its results", job.path().display()))?;
    Ok(Exit::Done)
}

/// The options with everything that training needs; what was missing is recorded.
fn complete(job: &JobDir, mut options: JobOptions) -> Result<(JobOptions, Footprint), Failure> {
    let before = options.clone();
    if options.seed.is_none() {
        let seed = job_folder::new_seed()?;
        out::note(format_args!("{} has no seed; drew {seed}, which it now records", job.commandline().display()));
        options.seed = Some(seed);
    }
    let rights = run_job::rights(job.place().folder().as_ref())?;
    let (options, footprint) = rights.read(|| check::weighed(&options)).map_err(|fault| {
        Failure::new(Exit::BadInput, format!("{}: {}: {}", job.path().display(), fault.class, fault.sentence))
    })?;
    if options != before {
        write_commandline(job, &options)?;
    }
    Ok((options, footprint))
}
