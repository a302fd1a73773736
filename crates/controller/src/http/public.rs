//! What everybody may ask.

use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use srwan_api::controller::{
    Group, Groups, History, HistoryHour, Router, RouterDetail, Routers, Segment, Segments, Status,
};
use srwan_api::http::ApiError;
use srwan_api::rfc3339;
use srwan_ditex::{
    Exchange, Health, RouterError, SEGMENTS_PER_ANSWER_MAX, SegmentQuery, SideFilterError,
};
use srwan_wire::id::NodeId;
use srwan_wire::time::Timestamp;

use super::{App, Json, Path, Query};
use crate::problem::{Problem, code};

/// Nanoseconds of an hour.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Shows the controller at one look.
#[utoipa::path(get, path = "/v1/status", tag = "public", responses(
    (status = 200, description = "The controller", body = Status),
    (status = "default", description = "The store cannot be read", body = ApiError)))]
pub async fn status(State(app): State<App>) -> Result<Json<Status>, Problem> {
    let shared = std::sync::Arc::clone(&app.shared);
    let task = move |desk: &mut crate::desk::Desk| {
        desk.read(|exchange, now| Ok::<_, ApiError>(status_of(exchange, now)))
    };
    let status = app.at_desk(task).await?;
    Ok(Json(Status {
        uptime_s: shared.clock.uptime().as_secs(),
        ledger_url: shared.config.ledger_url.clone(),
        chain_id: shared.config.chain_id.clone(),
        ..status
    }))
}

fn status_of(exchange: &Exchange, now: Timestamp) -> Status {
    let up = exchange.routers(now).filter(|view| view.health == Health::Up).count();
    let quarantined = exchange.routers(now).filter(|view| view.record.quarantine.is_some());
    let interval = exchange.config().pulse_interval;
    Status {
        schema: "srwan.controller.status/1".into(),
        time: rfc3339::format(now),
        version: env!("CARGO_PKG_VERSION").into(),
        controller_key: exchange.controller_key().to_string(),
        uptime_s: 0,
        groups: exchange.groups(now).count(),
        routers: exchange.routers(now).count(),
        routers_up: up,
        quarantined: quarantined.count(),
        segments: exchange.segments(&SegmentQuery::default(), now).len(),
        open_tokens: exchange.open_tokens(now),
        pulse_interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        ledger_url: None,
        chain_id: None,
    }
}

/// Lists the groups.
#[utoipa::path(get, path = "/v1/groups", tag = "public", responses(
    (status = 200, description = "All groups", body = Groups),
    (status = "default", description = "The store cannot be read", body = ApiError)))]
pub async fn groups(State(app): State<App>) -> Result<Json<Groups>, Problem> {
    let task = |desk: &mut crate::desk::Desk| {
        desk.read(|exchange, now| Ok::<_, ApiError>(groups_of(exchange, now)))
    };
    Ok(Json(app.at_desk(task).await?))
}

/// All groups as JSON.
pub fn groups_of(exchange: &Exchange, now: Timestamp) -> Groups {
    Groups {
        schema: "srwan.groups/1".into(),
        time: rfc3339::format(now),
        groups: exchange.groups(now).map(Group::from).collect(),
    }
}

/// Lists the routers.
#[utoipa::path(get, path = "/v1/routers", tag = "public", responses(
    (status = 200, description = "All routers", body = Routers),
    (status = "default", description = "The store cannot be read", body = ApiError)))]
pub async fn routers(State(app): State<App>) -> Result<Json<Routers>, Problem> {
    let task = |desk: &mut crate::desk::Desk| {
        desk.read(|exchange, now| {
            let routers = exchange.routers(now).map(Router::from).collect();
            let (schema, time) = ("srwan.routers/1".into(), rfc3339::format(now));
            Ok::<_, ApiError>(Routers { schema, time, routers })
        })
    };
    Ok(Json(app.at_desk(task).await?))
}

/// Shows one router with what is held for and against it.
#[utoipa::path(get, path = "/v1/routers/{node}", tag = "public",
    params(("node" = u32, Path, description = "The router's number")),
    responses(
        (status = 200, description = "The router", body = RouterDetail),
        (status = "default", description = "Refused: SRW-C141", body = ApiError)))]
