//! What the portal answers when it refuses: one object with code, what, why and fix.
//!
//! Source: RFC 9457 (problem details), with the house's members as extensions.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// One refusal. Each constant of this type is one cause and has a code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// Stable code, `SRW-W...`: W for the web page.
    pub code: &'static str,
    /// What happened.
    pub what: &'static str,
    /// The likely cause.
    pub why: &'static str,
    /// What the person can do.
    pub fix: &'static str,
}

impl Problem {
    /// No session, or it has ended.
    pub const LOGIN: Self = Self {
        status: 401,
        code: "SRW-W001",
        what: "this page needs a login",
        why: "there is no session, or it has ended",
        fix: "run `srwan portal url` on the router and open what it prints",
    };
    /// The token is not the current one.
    pub const TOKEN: Self = Self {
        status: 403,
        code: "SRW-W002",
        what: "this token opens nothing",
        why: "each token opens one session, and the router makes a fresh one after that",
        fix: "run `srwan portal url` on the router again",
    };
    /// Too many wrong tokens.
    pub const ATTEMPTS: Self = Self {
        status: 429,
        code: "SRW-W003",
        what: "too many wrong tokens",
        why: "five wrong tokens a minute are allowed",
        fix: "wait a minute",
    };
    /// The name in `Host` is not allowed.
    pub const HOST: Self = Self {
        status: 421,
        code: "SRW-W004",
        what: "the portal does not answer under this name",
        why: "a foreign name that points here may be an attack (DNS rebinding)",
        fix: "use the address that `srwan portal url` prints, or allow the name",
    };
    /// The request was made by another site.
    pub const ORIGIN: Self = Self {
        status: 403,
        code: "SRW-W005",
        what: "this request comes from another site",
        why: "its Origin or Sec-Fetch-Site header says so",
        fix: "type or paste the address into the browser's address bar",
    };
    /// The token of the session is missing or wrong.
    pub const CSRF: Self = Self {
        status: 403,
        code: "SRW-W006",
        what: "the request does not carry its session's token",
        why: "the header x-srwan-csrf is missing or not the session's",
        fix: "take it from /api/v1/session",
    };
    /// Too many pages are open.
    pub const SOCKETS: Self = Self {
        status: 503,
        code: "SRW-W007",
        what: "too many open pages",
        why: "the portal serves a bounded number of live connections",
        fix: "close a page; this one goes on by polling",
    };
    /// The token file or the system's random numbers failed.
    pub const STORAGE: Self = Self {
        status: 500,
        code: "SRW-W008",
        what: "no session could be opened",
        why: "the next token could not be written; the router's log says why",
        fix: "check the free space and the permissions of state_dir",
    };
    /// There is no such page.
    pub const NOT_FOUND: Self = Self {
        status: 404,
        code: "SRW-W009",
        what: "there is no such page",
        why: "the address is not one of the portal's",
        fix: "start at /",
    };
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
