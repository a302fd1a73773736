//! One function per path: read what is asked, look it up, write it as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use srwan_api::http::ApiError;
use srwan_api::ledger as api;
use srwan_ledger::hash::TxHash;
use srwan_ledger::lane::Lane;
use srwan_ledger::outcome::{Outcome, TxReceipt};
use srwan_wire::id::{AccountKey, LaneId};

use super::Served;
use super::answer::{Problem, bad_request, not_found};
use crate::body::Carried;
use crate::ledger::View;

/// Lanes in one answer.
const LANES_MAX: usize = 1_000;
/// Settlements in one answer.
const TICKETS_MAX: usize = 200;

pub type Answer<T> = Result<Json<T>, Problem>;
pub type App = State<Arc<Served>>;

pub async fn health(State(served): App) -> (StatusCode, Json<api::Health>) {
    let height = served.ledger.view().state.height().0;
    let standing = served.ledger.standing();
    let (code, status) = match (served.ledger.is_accepting(), standing.syncing) {
        (true, false) => (StatusCode::OK, "ok"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "syncing"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let (status, behind) = (status.to_owned(), standing.behind);
    (code, Json(api::Health { status, height, behind }))
}

pub async fn status(State(served): App) -> Json<api::Status> {
    let pending = served.ledger.mempool().len();
    let standing = served.ledger.standing();
    let view = served.ledger.view();
    let state = &view.state;
    let validator = |validator: &srwan_ledger::validator::Validator| api::Validator {
        account: validator.account.to_string(),
        power: validator.power,
    };
    Json(api::Status {
        schema: "srwan.ledger.status/1".to_owned(),
        chain: served.chain.clone(),
        chain_id: state.chain().to_string(),
        height: state.height().0,
        tip: state.tip().to_string(),
        state_root: state.root().to_string(),
        time_ns: view.time.as_nanos(),
        validator: served.validator.to_string(),
        validators: state.validators().map(|(_, row)| validator(row)).collect(),
        pending_txs: u64::try_from(pending).unwrap_or(u64::MAX),
        accepting: served.ledger.is_accepting() && !standing.syncing,
        epoch: standing.epoch,
        committee: standing.committee.iter().map(hex::encode).collect(),
        peers: u32::try_from(standing.peers.len()).unwrap_or(u32::MAX),
        syncing: standing.syncing,
        behind: standing.behind,
        conserved: state.supply().total == u128::from(state.supply_total().base()),
        supply_coins: state.supply_total().to_string(),
        params: api::Params::of(state.params()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// What `GET /v1/tx/{hash}` can be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TxQuery {
    #[serde(default)]
    wait_ms: u64,
}

pub async fn tx(
    State(served): App,
    Path(hash): Path<String>,
    query: Result<Query<TxQuery>, QueryRejection>,
) -> Answer<api::Tx> {
    let wait_ms = read_query(query)?.wait_ms.min(api::TX_WAIT_MS_MAX);
    let hash = TxHash::from_hex(&hash).ok_or_else(|| not_hex("hash"))?;
    wait_final(&served, &hash, Duration::from_millis(wait_ms)).await;
    let view = served.ledger.view();
    if is_pending(&served, &view, &hash) {
        return Ok(Json(pending_tx(&hash)));
    }
    if let Some(receipt) = view.index.receipt(&hash) {
        return Ok(Json(final_tx(receipt)));
    }
    Err(not_found("no such transaction", "hand it in again; nothing waits across a restart"))
}

/// Returns when the transaction is final, unknown, or `wait` is over, or the process stops.
async fn wait_final(served: &Served, hash: &TxHash, wait: Duration) {
    let mut heights = served.ledger.watch_heights();
    let mut stop = served.stop.clone();
    let waits = || is_pending(served, &served.ledger.view(), hash);
    let watched = async { while waits() && heights.changed().await.is_ok() {} };
    tokio::select! {
        () = watched => {}
        () = tokio::time::sleep(wait) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Whether a transaction waits and has not run. One that was refused may wait again.
fn is_pending(served: &Served, view: &View, hash: &TxHash) -> bool {
    !view.index.has_run(hash) && served.ledger.mempool().contains(hash)
}

fn pending_tx(hash: &TxHash) -> api::Tx {
    api::Tx {
        schema: "srwan.ledger.tx/1".to_owned(),
        hash: hash.to_string(),
        status: api::TxStatus::Pending,
        height: None,
        fee_coins: "0".to_owned(),
        effect: None,
        problem: None,
    }
}

fn final_tx(receipt: &TxReceipt) -> api::Tx {
    let (status, effect, problem) = match &receipt.outcome {
        Outcome::Applied(effect) => (api::TxStatus::Applied, Some(api::Effect::of(effect)), None),
        Outcome::Rejected(why) => (api::TxStatus::Rejected, None, Some(api::problem(why))),
        Outcome::Refused(why) => (api::TxStatus::Refused, None, Some(api::problem(why))),
    };
    api::Tx {
        status,
        height: Some(receipt.height.0),
        fee_coins: receipt.fee.to_string(),
        effect,
        problem,
        ..pending_tx(&receipt.hash)
    }
}

pub async fn account(State(served): App, Path(key): Path<String>) -> Answer<api::Account> {
    let key = AccountKey::from_hex(&key).ok_or_else(|| not_hex("key"))?;
    let view = served.ledger.view();
    let nonce = view.state.account(&key).nonce;
    let next_nonce = served.ledger.mempool().next_nonce(&key, nonce);
    Ok(Json(account_json(&view, &key, next_nonce)))
}

fn account_json(view: &View, key: &AccountKey, next_nonce: u64) -> api::Account {
    let state = &view.state;
    let (account, escrow) = (state.account(key), state.escrow(key));
    let totals = view.index.totals(key);
    let in_lanes = state.lanes().filter(|(_, lane)| lane.payer == *key);
    let in_lanes: u64 = in_lanes.map(|(_, lane)| lane.funds().base()).sum();
    let vote = state.votes().voter(key).map(|voter| api::Vote {
        leader: voter.leader.to_string(),
        weight_coins: voter.weight.to_string(),
    });
    api::Account {
        schema: "srwan.ledger.account/1".to_owned(),
        account: key.to_string(),
        balance_coins: account.balance.to_string(),
        nonce: account.nonce,
        next_nonce,
        escrow_free_coins: escrow.free.to_string(),
        lanes_coins: srwan_ledger::amount::Amount::from_base(in_lanes).to_string(),
        lanes: escrow.lanes,
        earned_coins: totals.earned.to_string(),
        applied_coins: totals.applied.to_string(),
        router: state.router(key).map(|router| api::Router::of(key, router)),
        vote,
    }
}

pub async fn lane(State(served): App, Path(id): Path<String>) -> Answer<api::Lane> {
    let id = LaneId::from_hex(&id).ok_or_else(|| not_hex("lane"))?;
    let view = served.ledger.view();
    if let Ok(lane) = view.state.lane(&id) {
        return Ok(Json(api::Lane::of(&id, lane)));
    }
    match view.index.closed_lane(&id) {
        Some(lane) => {
            let phase = api::LanePhase::Closed;
            Ok(Json(api::Lane { phase, ..api::Lane::of(&id, lane) }))
        }
        None => Err(not_found("no such lane", "open it, and wait until it is final")),
    }
}

/// What `GET /v1/lanes` can be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanesQuery {
    payer: Option<String>,
    payee: Option<String>,
}

pub async fn lanes(
    State(served): App,
    query: Result<Query<LanesQuery>, QueryRejection>,
) -> Answer<api::Lanes> {
    let query = read_query(query)?;
    let payer = optional_key(query.payer.as_deref(), "payer")?;
    let payee = optional_key(query.payee.as_deref(), "payee")?;
    let is_asked = |lane: &Lane| {
        payer.is_none_or(|payer| lane.payer == payer)
            && payee.is_none_or(|payee| lane.is_payee(&payee))
    };
    let view = served.ledger.view();
    let mut asked: Vec<_> = view.state.lanes().filter(|(_, lane)| is_asked(lane)).collect();
    asked.sort_unstable_by_key(|(id, _)| **id);
    let truncated = asked.len() > LANES_MAX;
    let lanes = asked.iter().take(LANES_MAX).map(|(id, lane)| api::Lane::of(id, lane)).collect();
    Ok(Json(api::Lanes { schema: "srwan.ledger.lanes/1".to_owned(), lanes, truncated }))
}

pub async fn routers(State(served): App) -> Json<api::Routers> {
    let view = served.ledger.view();
    let routers = view.state.routers().map(|(key, router)| api::Router::of(key, router));
    let mut routers: Vec<api::Router> = routers.collect();
    routers.sort_by(|left, right| left.account.cmp(&right.account));
    Json(api::Routers { schema: "srwan.ledger.routers/1".to_owned(), routers })
}

/// What `GET /v1/tickets` can be told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketsQuery {
    account: Option<String>,
}

pub async fn tickets(
    State(served): App,
    query: Result<Query<TicketsQuery>, QueryRejection>,
) -> Answer<api::Tickets> {
    let account = optional_key(read_query(query)?.account.as_deref(), "account")?;
    let view = served.ledger.view();
    let asked = view.index.tickets().filter(|ticket| {
        account.is_none_or(|account| {
            let mut shares = ticket.settlement.shares.iter();
            ticket.payer == account || shares.any(|(payee, _)| *payee == account)
        })
    });
    let tickets = asked.take(TICKETS_MAX).map(|ticket| api::Ticket {
        hash: ticket.hash.to_string(),
        height: ticket.height.0,
        payer: ticket.payer.to_string(),
        submitter: ticket.submitter.to_string(),
        settlement: api::Settlement::of(&ticket.settlement),
    });
    let tickets = tickets.collect();
    Ok(Json(api::Tickets { schema: "srwan.ledger.tickets/1".to_owned(), tickets }))
}

pub async fn block(State(served): App, Path(height): Path<String>) -> Answer<api::Block> {
    let height = read_height(&height)?;
    let block = super::proofs::final_block(&served, height).await?;
    Ok(Json(api::Block::of(&Carried::of_final(&block).block)))
}

pub fn read_height(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        bad_request("not a height", format!("`{text}` is no number"), "ask for /v1/block/1")
    })
}

pub async fn metrics(State(served): App) -> String {
    let metrics = &served.ledger.metrics;
    let standing = served.ledger.standing();
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    metrics.height.set(gauge(served.ledger.view().state.height().0));
    metrics.behind.set(gauge(standing.behind));
    metrics.epoch.set(gauge(standing.epoch));
    metrics.view.set(gauge(standing.view));
    metrics.peers.set(count(standing.peers.len()));
    {
        let pool = served.ledger.mempool();
        metrics.mempool_txs.set(count(pool.len()));
        metrics.mempool_octets.set(gauge(pool.octets()));
    }
    metrics.text()
}

pub async fn supply(State(served): App) -> Json<api::Supply> {
    Json(api::Supply::of(&served.ledger.view().state))
}

pub async fn no_such_path() -> Problem {
    not_found("no such path", "docs/ledger.md lists the paths")
}

pub async fn wrong_method() -> Problem {
    Problem(
        ApiError::new(405, "SRW-L905", "this path does not take this method")
            .fix("docs/ledger.md lists the paths"),
    )
}

pub fn not_hex(what: &str) -> Problem {
    bad_request(
        &format!("not a {what}"),
        "64 hexadecimal digits are expected",
        "copy it from an answer of this API",
    )
}

pub fn optional_key(text: Option<&str>, what: &str) -> Result<Option<AccountKey>, Problem> {
    text.map(|text| AccountKey::from_hex(text).ok_or_else(|| not_hex(what))).transpose()
}

pub fn read_query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|error| {
        bad_request(
            "the query cannot be read",
            error.body_text(),
            "docs/ledger.md lists the queries",
        )
    })
}
