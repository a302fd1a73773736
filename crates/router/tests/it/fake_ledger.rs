//! Validators that do what they are told: stop answering, forget what waits, lag behind. One chain behind all of them.
//!
//! The chain keeps its own books: how often a ticket was applied, and how many octets each lane paid for in all.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use srwan_ledger::amount::Amount;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::{ChainId, LaneId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

pub const CHAIN: ChainId = ChainId([7; 32]);

/// What is final.
#[derive(Default)]
pub struct Chain {
    height: u64,
    /// Octets that each lane has paid for.
    settled: BTreeMap<LaneId, u64>,
    /// Tickets that paid something, by lane.
    pub paying: BTreeMap<LaneId, u32>,
    nonces: BTreeMap<String, u64>,
    /// Coins that escrows were given.
    pub escrowed: Amount,
    /// Coins of every account.
    pub balance: Amount,
    done: BTreeMap<String, Value>,
}

/// One validator's own state.
#[derive(Default)]
struct Own {
    is_away: bool,
    is_syncing: bool,
    lag: u64,
    chain_id: Option<String>,
    waiting: Vec<SignedTx>,
    handed_in: Vec<String>,
}

/// A validator; it ends with the test's process.
#[derive(Clone)]
pub struct Validator {
    chain: Arc<Mutex<Chain>>,
    own: Arc<Mutex<Own>>,
    pub url: String,
}

impl Validator {
    pub async fn start(chain: &Arc<Mutex<Chain>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let validator = Self { chain: Arc::clone(chain), own: Arc::default(), url };
        let app = routes().with_state(validator.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        validator
    }

    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap()
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap()
    }

    pub fn set_away(&self, is_away: bool) {
        self.own().is_away = is_away;
    }

    /// It answers, but takes no transactions.
    pub fn set_syncing(&self, is_syncing: bool) {
        self.own().is_syncing = is_syncing;
    }

    /// It knows nothing of the last so many blocks, and of no lane.
    pub fn set_lag(&self, lag: u64) {
        self.own().lag = lag;
    }

    pub fn set_chain_id(&self, chain: ChainId) {
        self.own().chain_id = Some(chain.to_string());
    }

    /// Forgets what waits, as a validator does that starts again.
    pub fn lose_waiting(&self) {
        self.own().waiting.clear();
    }

    /// Names of all transactions that it was ever given, again and again.
    pub fn handed_in(&self) -> Vec<String> {
        self.own().handed_in.clone()
    }

    /// Makes a block of what waits here.
    pub fn block(&self) {
        let waiting = std::mem::take(&mut self.own().waiting);
        let mut chain = self.chain();
        chain.height += 1;
        for tx in waiting {
            chain.execute(&tx);
        }
    }

    /// What every answer begins with: nothing while it is away.
    #[expect(clippy::result_large_err, reason = "it is the answer")]
    fn answers(&self) -> Result<(), Response> {
        if self.own().is_away {
            return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "SRW-L802"));
        }
        Ok(())
    }
}

impl Chain {
    /// A chain with lanes that have paid nothing.
    pub fn new(lanes: impl Iterator<Item = LaneId>) -> Arc<Mutex<Self>> {
        let settled = lanes.map(|lane| (lane, 0)).collect();
        Arc::new(Mutex::new(Self { height: 100, settled, ..Self::default() }))
    }

    fn execute(&mut self, tx: &SignedTx) {
        let nonce = self.nonces.entry(tx.body.sender.to_string()).or_default();
        if tx.body.nonce != *nonce {
            return;
        }
        *nonce += 1;
        if let Action::EscrowAdd { amount } = &tx.body.action {
            self.escrowed = self.escrowed.checked_add(*amount).unwrap();
            let applied = json!({ "schema": "srwan.ledger.tx/1", "hash": tx.body.hash().to_string(),
                "status": "applied", "height": self.height, "fee_coins": "0", "effect": null,
                "problem": null });
            self.done.insert(tx.body.hash().to_string(), applied);
        }
        let Action::Ticket(ticket) = &tx.body.action else { return };
        let claimed = ticket.receipt.body.octets.min(ticket.delivery.body.octets).0;
        let before = self.settled.get(&ticket.lane).copied().unwrap_or(0);
        let hash = tx.body.hash().to_string();
        let answer = if claimed > before {
            self.settled.insert(ticket.lane, claimed);
            *self.paying.entry(ticket.lane).or_default() += 1;
            json!({ "status": "applied", "problem": null, "effect": { "kind": "settled",
                "settlement": { "lane": ticket.lane.to_string(), "settled_before_bytes": before,
                    "settled_bytes": claimed, "charge_coins": "1", "infra_coins": "0",
                    "shares": [] } } })
        } else {
            let what = "it settles nothing";
            let problem = json!({ "code": "SRW-L410", "what": what, "status": 422 });
            json!({ "status": "rejected", "effect": null, "problem": problem })
        };
        let mut answer = answer;
        answer["schema"] = "srwan.ledger.tx/1".into();
        answer["hash"] = hash.clone().into();
        answer["height"] = self.height.into();
        answer["fee_coins"] = "0.001".into();
        self.done.insert(hash, answer);
    }
}

