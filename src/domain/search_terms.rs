//! What an accepted search asks for, as its record, the daemon's decisions and `status` all have it.

use super::device::Need;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The terms of one search. Its fields, in this order, are those of `search.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub seed: u64,
    pub n_jobs: u64,
    pub job_prefix: String,
    /// The accepted file as JSON, and the SHA-256 of its text in hexadecimal.
    #[serde(with = "shared")]
    pub space: Arc<Value>,
    pub space_sha256: String,
    /// What the jobs that are still to be drawn will need. Not recorded, since it decides nothing before the file is accepted
    /// again.
    #[serde(skip)]
    pub need: Need,
    pub paused: bool,
    pub priority: i32,
    /// Most jobs at once; none: as many as there are slots.
    pub slots: Option<u32>,
    #[serde(flatten, with = "recorded")]
    pub time_limit: Option<TimeLimit>,
}

/// For how long a search starts new jobs; what runs at its end goes on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeLimit {
    /// As it was asked for.
    pub hours: f64,
    /// Seconds since the Unix epoch.
    pub ends: u64,
}

/// A JSON value that is shared in memory, and written as itself.
mod shared {
    use super::{Arc, Deserialize, Serialize, Value};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Arc<Value>, to: S) -> Result<S::Ok, S::Error> {
        (**value).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Value>, D::Error> {
        Value::deserialize(from).map(Arc::new)
    }
}

/// The time limit in a record: two keys, both null without a limit.
mod recorded {
    use super::{Deserialize, Serialize, TimeLimit};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Keys {
        time_limit_hours: Option<f64>,
        /// Absent in the first records.
        #[serde(default)]
        time_limit_ends: Option<u64>,
    }

    pub fn serialize<S: Serializer>(limit: &Option<TimeLimit>, to: S) -> Result<S::Ok, S::Error> {
        let keys = Keys { time_limit_hours: limit.map(|limit| limit.hours), time_limit_ends: limit.map(|limit| limit.ends) };
        keys.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeLimit>, D::Error> {
        let keys = Keys::deserialize(from)?;
        Ok(keys.time_limit_hours.zip(keys.time_limit_ends).map(|(hours, ends)| TimeLimit { hours, ends }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_is_two_keys_of_the_record_and_one_object_elsewhere() {
        let text = r#"{"seed":7,"n_jobs":2,"job_prefix":"job","space":{"b":1,"a":2},"space_sha256":"00","paused":false,"priority":0,"slots":null,"time_limit_hours":1.5,"time_limit_ends":99}"#;
        let terms: Terms = serde_json::from_str(text).expect("terms");
        assert_eq!(terms.time_limit, Some(TimeLimit { hours: 1.5, ends: 99 }));
        assert_eq!(serde_json::to_string(&terms).expect("written"), text, "byte for byte");
        assert_eq!(serde_json::to_string(&terms.time_limit).expect("written"), r#"{"hours":1.5,"ends":99}"#);
        let without = Terms { time_limit: None, ..terms };
        let text = serde_json::to_string(&without).expect("written");
        assert!(text.ends_with(r#""time_limit_hours":null,"time_limit_ends":null}"#), "{text}");
        assert_eq!(serde_json::from_str::<Terms>(&text).expect("terms"), without);
    }
}
