//! What the verbs that make a job's folder share: its content, its seed, and the refusal where one is there.

use super::exit::{Exit, Failure};
use super::output::out;
use crate::domain::options::JobOptions;
use crate::executor::local::process_identity;
use crate::store::fs::error::StoreError;
use crate::store::records::create_job::{self, Made, Maker};
use crate::store::records::job_records::{JobRecord, parse_options};
use crate::store::records::layout::JobDir;
use crate::store::records::list_jobs;
use crate::store::system;
use std::path::Path;

/// Makes the folder with its options and its record, complete or not at all.
///
/// # Errors
/// When it is there already, or cannot be written.
pub fn make(job: &JobDir, options: &JobOptions, record: &JobRecord) -> Result<(), Failure> {
    let holder = holder()?;
    let maker = Maker { holder: &holder, lives: &process_identity::may_be_writing };
    match create_job::make_at(job.clone(), &text(job, options)?, record, &maker)? {
        Made::Made(_) => Ok(()),
        Made::NameTaken => Err(exists(job)),
    }
}

/// This process, as the locks that it takes name it.
pub fn holder() -> Result<String, Failure> {
    let unknown = |e| Failure::new(Exit::Failed, format!("cannot tell on which machine this is: {e}"));
    Ok(process_identity::lock_holder(None).map_err(unknown)?.line())
}

fn text(job: &JobDir, options: &JobOptions) -> Result<String, StoreError> {
    let text = serde_json::to_string_pretty(&options.to_json());
    text.map(|text| text + "\n").map_err(|e| StoreError::content(&job.commandline(), format!("cannot be written: {e}")))
}

/// A job's options; what was assumed in reading them, and every key that is not known, goes to stderr.
///
/// # Errors
/// The file cannot be read, or its faults, each on a line of its own.
pub fn read(commandline: &Path) -> Result<JobOptions, Failure> {
    let (options, notices) = parse_options(commandline)??;
    for notice in notices {
        out::note(format_args!("{}: {notice}", commandline.display()));
    }
    Ok(options)
}

/// The refusal of a name that is taken; it names what goes on with a job that is there.
pub fn exists(job: &JobDir) -> Failure {
    let folder = job.path().display();
    let cure = if list_jobs::is_job(job.path()) {
        format!("`neurosearch continue {folder}` goes on with the job in it")
    } else {
        "choose another name".to_string()
    };
    Failure::new(Exit::Exists, format!("{folder} is there already and is not overwritten; {cure}"))
}

/// A new seed for a search or a job that has none.
pub fn new_seed() -> Result<u64, Failure> {
    system::new_seed().map_err(|sentence| Failure::new(Exit::Failed, sentence))
}
