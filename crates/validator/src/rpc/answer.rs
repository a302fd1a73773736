//! Answers: JSON, or a problem document (RFC 9457) with the status that it names.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use srwan_api::http::{ApiError, PROBLEM_JSON};

/// An error answer.
#[derive(Debug)]
pub struct Problem(pub ApiError);

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    }
}

/// A request that cannot be understood.
pub fn bad_request(what: &str, why: impl Into<String>, fix: &str) -> Problem {
    Problem(ApiError::new(400, "SRW-L901", what).why(why).fix(fix))
}

/// Something that is not there.
pub fn not_found(what: impl Into<String>, fix: &str) -> Problem {
    Problem(ApiError::new(404, "SRW-L904", what).fix(fix))
}
