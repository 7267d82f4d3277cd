//! What a request says, taken from its query or its body, with a sentence for whoever got it wrong.

use super::refusal::Refused;
use crate::control::reply::Order;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::Value;
use std::path::PathBuf;
use std::str::FromStr;

/// The fields of an order, and what each is to be.
const FIELDS: [(&str, &str); 11] = [
    ("target", "text, as \"/data/first\" or \"/data/first/job-3\""),
    ("launch", "text, as \"/data/first\""),
    ("job", "text, as \"job-3\""),
    ("set", "an object of texts, as {\"n_jobs\": \"40\"}"),
    ("class", "text, as \"out_of_memory\""),
    ("failed", "true or false"),
    ("device", "text, as \"cpu\" or \"0\""),
    ("commandline", "text, that of a commandline.json"),
    ("file", "text, the name of a file"),
    ("base", "text, as \"/data\""),
    ("stop_trainers", "true or false"),
];

/// What a path's query may say.
pub trait Question: Sized {
    /// Each parameter, and what it is to be.
    const PARAMETERS: &[(&str, &str)];

    /// # Errors
    /// One sentence that names the parameter, and what would be right.
    fn read(given: &Given) -> Result<Self, String>;
}

/// A query as it was given, of parameters that the path knows, each once.
#[derive(Debug)]
pub struct Given {
    pairs: Vec<(String, String)>,
    known: &'static [(&'static str, &'static str)],
}

impl Given {
    fn new(pairs: Vec<(String, String)>, known: &'static [(&'static str, &'static str)]) -> Result<Self, String> {
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.iter().any(|(other, _)| name == other) {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(format!("{name:?} is no parameter of this path; it takes {}", names.join(", ")));
            }
            if pairs[..at].iter().any(|(other, _)| name == other) {
                return Err(format!("{name} is given twice; once is meant"));
            }
        }
        Ok(Given { pairs, known })
    }

    /// A path that the question makes no sense without.
    ///
    /// # Errors
    /// It is not there.
    pub fn path(&self, name: &str) -> Result<PathBuf, String> {
        let missing = || format!("name {} in the query, as ?{name}=PATH", self.meaning(name));
        self.value(name).map(PathBuf::from).ok_or_else(missing)
    }

    /// A number that may be left out.
    ///
    /// # Errors
    /// It is none.
    pub fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{name}: {text:?} is not {}", self.meaning(name)));
        self.value(name).map(number).transpose()
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(other, _)| name == other).map(|(_, value)| value.as_str())
    }

    fn meaning<'a>(&self, name: &'a str) -> &'a str {
        self.known.iter().find(|(other, _)| name == *other).map_or(name, |(_, meaning)| meaning)
    }
}

/// The query of a `GET`.
#[derive(Debug)]
pub struct Asked<Q>(pub Q);

impl<Q: Question, S: Send + Sync> FromRequestParts<S> for Asked<Q> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|e| Refused::bad(format!("the query cannot be read: {}", e.body_text())))?;
        Given::new(pairs, Q::PARAMETERS).and_then(|given| Q::read(&given)).map(Asked).map_err(Refused::bad)
    }
}

/// The verb and the body of a `POST`.
#[derive(Debug)]
pub struct Ordered {
    pub verb: String,
    pub order: Order,
}

impl<S: Send + Sync> FromRequest<S> for Ordered {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let verb = Path::<String>::from_request_parts(&mut parts, state).await;
        let Path(verb) = verb.map_err(|_| Refused::not_found("the path is no UTF-8; name a verb in it, as /v1/pause"))?;
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let body = body.map_err(|e| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::too_large("the request is larger than 1 MiB, which no order is"),
            _ => Refused::bad(format!("the body did not arrive: {}", e.body_text())),
        })?;
        Ok(Ordered { verb, order: order(&body).map_err(Refused::bad)? })
    }
}

