//! `neurosearch retrain`: trains the options of a `commandline.json`, ours or the reference's, anew.

use crate::check;
use crate::cli::args::TrainingArguments;
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::output::out::{self, Out};
use crate::cli::run_job::{self, PreparedJob};
use crate::cli::{job_folder, path_kind};
use crate::domain::job::FailureClass;
use crate::store::fs::error::StoreError;
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::JobDir;
use std::path::{Path, PathBuf};

/// Train the options of a commandline.json anew
///
/// The file is taken literally, nothing is sampled. It may come from a job of ours or of ClinicaDL's.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The options, as a job's folder holds them
    commandline_json: PathBuf,
    /// The new folder for the results
    out_dir: PathBuf,
    #[command(flatten)]
    training: TrainingArguments,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let job = target(&args.out_dir)?;
    path_kind::options_file(&args.commandline_json)?;
    let mut options = job_folder::read(&args.commandline_json)?;
    if options.seed.is_none() {
        let seed = job_folder::new_seed()?;
        options.seed = Some(seed);
        out::note(format_args!("the file has no seed; drew {seed}, which {} records", job.commandline().display()));
    }
    let rights = run_job::rights(job.place().folder().as_ref())?;
    let (options, footprint) = rights.read(|| check::weighed(&options)).map_err(|fault| {
        Failure::new(Exit::BadInput, format!("{}: {}: {}", args.commandline_json.display(), fault.class, fault.sentence))
    })?;
    let ready = PreparedJob::for_job(options.use_cpu, &args.training)?;
    if let Some(sentence) = ready.too_large(&footprint) {
        let file = args.commandline_json.display();
        return Err(Failure::new(Exit::Failed, format!("{file}: {}: {sentence}", FailureClass::TooLarge)));
    }
    let record = JobRecord { footprint: Some(footprint), ..JobRecord::queued(Starter::Command) };
    job_folder::make(&job, &options, &record)?;
    run_job::run(ready, &job, &options, record, out)
}

/// The folder to make: its parent is there, and it is not, unless as an empty folder.
fn target(path: &Path) -> Result<JobDir, Failure> {
    let absolute = std::path::absolute(path).map_err(|e| StoreError::io("find", path, e))?;
    let job = JobDir::new(absolute);
    match std::fs::read_dir(job.path()) {
        Ok(mut entries) => match entries.next() {
            None => Ok(job),
            Some(_) => Err(job_folder::exists(&job)),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => parent_is_there(job),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Err(job_folder::exists(&job)),
        Err(e) => Err(StoreError::io("list", job.path(), e).into()),
    }
}

fn parent_is_there(job: JobDir) -> Result<JobDir, Failure> {
    match job.path().parent() {
        Some(parent) if parent.is_dir() => Ok(job),
        parent => {
            let parent = parent.unwrap_or(Path::new("/")).display();
            Err(Failure::new(Exit::NotFound, format!("{parent} is not a directory; make it first, with `mkdir -p {parent}`")))
        }
    }
}
