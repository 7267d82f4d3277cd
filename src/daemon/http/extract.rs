//! Reads a request from its query or body, and explains what is wrong with it.

use super::refusal::Refused;
use crate::control;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use std::path::PathBuf;
use std::str::FromStr;

/// The query parameters of one path.
pub trait QueryParams: Sized {
    /// Each parameter, and what its value must be.
    const PARAMETERS: &[(&str, &str)];

    /// # Errors
    /// One sentence that names the parameter and what would be right.
    fn read(given: &QueryPairs) -> Result<Self, String>;
}

/// The given query: only parameters that the path knows, each at most once.
#[derive(Debug)]
pub struct QueryPairs {
    pairs: Vec<(String, String)>,
    known: &'static [(&'static str, &'static str)],
}

impl QueryPairs {
    fn new(pairs: Vec<(String, String)>, known: &'static [(&'static str, &'static str)]) -> Result<Self, String> {
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.iter().any(|(other, _)| name == other) {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(format!("{name:?} is not a parameter of this path; it takes {}", names.join(", ")));
            }
            if pairs[..at].iter().any(|(other, _)| name == other) {
                return Err(format!("{name} is given twice; once is meant"));
            }
        }
        Ok(QueryPairs { pairs, known })
    }

    /// A required path.
    ///
    /// # Errors
    /// If it is missing.
    pub fn path(&self, name: &str) -> Result<PathBuf, String> {
        let missing = || format!("name {} in the query, as ?{name}=PATH", self.meaning(name));
        self.value(name).map(PathBuf::from).ok_or_else(missing)
    }

    /// An optional number.
    ///
    /// # Errors
    /// If the value is not a number.
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
pub struct QueryOf<Q>(pub Q);

impl<Q: QueryParams, S: Send + Sync> FromRequestParts<S> for QueryOf<Q> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|e| Refused::bad(format!("the query cannot be read: {}", e.body_text())))?;
        QueryPairs::new(pairs, Q::PARAMETERS).and_then(|given| Q::read(&given)).map(QueryOf).map_err(Refused::bad)
    }
}

/// The request in the path and the body of a `POST`.
#[derive(Debug)]
pub struct ChangeRequest(pub control::request::Request);

impl<S: Send + Sync> FromRequest<S> for ChangeRequest {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let verb = Path::<String>::from_request_parts(&mut parts, state).await;
        let Path(verb) = verb.map_err(|_| Refused::not_found("the path is not UTF-8; name a verb in it, as /v1/pause"))?;
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let body = body.map_err(|e| match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Refused::too_large("the request is larger than 1 MiB, which no request is"),
            _ => Refused::bad(format!("the body did not arrive: {}", e.body_text())),
        })?;
        control::request::Request::parse(&verb, &body).map(ChangeRequest).map_err(Refused::bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_makes_no_sense_is_told_by_its_parameter_with_what_would_be_right() {
        const KNOWN: &[(&str, &str)] = &[("path", "the folder of a job"), ("attempt", "the number of an attempt, from 1")];
        let given = |pairs: &[(&str, &str)]| {
            QueryPairs::new(pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(), KNOWN)
        };
        let number = |given: &QueryPairs| given.number::<u32>("attempt");
        assert_eq!(given(&[]).and_then(|given| given.path("path")).expect_err("none").as_str(), {
            "name the folder of a job in the query, as ?path=PATH"
        });
        assert_eq!(given(&[]).and_then(|given| number(&given)), Ok(None));
        assert_eq!(given(&[("attempt", "3"), ("path", "/a")]).and_then(|given| number(&given)), Ok(Some(3)));
        for (pairs, words) in [
            (&[("attempt", "last")][..], "attempt: \"last\" is not the number of an attempt, from 1"),
            (&[("attempt", "-1")], "attempt: \"-1\" is not the number"),
            (&[("colour", "red")], "\"colour\" is not a parameter of this path; it takes path, attempt"),
            (&[("path", "/a"), ("path", "/b")], "path is given twice"),
        ] {
            let said = given(pairs).and_then(|given| number(&given)).expect_err("refused");
            assert!(said.contains(words), "{pairs:?}: {said}");
        }
    }
}
