//! The controller's HTTP API: from requests to the desk and back.

mod admin;
mod document;
mod member;
mod public;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;
use srwan_api::http::ApiError;
use srwan_wire::report::REPORT_OCTETS_MAX;
use tokio::sync::watch;
use tower_http::set_header::SetResponseHeaderLayer;

pub use self::document::openapi_json;
use crate::clock::Clock;
use crate::config::Config;
use crate::desk::{self, Desk};
use crate::keys::Secret;
use crate::limit::{Limiter, Rate};
use crate::listen::Peer;
use crate::problem::{Problem, bad_body, code, too_often};

/// Largest body: a report in base64 with room for its braces.
const BODY_OCTETS_MAX: usize = REPORT_OCTETS_MAX / 3 * 4 + 1_024;

/// Reports of one address: a whole group behind one address, each member reporting every second.
const REPORT_RATE: Rate = Rate { burst: 200, per_minute: 6_000 };

/// Wrong operator's tokens of one address: what a person mistypes, and no more.
const ADMIN_FAILURE_RATE: Rate = Rate { burst: 5, per_minute: 5 };

/// What all requests share.
#[derive(Clone, Debug)]
pub struct App {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None: closed.
    desk: Mutex<Option<Desk>>,
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    clock: Clock,
    config: Config,
    admin: Secret,
    limits: Mutex<Limits>,
}

#[derive(Debug)]
struct Limits {
    join: Limiter,
    report: Limiter,
    admin_failure: Limiter,
}

/// What is dear enough to be limited per address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dear {
    Join,
    Report,
    AdminFailure,
}

impl App {
    /// The state behind the API.
    pub fn new(
        desk: Desk,
        config: Config,
        admin: Secret,
        clock: Clock,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let limits = Mutex::new(Limits {
            join: Limiter::new(config.join_rate),
            report: Limiter::new(REPORT_RATE),
            admin_failure: Limiter::new(ADMIN_FAILURE_RATE),
        });
        let changes = desk.subscribe();
        let desk = Mutex::new(Some(desk));
        let shared = Shared { desk, changes, stopping, clock, config, admin, limits };
        Self { shared: Arc::new(shared) }
    }

    /// Runs something at the desk, on a thread that may wait for the disk.
    async fn at_desk<T: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Desk) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            let mut desk = shared.desk.lock().map_err(|_| desk::broken())?;
            task(desk.as_mut().ok_or_else(desk::closed)?)
        };
        tokio::task::spawn_blocking(run).await.map_err(|_| desk::broken())?
    }

    /// Closes the store, whoever still holds this state: axum's task of a connection drops it after it has
    /// said that the connection is over, and a store that closes later writes its log over its successor's.
    pub async fn close(&self) {
        let shared = Arc::clone(&self.shared);
        let close = move || drop(shared.desk.lock().map(|mut desk| desk.take()));
        if tokio::task::spawn_blocking(close).await.is_err() {
            tracing::warn!("closing the store panicked");
        }
    }

    /// What is due by the clock alone.
    pub async fn tick(&self) {
        if let Err(error) = self.at_desk(Desk::tick).await {
            tracing::warn!(code = error.code, why = error.why, "{}", error.what);
        }
    }

    fn take(&self, what: Dear, address: IpAddr) -> Result<(), ApiError> {
        let mut limits = self.shared.limits.lock().map_err(|_| desk::broken())?;
        let limiter = match what {
            Dear::Join => &mut limits.join,
            Dear::Report => &mut limits.report,
            Dear::AdminFailure => &mut limits.admin_failure,
        };
        limiter.take(address.to_canonical(), Instant::now()).map_err(too_often)
    }
}

/// All paths.
pub fn router(app: App) -> Router {
    let no_store = HeaderValue::from_static("no-store");
    Router::new()
        .route("/v1/join", post(member::join))
        .route("/v1/roster/{group}", get(member::roster))
        .route("/v1/report", post(member::report))
        .route("/v1/status", get(public::status))
        .route("/v1/groups", get(public::groups))
        .route("/v1/routers", get(public::routers))
        .route("/v1/routers/{node}", get(public::router).merge(delete(admin::remove)))
        .route("/v1/routers/{node}/quarantine", post(admin::quarantine))
        .route("/v1/routers/{node}/release", post(admin::release))
        .route("/v1/segments", get(public::segments))
        .route("/v1/history", get(public::history))
        .route("/v1/token", post(admin::token))
        .route("/openapi.json", get(public::openapi))
        .route("/health", get(public::health))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, no_store))
        .with_state(app)
}

async fn no_path() -> Problem {
    Problem(
        ApiError::new(404, code::NO_PATH, "there is no such path")
            .fix("see /openapi.json for the paths that there are"),
    )
}

async fn no_method() -> Problem {
    Problem(
        ApiError::new(405, code::NO_METHOD, "this path does not take that method")
            .fix("see /openapi.json for the methods that it takes"),
    )
}

/// An answer in JSON.
struct Json<T>(T);

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body in JSON whose refusal is a problem document.
struct Body<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let octets = Bytes::from_request(request, state).await.map_err(body_refused)?;
        // A verb that needs no words may come without a body.
        let octets = if octets.is_empty() { b"{}".as_slice() } else { &octets };
        let body = serde_json::from_slice(octets);
        body.map(Self).map_err(|error| Problem(bad_body(error.to_string())))
    }
}

fn body_refused(rejection: BytesRejection) -> Problem {
    if rejection.status().as_u16() == 413 {
        let what = format!("the body has more than {BODY_OCTETS_MAX} octets");
        return Problem(ApiError::new(413, code::BODY_TOO_LONG, what));
    }
    Problem(bad_body(rejection.body_text()))
}

/// Query parameters whose refusal is a problem document.
struct Query<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let query = query.map_err(|error| crate::problem::bad_query(error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// What the path names, whose refusal is a problem document.
struct Path<T>(T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let path = path.map_err(|error| crate::problem::bad_query(error.body_text()))?;
        Ok(Self(path.0))
    }
}

/// The address of whoever asks.
struct PeerAddress(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<Peer>>();
        peer.map(|info| Self(info.0.0.ip())).ok_or_else(|| Problem(desk::broken()))
    }
}

/// What stands after `Bearer` in the request's `Authorization`.
struct Bearer(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        Ok(Self(value.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned)))
    }
}
