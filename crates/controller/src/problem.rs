//! Every refusal as the one error object of srwan: code, what, why, fix.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use srwan_api::http::{ApiError, PROBLEM_JSON};
use srwan_api::rfc3339;
use srwan_ditex::{JoinError, ReportError, RosterError, RouterError, SideFilterError, TokenError};

/// Codes of the controller; they never change meaning.
pub mod code {
    pub const WRONG_CONTROLLER: &str = "SRW-C101";
    pub const BAD_SIGNATURE: &str = "SRW-C102";
    pub const BAD_PROFILE: &str = "SRW-C103";
    pub const TOKEN_MISSING: &str = "SRW-C104";
    pub const TOKEN_UNKNOWN: &str = "SRW-C105";
    pub const TOKEN_USED: &str = "SRW-C106";
    pub const TOKEN_EXPIRED: &str = "SRW-C107";
    pub const KEY_TAKEN: &str = "SRW-C108";
    pub const ADDRESS_TAKEN: &str = "SRW-C109";
    pub const STALE: &str = "SRW-C110";
    pub const QUARANTINED: &str = "SRW-C111";
    pub const FULL: &str = "SRW-C112";
    pub const TOO_MANY_TOKENS: &str = "SRW-C113";
    pub const TOO_OFTEN: &str = "SRW-C114";
    pub const NO_GROUP: &str = "SRW-C120";
    pub const NOT_MEMBER: &str = "SRW-C121";
    pub const BAD_REPORT: &str = "SRW-C130";
    pub const NOT_REPORTER: &str = "SRW-C131";
    pub const STALE_REPORT: &str = "SRW-C132";
    pub const NOT_ADMIN: &str = "SRW-C140";
    pub const NO_ROUTER: &str = "SRW-C141";
    pub const UNCHANGED: &str = "SRW-C142";
    pub const BAD_QUERY: &str = "SRW-C143";
    pub const BAD_BODY: &str = "SRW-C144";
    pub const BODY_TOO_LONG: &str = "SRW-C145";
    pub const NO_PATH: &str = "SRW-C146";
    pub const NO_METHOD: &str = "SRW-C147";
    pub const INTERNAL: &str = "SRW-C150";
    pub const STORE_CORRUPT: &str = "SRW-C201";
    pub const STORE_FULL: &str = "SRW-C202";
    pub const STORE_BUSY: &str = "SRW-C203";
    pub const STORE_FAILED: &str = "SRW-C204";
    pub const STATE_DIR: &str = "SRW-C205";
    pub const KEY_FILE: &str = "SRW-C206";
    pub const LISTEN: &str = "SRW-C207";
    pub const CONFIG_FILE: &str = "SRW-K301";
    pub const CONFIG_SYNTAX: &str = "SRW-K302";
    pub const CONFIG_VALUE: &str = "SRW-K303";
}

/// An [`ApiError`] on its way out.
#[derive(Debug)]
pub struct Problem(pub ApiError);

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        (status, [media_type], body).into_response()
    }
}

/// Shapes an error of the exchange.
pub trait Refusal {
    /// The error object.
    fn refusal(&self) -> ApiError;
}

impl Refusal for ApiError {
    fn refusal(&self) -> ApiError {
        self.clone()
    }
}

impl Refusal for TokenError {
    fn refusal(&self) -> ApiError {
        let (status, code) = match self {
            Self::Unknown => (403, code::TOKEN_UNKNOWN),
            Self::Spent => (403, code::TOKEN_USED),
            Self::Expired => (403, code::TOKEN_EXPIRED),
            Self::TooMany => (507, code::TOO_MANY_TOKENS),
        };
        let fix = match self {
            Self::TooMany => "let routers use the tokens that there are",
            Self::Unknown | Self::Spent | Self::Expired => {
                "ask the operator for a token: `srwan controller token`"
            }
        };
        ApiError::new(status, code, self.to_string()).why("each token lets one router in").fix(fix)
    }
}

