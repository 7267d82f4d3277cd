//! The requests for changes: `POST /v1/{verb}` with a JSON object, one struct for each verb.

use super::reply::VERSION;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The type of a field. A field means the same in every verb that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldKind {
    Text,
    Flag,
    Texts,
}

/// Every field of any verb: its name, what it holds, and what that looks like.
const FIELDS: &[(&str, FieldKind, &str)] = &[
    ("target", FieldKind::Text, "text, as \"/data/first\" or \"/data/first/job-3\""),
    ("launch", FieldKind::Text, "text, as \"/data/first\""),
    ("job", FieldKind::Text, "text, as \"job-3\""),
    ("set", FieldKind::Texts, "an object of texts, as {\"n_jobs\": \"40\"}"),
    ("class", FieldKind::Text, "text, as \"out_of_memory\""),
    ("failed", FieldKind::Flag, "true or false"),
    ("device", FieldKind::Text, "text, as \"cpu\" or \"0\""),
    ("commandline", FieldKind::Text, "text, that of a commandline.json"),
    ("file", FieldKind::Text, "text, the name of a file"),
    ("base", FieldKind::Text, "text, as \"/data\""),
    ("stop_trainers", FieldKind::Flag, "true or false"),
];

/// Defines the verbs in one table: a struct for each, the enum of all, and the conversions.
macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident = $verb:literal { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(default)]
            pub struct $name {
                $($(#[$field_doc])* #[serde(skip_serializing_if = "is_default")] pub $field: $type,)*
            }

            impl From<$name> for Request {
                fn from(request: $name) -> Request {
                    Request::$name(request)
                }
            }
        )+

        /// A request for a change, whatever its verb.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[serde(untagged)]
        pub enum Request {
            $($name($name),)+
        }

        impl Request {
            /// Every verb, with the fields that it reads.
            pub const VERBS: &'static [(&'static str, &'static [&'static str])] =
                &[$(($verb, &[$(stringify!($field)),*])),+];

            /// The last part of the request's path.
            pub const fn verb(&self) -> &'static str {
                match self {
                    $(Request::$name(_) => $verb,)+
                }
            }

            fn of(verb: &str, fields: Map<String, Value>) -> Result<Request, String> {
                match verb {
                    $($verb => read::<$name>(fields).map(Request::$name),)+
                    _ => Err(unknown(verb)),
                }
            }
        }
    };
}

requests! {
    /// Keeps a search from starting jobs. A job keeps its last epoch, stops, and frees its slot.
    Pause = "pause" { target: Option<String>, launch: Option<String>, job: Option<String> }
    /// Continues a search or a job. Without a target, continues a drained machine.
    Resume = "resume" { target: Option<String>, launch: Option<String>, job: Option<String> }
    /// Gives up a job, or every unfinished job of a search.
    Cancel = "cancel" { target: Option<String>, launch: Option<String>, job: Option<String> }
    /// Runs a job again, or a search's failed jobs.
    Retry = "retry" {
        target: Option<String>,
        launch: Option<String>,
        job: Option<String>,
        /// All failed jobs of a search. A launch directory means these anyway. Refused for one job.
        failed: bool,
        /// Only failures of this class.
        class: Option<String>,
    }
    /// Changes the terms of a search.
    Set = "set" {
        target: Option<String>,
        launch: Option<String>,
        job: Option<String>,
        /// `n_jobs`, `priority`, `slots` (or `all`), `time_limit_hours` (or `none`).
        set: BTreeMap<String, String>,
    }
    /// Adds a job chosen by the user to a search.
    Enqueue = "enqueue" {
        target: Option<String>,
        launch: Option<String>,
        /// The text of a `commandline.json`.
        commandline: Option<String>,
        /// The name of that text in faults.
        file: Option<String>,
        /// The base directory of its relative paths.
        base: Option<String>,
    }
    /// Starts nothing new on a device, or without one on the machine.
    Drain = "drain" {
        /// `cpu`, a GPU's number, or the beginning of its UUID or model.
        device: Option<String>,
    }
    /// Puts a drained device back into use.
    Restore = "restore" { device: Option<String> }
    /// Watches a directory until the daemon ends.
    Add = "add" { target: Option<String>, launch: Option<String> }
    /// Stops watching a directory.
    Remove = "remove" { target: Option<String>, launch: Option<String> }
    /// Reads the configuration again, and scans everything.
    Reload = "reload" {}
    /// Ends the daemon. Its trainers continue.
    Shutdown = "shutdown" {
        /// The trainers stop too.
        stop_trainers: bool,
    }
}

/// The subject of a request: an absolute path in `target`, or a launch directory in `launch` with an optional job's name in
/// `job`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSubject<'a> {
    pub target: Option<&'a str>,
    pub launch: Option<&'a str>,
    pub job: Option<&'a str>,
}

