//! What the operator alone may do.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use srwan_api::controller::{Groups, QuarantineBody, RouterDetail, TokenAnswer, TokenBody};
use srwan_api::http::ApiError;
use srwan_api::rfc3339;
use srwan_wire::id::NodeId;
use srwan_wire::time::Timestamp;

use super::public::{detail_of, groups_of, node_id};
use super::{App, Bearer, Body, Dear, Json, Path, PeerAddress};
use crate::desk::Desk;
use crate::keys::Secret;
use crate::problem::{Problem, bad_body, code};

/// Octets of a reason: a sentence.
const REASON_OCTETS_MAX: usize = 500;

/// Proof that the request carries the operator's token.
pub struct Operator;

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Bearer(token) = Bearer::from_request_parts(parts, app).await?;
        if token.is_some_and(|token| app.shared.admin.is(&token)) {
            return Ok(Self);
        }
        let PeerAddress(address) = PeerAddress::from_request_parts(parts, app).await?;
        app.take(Dear::AdminFailure, address)?;
        Err(Problem(
            ApiError::new(401, code::NOT_ADMIN, "this needs the operator's token")
                .fix("send `Authorization: Bearer TOKEN` with the token in state_dir/admin.token"),
        ))
    }
}

/// Issues a join token.
#[utoipa::path(post, path = "/v1/token", tag = "operator", request_body = TokenBody,
    security(("admin_token" = [])),
    responses(
        (status = 200, description = "The token", body = TokenAnswer),
        (status = "default", description = "Refused: SRW-C113, C140", body = ApiError)))]
pub async fn token(
    _: Operator,
    State(app): State<App>,
    Body(body): Body<TokenBody>,
) -> Result<Json<TokenAnswer>, Problem> {
    let token = Secret::draw()?.to_hex();
    let issued = token.clone();
    let task = move |desk: &mut Desk| {
        desk.change(|exchange, now| {
            let expires = body.ttl_s.map(|seconds| after(now, Duration::from_secs(seconds)));
            exchange.issue_token(&issued, expires).map(|_| expires)
        })
    };
    let expires = app.at_desk(task).await?.map(rfc3339::format);
    Ok(Json(TokenAnswer { schema: "srwan.token/1".into(), token, expires }))
}

/// Keeps a router out of its group's roster.
#[utoipa::path(post, path = "/v1/routers/{node}/quarantine", tag = "operator",
    params(("node" = u32, Path, description = "The router's number")),
    request_body = QuarantineBody, security(("admin_token" = [])),
    responses(
        (status = 200, description = "The router", body = RouterDetail),
        (status = "default", description = "Refused: SRW-C140 to C142", body = ApiError)))]
pub async fn quarantine(
    _: Operator,
    State(app): State<App>,
    Path(node): Path<u32>,
    Body(body): Body<QuarantineBody>,
) -> Result<Json<RouterDetail>, Problem> {
    let (node, reason) = (node_id(node)?, body.reason.trim().to_owned());
    if reason.is_empty() || reason.len() > REASON_OCTETS_MAX {
        let why = format!("a reason has 1 to {REASON_OCTETS_MAX} octets");
        return Err(Problem(bad_body(why)));
    }
    let shown = reason.escape_debug().to_string();
    let task = move |desk: &mut Desk| {
        desk.change(|exchange, now| exchange.quarantine(node, &reason, now))?;
        detail(desk, node)
    };
    let detail = app.at_desk(task).await?;
    tracing::info!(%node, reason = shown, "router quarantined");
    Ok(Json(detail))
}

/// Lets a quarantined router back in.
#[utoipa::path(post, path = "/v1/routers/{node}/release", tag = "operator",
    params(("node" = u32, Path, description = "The router's number")),
    security(("admin_token" = [])),
    responses(
        (status = 200, description = "The router", body = RouterDetail),
        (status = "default", description = "Refused: SRW-C140 to C142", body = ApiError)))]
pub async fn release(
    _: Operator,
    State(app): State<App>,
    Path(node): Path<u32>,
) -> Result<Json<RouterDetail>, Problem> {
    let node = node_id(node)?;
    let task = move |desk: &mut Desk| {
        desk.change(|exchange, now| exchange.release(node, now))?;
        detail(desk, node)
    };
    let detail = app.at_desk(task).await?;
    tracing::info!(%node, "router released");
    Ok(Json(detail))
}

/// Removes a router for good.
#[utoipa::path(delete, path = "/v1/routers/{node}", tag = "operator",
    params(("node" = u32, Path, description = "The router's number")),
    security(("admin_token" = [])),
    responses(
        (status = 200, description = "The groups as they are then", body = Groups),
        (status = "default", description = "Refused: SRW-C140, C141", body = ApiError)))]
pub async fn remove(
    _: Operator,
    State(app): State<App>,
    Path(node): Path<u32>,
) -> Result<Json<Groups>, Problem> {
    let node = node_id(node)?;
    let task = move |desk: &mut Desk| {
        desk.change(|exchange, now| exchange.remove(node, now))?;
        desk.read(|exchange, now| Ok::<_, ApiError>(groups_of(exchange, now)))
    };
    let groups = app.at_desk(task).await?;
    tracing::info!(%node, "router removed");
    Ok(Json(groups))
}

fn detail(desk: &mut Desk, node: NodeId) -> Result<RouterDetail, ApiError> {
    desk.read(|exchange, now| detail_of(exchange, node, now))
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(now.as_nanos().saturating_add(nanos))
}
