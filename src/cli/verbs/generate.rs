//! `neurosearch generate`: draws one job from a launch directory's search space and trains it here and now.

use super::validate;
use crate::check;
use crate::cli::args::{TrainingArguments, index, whole};
use crate::cli::exit::{Exit, Failure, VerbResult};
use crate::cli::flags::FlagArguments;
use crate::cli::output::out::{self, Out};
use crate::cli::run_job::{self, PreparedJob};
use crate::cli::{draw_lock, job_folder};
use crate::domain::input::keys::MANY;
use crate::domain::job::{FailureClass, JobName, JobState};
use crate::domain::network::footprint::Footprint;
use crate::domain::options::JobOptions;
use crate::domain::search_terms::Terms;
use crate::domain::space::SearchSpace;
use crate::domain::space::draw::{Misfit, draw};
use crate::store::fs::error::StoreError;
use crate::store::fs::lock;
use crate::store::records::job_records::{JobRecord, Starter};
use crate::store::records::layout::{JobDir, LaunchDir};
use crate::store::records::list_jobs;
use crate::store::records::search_record::SearchRecord;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Draw one job from a search space and train it, here and now
///
/// The job's folder is LAUNCH_DIR/NAME. No daemon is needed; one that looks after the launch directory leaves the job alone.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory with the random_search.json
    launch_dir: PathBuf,
    /// Name of the new folder in it
    name: String,
    #[command(flatten)]
    flags: FlagArguments,
    #[command(flatten)]
    training: TrainingArguments,
    /// Seed of the search [default: the file's, else a new one, which job.json records]
    #[arg(long, value_parser = whole::<u64>)]
    seed: Option<u64>,
    /// Which of the search's jobs to draw [default: the first that is not used]
    #[arg(long, value_parser = index)]
    index: Option<u64>,
}

pub fn run(args: &Args, out: &mut Out) -> VerbResult {
    let name = JobName::try_from(args.name.clone()).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    let launch = launch(&args.launch_dir)?;
    let job = launch.job(&name);
    if job.path().symlink_metadata().is_ok() {
        return Err(job_folder::exists(&job));
    }
    let space = args.flags.over(validate::accepted(launch.path())?)?;
    let search = SearchRecord::read(&launch)?.map(|search| search.terms);
    refuse_the_daemons_name(&launch, &name, search.as_ref())?;
    let rights = run_job::rights(launch.path())?;
    validate::note_all(&space, rights.read(|| check::space(&space))?);
    let ready = PreparedJob::for_job(space.use_cpu, &args.training)?;
    let seed = args.seed.or(space.own.seed).or(search.as_ref().map(|terms| terms.seed)).map_or_else(job_folder::new_seed, Ok)?;
    let turn = draw_lock::turn(&launch)?;
    let index = match args.index {
        Some(index) => index,
        None => first_unused(&launch, &space.own.job_prefix, search.as_ref())?,
    };
    let mut record = JobRecord {
        index: Some(index),
        search_seed: Some(seed),
        space_sha256: Some(space.origin.sha256.clone()),
        flags: args.flags.given(),
        ..JobRecord::queued(Starter::Command)
    };
    let options = rights.read(|| weighed(&space, seed, index))?;
    let options = fitting(&job, &ready, &mut record, options)?;
    job_folder::make(&job, &options, &record)?;
    drop(turn);
    out::note(format_args!("{}: drawn as job {index} of the search with seed {seed}", job.path().display()));
    run_job::run(ready, &job, &options, record, out)
}

/// The options of a draw and its footprint, or the options that cannot train and why.
type Weighed = Result<(JobOptions, Footprint), (Box<JobOptions>, FailureClass, String)>;

/// The options of the job with this seed and index, held against its data.
fn weighed(space: &SearchSpace, seed: u64, index: u64) -> Result<Weighed, Failure> {
    match draw(space, seed, index) {
        Ok(options) => match check::weighed(&options) {
            // No record of a job that nobody could look at: the same draw may train in a moment.
            Err(fault) if fault.passing => Err(Failure::new(Exit::Failed, fault.sentence)),
            weighed => Ok(weighed.map_err(|fault| (Box::new(options), fault.class, fault.sentence))),
        },
        Err(Misfit { options: Some(options), fault }) => Ok(Err((options, FailureClass::BadOptions, fault.to_string()))),
        Err(Misfit { options: None, fault }) => Err(Failure::new(Exit::BadInput, fault.to_string())),
    }
}

/// The options of a draw that fits its device; its footprint goes into its record. A draw that cannot train leaves its folder as
/// the record of that, as the daemon leaves it.
fn fitting(job: &JobDir, ready: &PreparedJob, record: &mut JobRecord, weighed: Weighed) -> Result<JobOptions, Failure> {
    let fitting = weighed.and_then(|(options, footprint)| {
        record.footprint = Some(footprint);
        match ready.too_large(&footprint) {
            None => Ok(options),
            Some(sentence) => Err((Box::new(options), FailureClass::TooLarge, sentence)),
        }
    });
    fitting.or_else(|(options, class, sentence)| {
        let said = format!("{}: {class}: {sentence}", job.path().display());
        record.state = JobState::Failed { class, sentence };
        job_folder::make(job, &options, record)?;
        Err(Failure::new(Exit::Failed, said))
    })
}

/// The launch directory by its absolute path, which the records of its jobs hold.
fn launch(path: &std::path::Path) -> Result<LaunchDir, Failure> {
    let launch = std::fs::canonicalize(path).map_err(|e| StoreError::io("open", path, e))?;
    Ok(LaunchDir::new(launch))
}

/// A name that a running daemon is about to give to a job of its own.
fn refuse_the_daemons_name(launch: &LaunchDir, name: &JobName, search: Option<&Terms>) -> Result<(), Failure> {
    let Some(search) = search else { return Ok(()) };
    let its_own = name.index(&search.job_prefix).is_some_and(|index| index < search.n_jobs);
    if its_own && lock::is_held(&launch.lock())? {
        let sentence = format!("the running search will itself make {name}; choose a name that is not {}-N", search.job_prefix);
        return Err(Failure::new(Exit::Exists, sentence));
    }
    Ok(())
}

/// The lowest index that no job of the launch directory has, and that no running daemon counts as its search's own.
fn first_unused(launch: &LaunchDir, prefix: &str, search: Option<&Terms>) -> Result<u64, Failure> {
    let mut used = BTreeSet::new();
    for name in list_jobs::jobs(launch)? {
        let recorded = list_jobs::record_of(&launch.job(&name)).ok().flatten().and_then(|record| record.index);
        used.extend(recorded.or_else(|| name.index(prefix)));
    }
    let first = match search {
        Some(search) if lock::is_held(&launch.lock())? => search.n_jobs,
        _ => 0,
    };
    let unused = (first..MANY).find(|index| !used.contains(index));
    unused.ok_or_else(|| Failure::new(Exit::Failed, "every index is used; name one with --index"))
}