pub async fn router(
    State(app): State<App>,
    Path(node): Path<u32>,
) -> Result<Json<RouterDetail>, Problem> {
    let node = node_id(node)?;
    let task = move |desk: &mut crate::desk::Desk| desk.read(|e, now| detail_of(e, node, now));
    Ok(Json(app.at_desk(task).await?))
}

/// One router as JSON.
pub fn detail_of(
    exchange: &Exchange,
    node: NodeId,
    now: Timestamp,
) -> Result<RouterDetail, RouterError> {
    let view = exchange.router(node, now).ok_or(RouterError::Unknown(node))?;
    Ok(RouterDetail::new(view, now))
}

/// A number that can be a router's.
pub fn node_id(raw: u32) -> Result<NodeId, ApiError> {
    NodeId::new(raw).ok_or_else(|| {
        ApiError::new(404, code::NO_ROUTER, format!("no router can have the number {raw}"))
            .fix("`srwan router list` shows the routers")
    })
}

/// What a segment query may say.
#[derive(Debug, Deserialize)]
pub struct SegmentsQuery {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    age_max_s: Option<u64>,
}

/// Queries the segment database.
#[utoipa::path(get, path = "/v1/segments", tag = "public",
    params(
        ("from" = Option<String>, Query,
            description = "A-side: node:N, asn:N, city:NAME, country:XX, or a name"),
        ("to" = Option<String>, Query, description = "Z-side, likewise"),
        ("age_max_s" = Option<u64>, Query, description = "Leaves out older figures")),
    responses(
        (status = 200, description = "The segments", body = Segments),
        (status = "default", description = "Refused: SRW-C143", body = ApiError)))]
pub async fn segments(
    State(app): State<App>,
    Query(query): Query<SegmentsQuery>,
) -> Result<Json<Segments>, Problem> {
    let refused = |error: SideFilterError| crate::problem::Refusal::refusal(&error);
    let query = SegmentQuery {
        from: query.from.parse().map_err(refused)?,
        to: query.to.parse().map_err(refused)?,
        age_max: query.age_max_s.map(Duration::from_secs),
    };
    let task = move |desk: &mut crate::desk::Desk| {
        desk.read(|exchange, now| {
            let segments = exchange.segments(&query, now);
            Ok::<_, ApiError>(Segments {
                schema: "srwan.segments/1".into(),
                time: rfc3339::format(now),
                truncated: segments.len() == SEGMENTS_PER_ANSWER_MAX,
                segments: segments.iter().map(Segment::from).collect(),
            })
        })
    };
    Ok(Json(app.at_desk(task).await?))
}

/// What a history query has to say.
#[derive(Debug, Deserialize)]
pub struct HistoryQuery {
    from: u32,
    to: u32,
}

/// Shows how a segment was, hour by hour.
#[utoipa::path(get, path = "/v1/history", tag = "public",
    params(
        ("from" = u32, Query, description = "A-side's number"),
        ("to" = u32, Query, description = "Z-side's number")),
    responses(
        (status = 200, description = "At most 48 hours", body = History),
        (status = "default", description = "Refused: SRW-C143", body = ApiError)))]
pub async fn history(
    State(app): State<App>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<History>, Problem> {
    let (from, to) = (query.from, query.to);
    let rows = app.at_desk(move |desk| desk.history(from, to)).await?;
    let hours = rows.into_iter().map(|row| HistoryHour {
        start: rfc3339::format(Timestamp::from_nanos(row.hour.saturating_mul(HOUR_NS))),
        samples: row.samples,
        owd_us_min: row.owd_us_min,
        owd_us_mean: row.owd_us_mean,
        owd_us_max: row.owd_us_max,
        loss_ppm_mean: row.loss_ppm_mean,
    });
    Ok(Json(History { schema: "srwan.history/1".into(), from, to, hours: hours.collect() }))
}

/// Says that the controller can read its store.
#[utoipa::path(get, path = "/health", tag = "public", responses(
    (status = 204, description = "It can"),
    (status = "default", description = "The store cannot be read", body = ApiError)))]
pub async fn health(State(app): State<App>) -> Result<axum::http::StatusCode, Problem> {
    app.at_desk(|desk| desk.read(|_, _| Ok::<_, ApiError>(()))).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}

/// Serves this API's description.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::openapi_json()).into_response()
}