fn routes() -> Router<Validator> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/account/{key}", get(account))
        .route("/v1/tickets", get(async || json!({ "schema": "", "tickets": [] }).to_string()))
        .route("/v1/lanes", get(async || EMPTY_LANES))
        .route("/v1/lane/{id}", get(lane))
        .route("/v1/tx", post(submit))
        .route("/v1/tx/{hash}", get(tx))
}

const EMPTY_LANES: &str = "{\"schema\":\"\",\"lanes\":[],\"truncated\":false}";

fn problem(status: StatusCode, code: &str) -> Response {
    let body = json!({ "code": code, "what": "no", "status": status.as_u16() }).to_string();
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

fn ok(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn status(State(validator): State<Validator>) -> Result<Response, Response> {
    validator.answers()?;
    let lag = validator.own().lag;
    let chain_id = validator.own().chain_id.clone();
    let height = validator.chain().height.saturating_sub(lag);
    Ok(ok(&json!({
        "schema": "srwan.ledger.status/1", "chain": "fake", "height": height,
        "chain_id": chain_id.unwrap_or_else(|| CHAIN.to_string()), "tip": "", "state_root": "",
        "time_ns": 0, "validator": "", "validators": [], "pending_txs": 0, "accepting": true,
        "conserved": true, "supply_coins": "1", "version": "0",
        "params": {
            "min_fee_coins": "0.001", "base_fee_coins": "0", "byte_fee_coins": "0",
            "infra_bps": 1000, "validator_bps": 2500, "min_settle_bytes": 1,
            "claim_window_blocks": 10, "lane_blocks_max": 1000, "router_bond_coins": "1",
            "unbonding_blocks": 10, "epoch_blocks": 10,
        },
    })))
}

async fn account(
    State(validator): State<Validator>,
    Path(key): Path<String>,
) -> Result<Response, Response> {
    validator.answers()?;
    let (balance, escrow) = {
        let chain = validator.chain();
        (chain.balance.saturating_sub(chain.escrowed).to_string(), chain.escrowed.to_string())
    };
    let nonce = validator.chain().nonces.get(&key).copied().unwrap_or(0);
    let waiting = validator.own().waiting.iter().map(|tx| tx.body.nonce + 1).max().unwrap_or(0);
    Ok(ok(&json!({
        "schema": "srwan.ledger.account/1", "account": key, "balance_coins": balance,
        "nonce": nonce, "next_nonce": nonce.max(waiting), "escrow_free_coins": escrow,
        "lanes_coins": "0", "lanes": 0, "earned_coins": "0", "applied_coins": "0",
        "router": null, "vote": null,
    })))
}

async fn lane(
    State(validator): State<Validator>,
    Path(id): Path<String>,
) -> Result<Response, Response> {
    validator.answers()?;
    let lane = LaneId::from_hex(&id).unwrap();
    let settled = validator.chain().settled.get(&lane).copied();
    let is_known = validator.own().lag == 0;
    let Some(settled) = settled.filter(|_| is_known) else {
        return Err(problem(StatusCode::NOT_FOUND, "SRW-L904"));
    };
    let zero = "00".repeat(32);
    Ok(ok(&json!({
        "schema": "srwan.ledger.lane/1", "lane": id, "payer": zero, "path": zero, "payees": [],
        "price_base_per_mb": 1, "cap_coins": "1", "cap_bytes": 1_000_000_000_000_u64,
        "fee_reserve_coins": "1", "expiry_height": 1000, "phase": "open", "until_height": null,
        "settled_bytes": settled, "paid_coins": "0",
    })))
}

async fn submit(State(validator): State<Validator>, body: Bytes) -> Result<Response, Response> {
    validator.answers()?;
    if validator.own().is_syncing {
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "SRW-L805"));
    }
    let body: Value = serde_json::from_slice(&body).unwrap();
    let octets = STANDARD.decode(body["tx"].as_str().unwrap()).unwrap();
    let tx: SignedTx = borsh::from_slice(&octets).unwrap();
    let hash = tx.body.hash().to_string();
    let nonce = validator.chain().nonces.get(&tx.body.sender.to_string()).copied().unwrap_or(0);
    if tx.body.nonce < nonce {
        return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "SRW-L104"));
    }
    let mut own = validator.own();
    own.handed_in.push(hash.clone());
    if !own.waiting.iter().any(|known| known.body.hash() == tx.body.hash()) {
        own.waiting.push(tx);
    }
    Ok(ok(&json!({ "schema": "srwan.ledger.submitted/1", "hash": hash })))
}

async fn tx(
    State(validator): State<Validator>,
    Path(hash): Path<String>,
) -> Result<Response, Response> {
    validator.answers()?;
    if let Some(done) = validator.chain().done.get(&hash) {
        return Ok(ok(done));
    }
    let is_waiting = validator.own().waiting.iter().any(|tx| tx.body.hash().to_string() == hash);
    // A real one answers when there is news or time is up; this one lets the caller ask again soon.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    match is_waiting {
        true => Ok(ok(&json!({ "schema": "srwan.ledger.tx/1", "hash": hash, "status": "pending",
            "height": null, "fee_coins": "0", "effect": null, "problem": null }))),
        false => Err(problem(StatusCode::NOT_FOUND, "SRW-L904")),
    }
}
