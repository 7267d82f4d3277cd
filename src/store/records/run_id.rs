//! What runs a trainer, as the executor that started it names it in `trainer.json`.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The kind of executor, and what it knows the run by: written as `{"<kind>": …}`. Only that executor understands the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId {
    kind: String,
    id: Value,
}

impl RunId {
    /// # Errors
    /// When the id cannot be JSON.
    pub fn new(kind: &str, id: &impl Serialize) -> serde_json::Result<Self> {
        Ok(RunId { kind: kind.to_string(), id: serde_json::to_value(id)? })
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The id, where it is of this kind and of this form.
    pub fn id<T: DeserializeOwned>(&self, kind: &str) -> Option<T> {
        if self.kind == kind { T::deserialize(&self.id).ok() } else { None }
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Map::from_iter([(self.kind.clone(), self.id.clone())]).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut named = Map::deserialize(deserializer)?.into_iter();
        match (named.next(), named.next()) {
            (Some((kind, id)), None) => Ok(RunId { kind, id }),
            _ => Err(D::Error::custom("a run is named by exactly one kind of executor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_back_and_only_its_own_executor_understands_its_id() {
        let run = RunId::new("slurm", &("east", 4711)).expect("JSON");
        let text = serde_json::to_string(&run).expect("JSON");
        assert_eq!(text, r#"{"slurm":["east",4711]}"#);
        let read: RunId = serde_json::from_str(&text).expect("a run");
        assert_eq!((read.kind(), read.id("slurm")), ("slurm", Some(("east".to_string(), 4711))));
        assert_eq!((read.id::<Value>("process"), read.id::<u32>("slurm")), (None, None), "another kind, another form");
        for bad in ["{}", r#"{"process": 1, "slurm": 2}"#, "7", "null"] {
            assert!(serde_json::from_str::<RunId>(bad).is_err(), "{bad}");
        }
    }
}
