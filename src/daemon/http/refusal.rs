//! Why a request is refused, with its HTTP status.

use crate::control::reply::{Refusal, VERSION};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A refusal with its HTTP status.
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

    /// The request is larger than allowed.
    pub fn too_large(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::PAYLOAD_TOO_LARGE, sentence.into())
    }

    /// This user may not do that.
    pub fn forbidden(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::FORBIDDEN, sentence.into())
    }

    /// The current state does not allow it.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::CONFLICT, sentence.into())
    }

    /// The reason.
    pub fn sentence(&self) -> &str {
        &self.1
    }

    /// Not possible just now.
    pub fn busy(sentence: impl Into<String>) -> Self {
        Refused(StatusCode::SERVICE_UNAVAILABLE, sentence.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Refusal { version: VERSION, error: self.1 })).into_response()
    }
}