impl Refusal for JoinError {
    fn refusal(&self) -> ApiError {
        let what = self.to_string();
        let new = |status, code| ApiError::new(status, code, what.clone());
        match self {
            Self::WrongController(_) => new(409, code::WRONG_CONTROLLER)
                .fix("put this controller's key (`srwan controller key`) under [controller] key"),
            Self::BadSignature => new(403, code::BAD_SIGNATURE)
                .fix("sign the request with the account key that the profile names"),
            Self::Profile(_) => new(422, code::BAD_PROFILE)
                .fix("correct the router's configuration; `srwan config check` shows the line"),
            Self::TokenMissing => new(403, code::TOKEN_MISSING)
                .fix("put a token from `srwan controller token` in [controller] join_token_file"),
            Self::Token(error) => error.refusal(),
            Self::KeyTaken => new(409, code::KEY_TAKEN)
                .why("a node key answers to the account that first registered it")
                .fix("use the router's former account.key, or a new node.key"),
            Self::Taken { .. } => new(409, code::ADDRESS_TAKEN)
                .fix("give the router addresses of its own, or remove the other router first"),
            Self::Stale { last } => new(409, code::STALE)
                .why(format!("the last one was issued at {}", rfc3339::format(*last)))
                .fix("issue the request later than that; check the router's clock")
                .data(serde_json::json!({ "last_issued_ns": last.as_nanos() })),
            Self::Quarantined { .. } => {
                new(403, code::QUARANTINED).fix("ask the operator of the network")
            }
            Self::Full => new(507, code::FULL).fix("join the routers to another controller"),
            Self::Roster(_) => new(500, code::INTERNAL),
        }
    }
}

impl Refusal for RosterError {
    fn refusal(&self) -> ApiError {
        match self {
            Self::NoGroup(_) => ApiError::new(404, code::NO_GROUP, self.to_string())
                .fix("join again: the answer names the group"),
            Self::NotMember => ApiError::new(403, code::NOT_MEMBER, self.to_string())
                .fix("join again: the answer has the member token"),
            Self::Quarantined(_) => ApiError::new(403, code::QUARANTINED, self.to_string())
                .fix("ask the operator of the network"),
        }
    }
}

impl Refusal for ReportError {
    fn refusal(&self) -> ApiError {
        match self {
            Self::Bytes(_) => ApiError::new(422, code::BAD_REPORT, self.to_string()),
            Self::NotMember(..) => ApiError::new(403, code::NOT_REPORTER, self.to_string())
                .fix("report only for the group that the roster lists the reporter in"),
            Self::Stale { last } => ApiError::new(409, code::STALE_REPORT, self.to_string())
                .why(format!("the last one was issued at {}", rfc3339::format(*last)))
                .data(serde_json::json!({ "last_issued_ns": last.as_nanos() })),
        }
    }
}

impl Refusal for RouterError {
    fn refusal(&self) -> ApiError {
        match self {
            Self::Unknown(_) => ApiError::new(404, code::NO_ROUTER, self.to_string())
                .fix("`srwan router list` shows the routers"),
            Self::Unchanged(_) => ApiError::new(409, code::UNCHANGED, self.to_string()),
            Self::Roster(_) => ApiError::new(500, code::INTERNAL, self.to_string()),
        }
    }
}

impl Refusal for SideFilterError {
    fn refusal(&self) -> ApiError {
        bad_query(self.to_string())
    }
}

/// A query parameter cannot be understood.
pub fn bad_query(what: impl Into<String>) -> ApiError {
    ApiError::new(422, code::BAD_QUERY, what).fix("see /openapi.json")
}

/// A body is not what the path takes.
pub fn bad_body(why: impl Into<String>) -> ApiError {
    ApiError::new(400, code::BAD_BODY, "the body is not what this path takes")
        .why(why)
        .fix("see /openapi.json")
}

/// An address asks too often.
pub fn too_often(wait: Duration) -> ApiError {
    ApiError::new(429, code::TOO_OFTEN, "this address asks too often")
        .fix(format!("wait {} ms", wait.as_millis()))
        .data(serde_json::json!({ "retry_after_ms": u64::try_from(wait.as_millis()).ok() }))
}
