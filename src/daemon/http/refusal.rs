//! Why a request is refused, with the HTTP status that goes with it.

use crate::control::reply::{Refusal, VERSION};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A refusal with the HTTP status that goes with it.
#[derive(Debug)]
pub struct Refused(pub StatusCode, pub String);

impl Refused {
    pub fn not_found(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::NOT_FOUND, sentence.into())
    }

    /// The request makes no sense.
    pub fn bad(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::BAD_REQUEST, sentence.into())
    }

    /// The request is larger than any may be.
    pub fn too_large(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::PAYLOAD_TOO_LARGE, sentence.into())
    }

    /// Whoever asks may not.
    pub fn forbidden(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::FORBIDDEN, sentence.into())
    }

    /// As things stand, it cannot be done.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::CONFLICT, sentence.into())
    }

    /// Why.
    pub fn sentence(&self) -> &str {
        &self.1
    }

    /// Not now.
    pub fn busy(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, sentence.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Refusal { version: VERSION, error: self.1 })).into_response()
    }
}
