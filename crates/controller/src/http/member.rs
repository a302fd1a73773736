//! What routers ask.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use srwan_api::controller::{
    JoinAnswer, JoinBody, ROSTER_WAIT_MAX, ReportAnswer, ReportBody, RosterAnswer,
};
use srwan_api::http::ApiError;
use srwan_wire::id::GroupId;
use srwan_wire::report::SignedReport;
use srwan_wire::roster::SignedJoinRequest;
use tokio::time::Instant;

use super::{App, Bearer, Body, Dear, Json, Path, PeerAddress, Query};
use crate::problem::{Problem, bad_body, code};

/// Joins a router, or takes what has changed about it.
#[utoipa::path(post, path = "/v1/join", tag = "router", request_body = JoinBody, responses(
    (status = 200, description = "The router is a member", body = JoinAnswer),
    (status = "default", description = "Refused: SRW-C101 to SRW-C114", body = ApiError)))]
pub async fn join(
    State(app): State<App>,
    PeerAddress(address): PeerAddress,
    Body(body): Body<JoinBody>,
) -> Result<Json<JoinAnswer>, Problem> {
    app.take(Dear::Join, address)?;
    let signed: SignedJoinRequest = decode(&body.request)?;
    let task = move |desk: &mut crate::desk::Desk| {
        let token = signed.request.token.clone();
        let unknown = desk.read(|exchange, _| {
            Ok::<_, ApiError>(token.is_some_and(|token| !exchange.knows_token(&token)))
        })?;
        if unknown {
            desk.read_tokens_file()?;
        }
        let joined = desk.change(|exchange, now| exchange.handle_join(&signed, now))?;
        desk.read(|exchange, _| Ok::<_, ApiError>(JoinAnswer::new(&joined, exchange)))
    };
    let answer = app.at_desk(task).await?;
    tracing::info!(node = answer.node, group = answer.group, %address, "router joined");
    Ok(Json(answer))
}

/// What a roster poll may say.
#[derive(Debug, Deserialize)]
pub struct RosterQuery {
    since: Option<u64>,
    #[serde(default)]
    wait_ms: u64,
}

/// Gives a member its group's roster; with `since`, once it is another than that.
#[utoipa::path(get, path = "/v1/roster/{group}", tag = "router",
    params(
        ("group" = u32, Path, description = "The member's group"),
        ("since" = Option<u64>, Query, description = "The roster that the member has"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for another one")),
    security(("member_token" = [])),
    responses(
        (status = 200, description = "The roster", body = RosterAnswer),
        (status = 304, description = "The member has it"),
        (status = "default", description = "Refused: SRW-C111, C120, C121", body = ApiError)))]
pub async fn roster(
    State(app): State<App>,
    Path(group): Path<u32>,
    Bearer(token): Bearer,
    Query(query): Query<RosterQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = member_token(token.as_deref())?;
    let since = query.since.or_else(|| etag_seq(&headers));
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms).min(ROSTER_WAIT_MAX);
    let (mut changes, mut stopping) = (app.shared.changes.clone(), app.shared.stopping.clone());
    loop {
        changes.mark_unchanged();
        let answer = current_roster(&app, GroupId(group), token).await?;
        if Some(answer.seq) != since {
            let etag = [(header::ETAG, format!("\"{}\"", answer.seq))];
            return Ok((etag, Json(answer)).into_response());
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = tokio::time::sleep_until(deadline) => break,
        }
    }
    Ok(StatusCode::NOT_MODIFIED.into_response())
}

/// Takes in what a group's reporter says.
#[utoipa::path(post, path = "/v1/report", tag = "router", request_body = ReportBody, responses(
    (status = 200, description = "What the report brought", body = ReportAnswer),
    (status = "default", description = "Refused: SRW-C130 to SRW-C132", body = ApiError)))]
pub async fn report(
    State(app): State<App>,
    PeerAddress(address): PeerAddress,
    Body(body): Body<ReportBody>,
) -> Result<Json<ReportAnswer>, Problem> {
    app.take(Dear::Report, address)?;
    let signed: SignedReport = decode(&body.report)?;
    let intake = app
        .at_desk(move |desk| desk.change(|exchange, now| exchange.handle_report(&signed, now)))
        .await?;
    Ok(Json(ReportAnswer::from(intake)))
}

async fn current_roster(
    app: &App,
    group: GroupId,
    token: [u8; 32],
) -> Result<RosterAnswer, ApiError> {
    app.at_desk(move |desk| {
        desk.read(|exchange, _| {
            let signed = exchange.roster_for(group, &token)?;
            let seq = exchange.roster_seq(group).unwrap_or(0);
            let interval = exchange.config().pulse_interval;
            Ok::<_, srwan_ditex::RosterError>(RosterAnswer::new(
                group.0,
                seq,
                &signed.to_bytes(),
                interval,
            ))
        })
    })
    .await
}

fn member_token(bearer: Option<&str>) -> Result<[u8; 32], ApiError> {
    let mut token = [0; 32];
    let read = bearer.map(|text| hex::decode_to_slice(text, &mut token).is_ok());
    if read == Some(true) {
        return Ok(token);
    }
    Err(ApiError::new(401, code::NOT_MEMBER, "a roster is for members of the group")
        .why("there is no member token in the Authorization header")
        .fix("join first, and send `Authorization: Bearer MEMBER_TOKEN`"))
}

fn etag_seq(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::IF_NONE_MATCH)?.to_str().ok()?.trim_matches('"').parse().ok()
}

/// Reads a signed object from base64 of its borsh encoding.
fn decode<T: borsh::BorshDeserialize>(base64: &str) -> Result<T, ApiError> {
    let octets = STANDARD.decode(base64).map_err(|error| bad_body(error.to_string()))?;
    borsh::from_slice(&octets).map_err(|error| bad_body(error.to_string()))
}
