//! The WebSocket that tells what happens: one JSON text message per event, in order, none left out.
//!
//! Nothing is queued per listener: each reads at its own pace from the events that are kept, and is
//! cut off with the reason once it has fallen out of them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use srwan_api::http::ApiError;
use srwan_api::ledger::{Event, Happened};
use tokio::time::timeout;

use super::Served;
use super::answer::Problem;
use super::handlers::{App, read_query};
use super::listen::stopped;

/// Events that are sent before looking for others.
const BATCH: usize = 256;
/// Octets of a listener's message: it has nothing to say.
const MESSAGE_OCTETS_MAX: usize = 4 * 1024;
/// Time in which a listener must take a message.
const SEND_PATIENCE: Duration = Duration::from_secs(10);
/// After so much silence a listener is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// What `GET /v1/events` can be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    from: Option<u64>,
    /// One kind alone; the numbers of the others are left out.
    kind: Option<Kind>,
}

/// Kinds of events, as they are written in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Tx,
    Settled,
    Rule,
    Block,
}

impl Kind {
    const fn of(event: &Event) -> Self {
        match event.what {
            Happened::Tx { .. } => Self::Tx,
            Happened::Settled { .. } => Self::Settled,
            Happened::Rule { .. } => Self::Rule,
            Happened::Block { .. } => Self::Block,
        }
    }
}

pub async fn events(
    State(served): App,
    query: Result<Query<EventsQuery>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let query = read_query(query)?;
    let from = first(&served, query.from)?;
    let upgrade = upgrade.map_err(|error| {
        ApiError::new(426, "SRW-L907", "this path speaks WebSocket")
            .why(error.to_string())
            .fix("connect with a WebSocket client")
    })?;
    let upgrade = upgrade.max_message_size(MESSAGE_OCTETS_MAX).max_frame_size(MESSAGE_OCTETS_MAX);
    Ok(upgrade.on_upgrade(move |socket| tell(served, socket, (from, query.kind))).into_response())
}

/// The number of the first event to send: what was asked for if it is kept, else the next one.
fn first(served: &Served, asked: Option<u64>) -> Result<u64, Problem> {
    let view = served.ledger.view();
    let events = view.index.events();
    let (oldest, next) = (events.oldest(), events.next());
    match asked {
        None => Ok(next),
        Some(from) if from >= oldest => Ok(from),
        Some(from) => Err(Problem(
            ApiError::new(410, "SRW-L906", format!("event {from} is no longer kept"))
                .why(format!("the oldest that is kept is {oldest}"))
                .fix(format!("ask with ?from={oldest}, and read the blocks before that")),
        )),
    }
}

async fn tell(served: Arc<Served>, mut socket: WebSocket, (from, kind): (u64, Option<Kind>)) {
    let mut heights = served.ledger.watch_heights();
    let mut stop = served.stop.clone();
    let mut next = from;
    loop {
        let batch = served.ledger.view().index.events().from(next, BATCH);
        let Some(batch) = batch else {
            let why = format!("too slow: go on with ?from={next}, or from what is kept");
            return close(socket, close_code::AGAIN, why).await;
        };
        for event in batch {
            next = event.seq + 1;
            let is_wanted = kind.is_none_or(|kind| kind == Kind::of(&event));
            if is_wanted && !send(&mut socket, &event).await {
                return;
            }
        }
        if next < served.ledger.view().index.events().next() {
            continue;
        }
        tokio::select! {
            changed = heights.changed() => if changed.is_err() { return },
            () = stopped(&mut stop) => {
                return close(socket, close_code::AWAY, "the validator stops".to_owned()).await;
            }
            // Nothing is asked here; but closing, and answers to pings, are heard.
            heard = socket.recv() => if !matches!(heard, Some(Ok(_))) { return },
            () = tokio::time::sleep(PING_EVERY) => {
                let ping = socket.send(Message::Ping(Vec::new().into()));
                if !matches!(timeout(SEND_PATIENCE, ping).await, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, event: &Event) -> bool {
    let text = serde_json::to_string(event).unwrap_or_default();
    let sent = timeout(SEND_PATIENCE, socket.send(Message::text(text))).await;
    matches!(sent, Ok(Ok(())))
}

async fn close(mut socket: WebSocket, code: u16, reason: String) {
    let frame = CloseFrame { code, reason: reason.into() };
    let _ = timeout(SEND_PATIENCE, socket.send(Message::Close(Some(frame)))).await;
}
