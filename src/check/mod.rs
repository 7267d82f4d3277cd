//! A search space or a job against its data: files there, sizes that fit, classes in every fold, no leaks.

mod data;
mod extracted_tensors;
mod fault;
mod job;
mod missing_data;
mod space;
mod transfer_source;

pub use fault::JobFault;
pub use job::Checker;
pub use missing_data::gone;

use crate::domain::network::footprint::Footprint;
use crate::domain::options::JobOptions;
use crate::domain::space::SearchSpace;
use crate::domain::text::fault::Faults;

/// Whether the space can be searched on the data that it names: what is no fault of them and may be a mistake, a line each.
///
/// # Errors
/// All faults of the file that only its data show. A space of which some draws can train is accepted.
pub fn space(space: &SearchSpace) -> Result<Vec<String>, Faults> {
    space::check(space)
}

/// The size of every image of a job: X, Y, Z. All images have to be there; the first is looked at.
///
/// # Errors
/// Every flaw of the data, each a sentence under the key that names what is at fault.
pub fn volume(options: &JobOptions) -> Result<[usize; 3], Vec<String>> {
    let facts = data::Facts::read(options, data::Look::First);
    facts.map(|facts| facts.volume).map_err(|flaws| flaws.iter().map(|flaw| format!("{}: {}", flaw.key, flaw.sentence)).collect())
}

/// Whether the job can train on the data that it names: its options with the widths of the fully connected layers.
///
/// # Errors
/// The first fault, with the class that the job fails with.
pub fn job(options: &JobOptions) -> Result<JobOptions, JobFault> {
    Checker::default().job(options)
}

/// As [`job()`], with the parameters of its network (of several the largest) and the memory that training it takes.
///
/// # Errors
/// As [`job()`].
pub fn weighed(options: &JobOptions) -> Result<(JobOptions, Footprint), JobFault> {
    Checker::default().weighed(options)
}
