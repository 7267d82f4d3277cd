//! Why a job cannot train: the option at fault, what was found, and what is allowed.

use super::data::Flaw;
use crate::domain::job::FailureClass;
use crate::domain::space::draw::Misfit;
use crate::domain::text::fault::Fault;
use std::path::PathBuf;

/// Why a job cannot train.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct JobFault {
    /// `bad_data` or `bad_options`; `crashed` where the data could not be read, through no fault of theirs.
    pub class: FailureClass,
    /// The option at fault, or the one that names the data at fault, then what was found and what is allowed.
    pub sentence: String,
    /// The option alone.
    pub key: String,
    /// The disk that the data are on fails or is out of reach, or the like, which may pass.
    pub passing: bool,
    /// The file that the disk did not give.
    pub file: Option<PathBuf>,
    /// The sentence without the option.
    pub(super) clause: String,
}

impl JobFault {
    pub(super) fn new(class: FailureClass, key: &str, clause: String) -> Self {
        JobFault { class, sentence: format!("{key}: {clause}"), key: key.to_string(), passing: false, file: None, clause }
    }

    pub(super) fn data(key: &str, clause: impl Into<String>) -> Self {
        JobFault::new(FailureClass::BadData, key, clause.into())
    }

    pub(super) fn options(key: &str, clause: impl Into<String>) -> Self {
        JobFault::new(FailureClass::BadOptions, key, clause.into())
    }
}

impl From<Flaw> for JobFault {
    fn from(Flaw { key, sentence, passing, file }: Flaw) -> Self {
        let class = if passing { FailureClass::Crashed } else { FailureClass::BadData };
        JobFault { passing, file, ..JobFault::new(class, key, sentence) }
    }
}

impl From<Misfit> for JobFault {
    fn from(misfit: Misfit) -> Self {
        misfit.fault.into()
    }
}

impl From<Fault> for JobFault {
    fn from(fault: Fault) -> Self {
        JobFault::options(&fault.key, fault.sentence)
    }
}