/// The order in a body.
///
/// # Errors
/// One sentence: what is wrong, by its field where it is one's, and what would be right.
fn order(body: &[u8]) -> Result<Order, String> {
    const OBJECT: &str = "an order is a JSON object, as {\"target\": \"/data/first\"}, or {} where there is nothing to say";
    let fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return Err(format!("{} is no order; {OBJECT}", shown(&other))),
        Err(e) => return Err(format!("the body is no JSON ({e}); {OBJECT}")),
    };
    for (name, value) in fields {
        let Some((_, meaning)) = FIELDS.iter().find(|(field, _)| name == *field) else {
            let names: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
            return Err(format!("{name:?} is no field of an order; there are {}", names.join(", ")));
        };
        let said = shown(&value);
        serde_json::from_value::<Order>(Value::Object([(name.clone(), value)].into_iter().collect()))
            .map_err(|_| format!("{name}: {said} is not {meaning}"))?;
    }
    // What is left to be wrong is a field that stands twice.
    serde_json::from_slice(body).map_err(|e| format!("{e}; each field is given once"))
}

/// The value as JSON, cut where it is long.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_order_is_told_by_its_field_with_what_would_be_right() {
        let cases = [
            (r#"{"target": 5}"#, "target: 5 is not text, as \"/data/first\""),
            (r#"{"set": {"slots": 4}}"#, "set: {\"slots\":4} is not an object of texts, as {\"n_jobs\": \"40\"}"),
            (r#"{"failed": "yes"}"#, "failed: \"yes\" is not true or false"),
            (r#"{"colour": "red"}"#, "\"colour\" is no field of an order; there are target, launch"),
            (r#"{"target": "/a", "target": "/b"}"#, "each field is given once"),
            (r#"["pause"]"#, "[\"pause\"] is no order; an order is a JSON object"),
            ("", "the body is no JSON (EOF while parsing"),
            ("{", "an order is a JSON object"),
        ];
        for (body, words) in cases {
            let said = order(body.as_bytes()).expect_err(body);
            assert!(said.contains(words) && !said.contains("expected a"), "{body}: {said}");
        }
        let long = format!(r#"{{"target": [{}1]}}"#, "1,".repeat(1000));
        assert!(order(long.as_bytes()).expect_err("no text").len() < 200);
        assert_eq!(order(b"{}"), Ok(Order::default()));
        let target = Some("/data/first".to_string());
        assert_eq!(order(br#"{"target": "/data/first", "job": null}"#), Ok(Order { target, ..Order::default() }));
    }

    #[test]
    fn every_field_of_an_order_is_told_what_it_is_to_be() {
        let text = || Some("a".to_string());
        let whole = Order {
            target: text(),
            launch: text(),
            job: text(),
            set: [("a".to_string(), "b".to_string())].into(),
            class: text(),
            failed: true,
            device: text(),
            commandline: text(),
            file: text(),
            base: text(),
            stop_trainers: true,
        };
        let body = serde_json::to_value(&whole).expect("JSON");
        let fields = body.as_object().expect("an object");
        assert!(fields.len() == FIELDS.len() && FIELDS.iter().all(|(name, _)| fields.contains_key(*name)), "{fields:?}");
        assert_eq!(order(body.to_string().as_bytes()), Ok(whole));
    }

    #[test]
    fn a_query_that_makes_no_sense_is_told_by_its_parameter_with_what_would_be_right() {
        const KNOWN: &[(&str, &str)] = &[("path", "the folder of a job"), ("attempt", "the number of an attempt, from 1")];
        let given = |pairs: &[(&str, &str)]| {
            Given::new(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), KNOWN)
        };
        let number = |given: &Given| given.number::<u32>("attempt");
        assert_eq!(given(&[]).and_then(|given| given.path("path")).expect_err("none").as_str(), {
            "name the folder of a job in the query, as ?path=PATH"
        });
        assert_eq!(given(&[]).and_then(|given| number(&given)), Ok(None));
        assert_eq!(given(&[("attempt", "3"), ("path", "/a")]).and_then(|given| number(&given)), Ok(Some(3)));
        for (pairs, words) in [
            (&[("attempt", "last")][..], "attempt: \"last\" is not the number of an attempt, from 1"),
            (&[("attempt", "-1")], "attempt: \"-1\" is not the number"),
            (&[("colour", "red")], "\"colour\" is no parameter of this path; it takes path, attempt"),
            (&[("path", "/a"), ("path", "/b")], "path is given twice"),
        ] {
            let said = given(pairs).and_then(|given| number(&given)).expect_err("refused");
            assert!(said.contains(words), "{pairs:?}: {said}");
        }
    }
}