macro_rules! about_a_search_or_job {
    ($($name:ident),+) => {
        $(impl $name {
            /// What it is about.
            pub fn subject(&self) -> RequestSubject<'_> {
                let Self { target, launch, job, .. } = self;
                RequestSubject { target: target.as_deref(), launch: launch.as_deref(), job: job.as_deref() }
            }
        })+
    };
}

about_a_search_or_job!(Pause, Resume, Cancel, Retry, Set);

macro_rules! about_a_directory {
    ($($name:ident),+) => {
        $(impl $name {
            /// What it is about.
            pub fn subject(&self) -> RequestSubject<'_> {
                RequestSubject { target: self.target.as_deref(), launch: self.launch.as_deref(), job: None }
            }
        })+
    };
}

about_a_directory!(Enqueue, Add, Remove);

impl Request {
    /// The request in the body of `POST /v1/{verb}`.
    ///
    /// # Errors
    /// One sentence: what is wrong, with the field if one is at fault, and what would be right.
    pub fn parse(verb: &str, body: &[u8]) -> Result<Self, String> {
        let (_, read) = Self::VERBS.iter().find(|(known, _)| *known == verb).ok_or_else(|| unknown(verb))?;
        let mut fields = Map::new();
        for (name, value) in object(body)? {
            check(&name, &value)?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(format!("{name} is given twice; each field is given once"));
            }
        }
        // A client may send every field each time. One that says nothing asks for nothing.
        fields.retain(|_, value| !says_nothing(value));
        if let Some(unread) = fields.keys().find(|name| !read.contains(&name.as_str())) {
            return Err(match read.is_empty() {
                true => format!("{verb} takes no field, and {unread:?} was given"),
                false => format!("{verb} does not read {unread:?}; it reads {}", read.join(", ")),
            });
        }
        Self::of(verb, fields)
    }

    /// The request as text for the log: `target /data/first, set n_jobs=40 slots=2`.
    pub fn in_words(&self) -> String {
        let fields = serde_json::to_value(self).unwrap_or_default();
        let words = fields.as_object().into_iter().flatten().map(|(name, value)| match value {
            // The text of a file would fill the log.
            Value::String(text) if name == "commandline" => format!("commandline of {} bytes", text.len()),
            Value::String(text) => format!("{name} {text}"),
            Value::Object(set) => {
                let pairs = set.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
                format!("{name} {}", pairs.collect::<Vec<_>>().join(" "))
            }
            _ => name.clone(),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

impl FieldKind {
    fn holds(self, value: &Value) -> bool {
        match self {
            FieldKind::Text => value.is_string() || value.is_null(),
            FieldKind::Flag => value.is_boolean(),
            FieldKind::Texts => value.as_object().is_some_and(|object| object.values().all(Value::is_string)),
        }
    }
}

/// Refuses a field that no verb has, and a value that the field cannot hold.
fn check(name: &str, value: &Value) -> Result<(), String> {
    let known = FIELDS.iter().find(|(field, ..)| name == *field);
    let (_, kind, meaning) = known.ok_or_else(|| {
        let names: Vec<&str> = FIELDS.iter().map(|(field, ..)| *field).collect();
        format!("unknown field {name:?}; a request may have {}", names.join(", "))
    })?;
    if kind.holds(value) { Ok(()) } else { Err(format!("{name}: {} is not {meaning}", shown(value))) }
}

/// Whether the field might as well be left out.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Object(texts) => texts.is_empty(),
        _ => false,
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn unknown(verb: &str) -> String {
    let known: Vec<&str> = Request::VERBS.iter().map(|(verb, _)| *verb).collect();
    format!("{verb:?} is not a change that version {VERSION} knows: {}", known.join(", "))
}

/// Converts the fields into the struct. They were checked before.
fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(fields)).map_err(|e| e.to_string())
}

/// The members of the object in a body, in order, duplicates included.
fn object(body: &[u8]) -> Result<Vec<(String, Value)>, String> {
    const OBJECT: &str = "a request is a JSON object, as {\"target\": \"/data/first\"}, or {} where there is nothing to say";
    serde_json::from_slice::<ObjectMembers>(body).map(|members| members.0).map_err(|error| {
        match serde_json::from_slice::<Value>(body) {
            Ok(other) => format!("{} is not a request; {OBJECT}", shown(&other)),
            Err(_) => format!("the body is not valid JSON ({error}); {OBJECT}"),
        }
    })
}

/// An object whose members may stand in it twice, for a sentence about those that do.
struct ObjectMembers(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for ObjectMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = ObjectMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectMembers, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ObjectMembers(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The value as JSON, cut if it is long.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn text(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    #[test]
    fn a_body_that_is_not_a_request_is_refused_by_its_field_with_the_cure() {
        let cases = [
            (r#"{"target": 5}"#, "target: 5 is not text, as \"/data/first\""),
            (r#"{"set": {"slots": 4}}"#, "set: {\"slots\":4} is not an object of texts, as {\"n_jobs\": \"40\"}"),
            (r#"{"failed": "yes"}"#, "failed: \"yes\" is not true or false"),
            (r#"{"failed": null}"#, "failed: null is not true or false"),
            (r#"{"colour": "red"}"#, "unknown field \"colour\"; a request may have target, launch"),
            (r#"{"target": "/a", "target": "/b"}"#, "each field is given once"),
            (r#"{"target": null, "target": "/b"}"#, "each field is given once"),
            (r#"["pause"]"#, "[\"pause\"] is not a request; a request is a JSON object"),
            ("", "the body is not valid JSON (EOF while parsing"),
            ("{", "a request is a JSON object"),
        ];
        for (body, words) in cases {
            let said = Request::parse("retry", body.as_bytes()).expect_err(body);
            assert!(said.contains(words) && !said.contains("expected a"), "{body}: {said}");
        }
        let long = format!(r#"{{"target": [{}1]}}"#, "1,".repeat(1000));
        assert!(Request::parse("pause", long.as_bytes()).expect_err("no text").len() < 200);
        let target = text("/data/first");
        let body = br#"{"target": "/data/first", "job": null}"#;
        assert_eq!(Request::parse("pause", body), Ok(Pause { target, ..Pause::default() }.into()));
    }

    #[test]
    fn every_verb_reads_the_fields_of_its_struct_and_refuses_all_others() {
        let sample = |kind| match kind {
            FieldKind::Text => Value::from("a"),
            FieldKind::Flag => Value::from(true),
            FieldKind::Texts => serde_json::json!({"a": "b"}),
        };
        for (verb, read) in Request::VERBS {
            for (field, kind, _) in FIELDS {
                let body = serde_json::json!({ *field: sample(*kind) }).to_string();
                match Request::parse(verb, body.as_bytes()) {
                    Ok(request) => {
                        assert!(read.contains(field), "{verb} reads {field}");
                        assert_eq!(request.verb(), *verb);
                        assert_eq!(serde_json::to_string(&request).expect("JSON").replace(' ', ""), body.replace(' ', ""));
                    }
                    Err(said) => assert!(!read.contains(field) && said.contains(&format!("{field:?}")), "{verb}: {said}"),
                }
            }
        }
        let known: BTreeSet<&str> = FIELDS.iter().map(|(field, ..)| *field).collect();
        let read: BTreeSet<&str> = Request::VERBS.iter().flat_map(|(_, read)| *read).copied().collect();
        assert_eq!(known, read);
        let said = Request::parse("reload", br#"{"target": "/a"}"#).expect_err("no field");
        assert_eq!(said, "reload takes no field, and \"target\" was given");
    }

    #[test]
    fn a_field_that_says_nothing_may_be_sent_with_every_verb() {
        let every = r#"{"target": null, "launch": null, "job": null, "set": {}, "class": null, "failed": false, "device": null,
            "commandline": null, "file": null, "base": null, "stop_trainers": false}"#;
        assert!(FIELDS.iter().all(|(field, ..)| every.contains(&format!("{field:?}"))), "every field is here");
        for (verb, _) in Request::VERBS {
            assert_eq!(Request::parse(verb, every.as_bytes()), Request::parse(verb, b"{}"), "{verb}");
        }
    }

    #[test]
    fn a_verb_that_nobody_knows_is_refused_with_those_there_are() {
        for verb in ["stop", "", "PAUSE", "../pause"] {
            let said = Request::parse(verb, b"{}").expect_err(verb);
            assert!(said.contains("pause, resume, cancel") && said.contains("shutdown"), "{said}");
        }
    }

    #[test]
    fn the_log_has_what_a_request_says_and_nothing_that_it_does_not() {
        let set = [("slots", "2"), ("n_jobs", "40")].map(|(key, value)| (key.to_string(), value.to_string()));
        let request = Request::from(Set { target: text("/data/first"), set: set.into(), ..Set::default() });
        assert_eq!(request.in_words(), "target /data/first, set n_jobs=40 slots=2");
        let request = Request::from(Enqueue { commandline: text("{}"), ..Enqueue::default() });
        assert_eq!(request.in_words(), "commandline of 2 bytes");
        assert_eq!(Request::from(Shutdown { stop_trainers: true }).in_words(), "stop_trainers");
        assert_eq!(Request::from(Reload {}).in_words(), "");
    }
}
