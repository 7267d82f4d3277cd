//! Jobs: their names, the states they pass through, and how a run of one ended.

use super::device::Device;
use super::plain_name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A checked name of a job's folder, as [`plain_name`] allows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobName(Arc<str>);

impl JobName {
    /// Characters of the longest prefix: a dash and the 20 digits of the largest index have to fit behind it.
    pub const LONGEST_PREFIX: usize = plain_name::LONGEST - 21;

    /// The name of the search's own job `index`: `<prefix>-<index>`.
    pub fn numbered(prefix: &str, index: u64) -> Result<Self, BadName> {
        JobName::try_from(format!("{prefix}-{index}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The index of a job of the search with this prefix; none for a job of another name.
    pub fn index(&self, prefix: &str) -> Option<u64> {
        let digits = self.0.strip_prefix(prefix)?.strip_prefix('-')?;
        let index: u64 = digits.parse().ok()?;
        (index.to_string() == digits).then_some(index)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name for a folder here: {rule}", rule = plain_name::rule(plain_name::LONGEST))]
pub struct BadName(pub String);

impl TryFrom<String> for JobName {
    type Error = BadName;

    fn try_from(name: String) -> Result<Self, BadName> {
        if plain_name::is_plain(&name) { Ok(JobName(name.into())) } else { Err(BadName(name)) }
    }
}

impl From<JobName> for String {
    fn from(name: JobName) -> String {
        name.as_str().to_string()
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a job failed; the word stands in `end.json`, `job.json` and `jobs.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Memory ran out while it trained.
    OutOfMemory,
    /// Predicted not to fit the device, so never launched.
    TooLarge,
    /// An image, label file or transfer source that cannot be used.
    BadData,
    /// Options that cannot train.
    BadOptions,
    /// The trainer ended without a word of its own.
    Crashed,
    /// A signal from outside.
    Killed,
    /// No progress for a time derived from the job's own steps.
    Stalled,
    /// It died while nobody watched.
    Lost,
    /// The device failed, or there is none.
    Device,
}

impl FailureClass {
    pub const ALL: &'static [FailureClass] = &[
        FailureClass::OutOfMemory,
        FailureClass::TooLarge,
        FailureClass::BadData,
        FailureClass::BadOptions,
        FailureClass::Crashed,
        FailureClass::Killed,
        FailureClass::Stalled,
        FailureClass::Lost,
        FailureClass::Device,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            FailureClass::OutOfMemory => "out_of_memory",
            FailureClass::TooLarge => "too_large",
            FailureClass::BadData => "bad_data",
            FailureClass::BadOptions => "bad_options",
            FailureClass::Crashed => "crashed",
            FailureClass::Killed => "killed",
            FailureClass::Stalled => "stalled",
            FailureClass::Lost => "lost",
            FailureClass::Device => "device",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a job stands, with the data that belongs to each state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running {
        /// `None` if it is not known, which is written as an empty text.
        #[serde(with = "or_empty")]
        device: Option<Device>,
        /// Seconds since the Unix epoch.
        since: u64,
    },
    Paused,
    Done,
    Cancelled,
    Failed {
        class: FailureClass,
        sentence: String,
    },
}

/// A device that may not be known. It is written as an empty text then, and a text that names no device reads as such.
mod or_empty {
    use crate::domain::device::Device;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(device: &Option<Device>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(device.as_ref().map(Device::as_str).unwrap_or_default())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Device>, D::Error> {
        String::deserialize(from).map(|text| Device::try_from(text).ok())
    }
}

impl JobState {
    pub const fn as_str(&self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running { .. } => "running",
            JobState::Paused => "paused",
            JobState::Done => "done",
            JobState::Cancelled => "cancelled",
            JobState::Failed { .. } => "failed",
        }
    }

    /// Nothing more happens to the job unless somebody asks for it.
    pub const fn is_final(&self) -> bool {
        matches!(self, JobState::Done | JobState::Cancelled | JobState::Failed { .. })
    }

    /// Over without a result: no trainer comes to it any more.
    pub const fn is_given_up(&self) -> bool {
        matches!(self, JobState::Cancelled | JobState::Failed { .. })
    }
}

/// How one run of a trainer ended, in its own words (`end.json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum Ended {
    Done,
    /// Stopped before its end, through no fault of its own; the last epoch is kept, and the job can go on.
    Interrupted {
        /// Why, where nobody had asked it to stop (SIGTERM): the disk did not take a result or give an input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sentence: Option<String>,
    },
    Failed {
        class: FailureClass,
        sentence: String,
    },
}

/// What somebody asked for and is not done yet, recorded so that a new daemon finishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingRequest {
    Pause,
    Cancel,
    Retry,
}

/// Who runs one of the daemon's jobs instead of it: a `neurosearch continue` that began while no daemon was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunElsewhere {
    pub pid: u32,
    pub host: String,
    /// Not on this machine, so that nobody here can tell whether it lives.
    pub away: bool,
}

/// How the last attempt that came to nothing did so, whether or not the job was tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    pub attempt: u32,
    pub class: FailureClass,
    pub sentence: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_or_upset_a_terminal_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", "-x", ".x", "a b", "a\n", "\u{1b}[0m", &"x".repeat(101)] {
            assert!(JobName::try_from(bad.to_string()).is_err(), "{bad:?}");
        }
        for good in ["job-0", "a", "A.b_c-9", &"x".repeat(100)] {
            assert!(JobName::try_from(good.to_string()).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_device_that_is_not_known_is_an_empty_text_in_the_record() {
        for (device, text) in [(None, ""), (Some(Device::Cpu), "cpu")] {
            let state = JobState::Running { device, since: 5 };
            let written = format!(r#"{{"state":"running","device":"{text}","since":5}}"#);
            assert_eq!(serde_json::to_string(&state).expect("written"), written);
            assert_eq!(serde_json::from_str::<JobState>(&written).expect("read"), state);
        }
    }

    #[test]
    fn only_the_plain_decimal_of_an_index_is_an_index() {
        let index = |name: &str| JobName::try_from(name.to_string()).ok().and_then(|n| n.index("job"));
        assert_eq!(index("job-12"), Some(12));
        for other in ["job-012", "job-", "job-1x", "jobs-1", "job-99999999999999999999"] {
            assert_eq!(index(other), None, "{other}");
        }
    }

    #[test]
    fn the_longest_prefix_leaves_room_for_the_largest_index_and_no_more() {
        let longest = "p".repeat(JobName::LONGEST_PREFIX);
        assert!(JobName::numbered(&longest, u64::MAX).is_ok());
        assert!(JobName::numbered(&format!("{longest}p"), u64::MAX).is_err());
    }

    #[test]
    fn a_name_and_a_failure_class_are_written_as_they_read() {
        let name = JobName::numbered("job", 3).expect("a name");
        assert_eq!((name.as_str(), name.to_string(), String::from(name.clone())), ("job-3", "job-3".into(), "job-3".into()));
        assert_eq!(FailureClass::TooLarge.to_string(), "too_large");
    }

    #[test]
    fn each_state_has_its_word_and_says_whether_anything_more_happens() {
        let running = JobState::Running { device: None, since: 0 };
        let failed = JobState::Failed { class: FailureClass::Crashed, sentence: "crash".into() };
        for (state, word, is_final, is_given_up) in [
            (JobState::Queued, "queued", false, false),
            (running, "running", false, false),
            (JobState::Paused, "paused", false, false),
            (JobState::Done, "done", true, false),
            (JobState::Cancelled, "cancelled", true, true),
            (failed, "failed", true, true),
        ] {
            assert_eq!((state.as_str(), state.is_final(), state.is_given_up()), (word, is_final, is_given_up));
            assert_eq!(serde_json::to_value(&state).expect("JSON")["state"], word, "the word in a record");
        }
    }

    /// Every variant named, in a match that does not compile without one of them.
    macro_rules! every {
        ($($variant:ident),*) => {{
            let _ = |class: FailureClass| match class {
                $(FailureClass::$variant => ()),*
            };
            [$(FailureClass::$variant),*]
        }};
    }

    #[test]
    fn the_list_of_failure_classes_leaves_out_none() {
        let every = every!(OutOfMemory, TooLarge, BadData, BadOptions, Crashed, Killed, Stalled, Lost, Device);
        assert_eq!(FailureClass::ALL, every);
        for class in FailureClass::ALL {
            let written = serde_json::to_value(class).expect("JSON");
            assert_eq!(written, class.as_str(), "the word in a record and the word that is shown");
        }
    }
}
