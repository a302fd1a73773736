//! The admin API: HTTP over a unix socket that only the router's own user can open.
//!
//! Handlers ask the node between two packets for a picture of itself and put it into the shapes of `srwan_api::router`.
//! What a user may do is what the file system says: mode 0600, no second authentication.

mod matrix;
mod paths;
mod ping;
mod status;
mod wallet;

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use srwan_api::http::{ApiError, PROBLEM_JSON};
use srwan_api::router as shape;
use srwan_node::Node;
use srwan_node::view::NodeView;
use srwan_wire::id::NodeId;
use srwan_wire::time::Instant;
use tokio::net::UnixListener;

use crate::fault::{self, Fault};
use crate::host;
use crate::names::Names;
use crate::packet_loop::{Handle, Traffic};
use crate::shared::Shared;

/// Name of the socket in the state directory.
pub const SOCKET: &str = "router.sock";

/// No router and no site has this name or address.
const NO_SUCH_DESTINATION: &str = "SRW-P001";
/// The relays are no path to the endpoint.
const NO_SUCH_PATH: &str = "SRW-P002";
/// A number in the request is out of its range.
const OUT_OF_RANGE: &str = "SRW-P003";
/// The router has not joined a group yet.
const NOT_JOINED: &str = "SRW-P004";
/// The router is stopping, or too busy to answer.
const STOPPING: &str = "SRW-P005";

type Answer<T> = Result<Json<T>, Problem>;
type App = State<Arc<Shared>>;

/// An error as an answer (RFC 9457).
pub struct Problem(ApiError);

impl Problem {
    fn new(status: StatusCode, code: &str, what: impl Into<String>, fix: &str) -> Self {
        Self(ApiError::new(status.as_u16(), code, what).fix(fix))
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
        Self(ApiError::new(status, fault.code, fault.what).why(fault.why).fix(fault.fix))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status);
        let mut response =
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(self.0)).into_response();
        let kind = HeaderValue::from_static(PROBLEM_JSON);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// Takes the socket; a socket left behind by a killed router is replaced.
///
/// # Errors
/// `SRW-R005` if the directory cannot be written or its path is too long for a socket (107 octets).
pub fn bind(state_dir: &Path) -> Result<UnixListener, Fault> {
    let path = state_dir.join(SOCKET);
    try_bind(&path).map_err(|error| {
        Fault::new(
            fault::STATE_DIR,
            format!("cannot listen on {}", path.display()),
            error.to_string(),
            "choose a short state_dir that the router's user can write",
        )
    })
}

fn try_bind(path: &PathBuf) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the process ends.
///
/// # Errors
/// The system takes no connections any more.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>) -> io::Result<()> {
    axum::serve(listener, routes(shared)).await
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(status::status))
        .route("/v1/peers", get(status::peers))
        .route("/v1/matrix", get(matrix::matrix))
        .route("/v1/paths", get(paths::paths))
        .route("/v1/why", get(paths::why))
        .route("/v1/pin", post(paths::pin))
        .route("/v1/unpin", post(paths::unpin))
        .route("/v1/ping", post(ping::ping))
        .route("/v1/wallet", get(wallet::wallet))
        .route("/v1/tickets", get(wallet::tickets))
        .route("/v1/events", get(events))
        .route("/v1/host", get(host_changes))
        .route("/v1/drain", post(drain))
        .route("/v1/shutdown", post(shutdown))
        .with_state(shared)
}

/// `?dest=D`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Destination {
    dest: Option<String>,
}

/// `?after=SEQ`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<u64>,
}

async fn events(State(shared): App, Query(query): Query<After>) -> Json<shape::Events> {
    let (events, next) = shared.log.since(query.after.unwrap_or(0));
    Json(shape::Events { schema: "srwan.events/1".into(), events, next })
}

async fn host_changes(State(shared): App) -> Answer<shape::Host> {
    let (state_dir, tun) = (shared.config.state_dir.clone(), shared.config.tun.clone());
    let shown = tokio::task::spawn_blocking(move || host::show(&state_dir)).await;
    let changes = shown.map_err(|_| stopping())??;
    let tun = shape::HostChange {
        kind: "tun".into(),
        what: format!("interface {} with MTU {}, gone when the router ends", tun.name, tun.mtu),
        counters: None,
    };
    let others = changes.into_iter().map(shape::HostChange::from);
    let relay = relay_shown(&shared).await;
    let changes = std::iter::once(tun).chain(relay).chain(others).collect();
    Ok(Json(shape::Host { schema: "srwan.host/1".into(), changes }))
}

/// The XDP relay and what it has carried; `None` if there is none.
async fn relay_shown(shared: &Shared) -> Option<shape::HostChange> {
    let carried = ask(shared, |node, _, _| node.fast_path()).await.ok()??;
    let what = format!(
        "{} relay at {}: {} packets carried, {} dropped, gone when the router ends",
        shared.config.xdp.mode.name(),
        shared.config.xdp.interfaces.join(", "),
        carried.packets,
        carried.dropped
    );
    Some(shape::HostChange { kind: "xdp".into(), what, counters: None })
}

async fn drain(State(shared): App) -> Answer<shape::Status> {
    ask(&shared, |node, now, _| node.drain(now)).await?;
    status::status(State(shared)).await
}

/// The router ends as it does on SIGTERM; the answer is its last status.
async fn shutdown(State(shared): App) -> Answer<shape::Status> {
    let last = status::status(State(Arc::clone(&shared))).await;
    shared.end.notify_one();
    last
}

/// The way to the node, once there is one.
fn node(shared: &Shared) -> Result<&Handle, Problem> {
    shared.node.get().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            NOT_JOINED,
            "the router has not joined a group yet",
            "check that the controller runs and that the join token is right",
        )
    })
}

async fn ask<T: Send + 'static>(
    shared: &Shared,
    call: impl FnOnce(&mut Node, Instant, Traffic) -> T + Send + 'static,
) -> Result<T, Problem> {
    node(shared)?.ask(call).await.map_err(|_| stopping())
}

/// A picture of the node.
async fn view(shared: &Shared) -> Result<NodeView, Problem> {
    ask(shared, |node, now, _| node.view(now)).await
}

fn stopping() -> Problem {
    let fix = "ask again in a moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, STOPPING, "the router does not answer", fix)
}

/// The endpoint that a person means: a router's name or number, or an address behind one.
fn resolve(names: &Names, dest: &str) -> Result<NodeId, Problem> {
    let address = dest.parse().ok().and_then(|address| names.behind(address));
    names.find(dest).or(address.map(|(node, _)| node)).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            NO_SUCH_DESTINATION,
            format!("{dest:?} is no router of the group, and no address behind one"),
            "`srwan status` lists the routers",
        )
    })
}

/// The relays that a person means.
fn resolve_relays(names: &Names, via: &[String]) -> Result<Vec<NodeId>, Problem> {
    via.iter()
        .map(|name| {
            names.find(name).ok_or_else(|| {
                Problem::new(
                    StatusCode::NOT_FOUND,
                    NO_SUCH_PATH,
                    format!("{name:?} is no router of the group"),
                    "`srwan status` lists the routers",
                )
            })
        })
        .collect()
}
