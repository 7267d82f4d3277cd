//! Why a job stops before its end: somebody asked, or it failed.

use crate::failure::Failure;
use neurosearch::domain::job::FailureClass;
use neurosearch::store::error::StoreError;

#[derive(Debug)]
pub enum Stop {
    /// SIGTERM or SIGINT; the last epoch is kept.
    Interrupted,
    /// The disk is full, read-only or failing, which is no fault of the job; the last epoch that was written is kept.
    Unwritten(String),
    Failed(Failure),
}

impl Stop {
    pub fn failed(class: FailureClass, sentence: impl Into<String>) -> Self {
        Stop::Failed(Failure::new(class, sentence))
    }

    /// An input of the job cannot be used.
    pub fn input(error: &StoreError) -> Self {
        Stop::failed(FailureClass::BadData, error.to_string())
    }

    /// A result cannot be written: the disk's fault, most often, else that of the job's folder.
    pub fn output(error: &StoreError) -> Self {
        if error.is_of_the_disk() {
            return Stop::Unwritten(format!("a result could not be written: {error}"));
        }
        Stop::failed(FailureClass::Crashed, error.to_string())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<tch::TchError> for Stop {
    fn from(error: tch::TchError) -> Self {
        Stop::Failed(Failure::from(error))
    }
}
