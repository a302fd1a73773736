//! The RPC: HTTP and JSON over what is final. docs/ledger.md lists it for people.

mod answer;
mod contracts;
mod events;
mod handlers;
pub mod listen;
mod proofs;
mod submit;
mod validators;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use srwan_wire::id::ValidatorKey;
use tokio::sync::watch;

use crate::ledger::Ledger;

/// What the handlers answer from.
#[derive(Debug)]
pub struct Served {
    /// The ledger in memory.
    pub ledger: Arc<Ledger>,
    /// The chain's name, for people.
    pub chain: String,
    /// This validator.
    pub validator: ValidatorKey,
    /// Says when the process stops, so that no call waits any longer.
    pub stop: watch::Receiver<bool>,
}

/// The routes over `served`.
pub fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/health", get(handlers::health))
        .route("/v1/status", get(handlers::status))
        .route("/v1/tx", post(submit::submit))
        .route("/v1/txs", post(submit::submit_many))
        .route("/v1/tx/{hash}", get(handlers::tx))
        .route("/v1/account/{key}", get(handlers::account))
        .route("/v1/lane/{id}", get(handlers::lane))
        .route("/v1/lanes", get(handlers::lanes))
        .route("/v1/routers", get(handlers::routers))
        .route("/v1/tickets", get(handlers::tickets))
        .route("/v1/block/{height}", get(handlers::block))
        .route("/v1/header/{height}", get(proofs::header))
        .route("/v1/certificate/{height}", get(proofs::certificate))
        .route("/v1/proof/account/{key}", get(proofs::account))
        .route("/v1/proof/lane/{id}", get(proofs::lane))
        .route("/v1/validators", get(validators::validators))
        .route("/v1/listings", get(contracts::listings))
        .route("/v1/leases", get(contracts::leases))
        .route("/v1/agreements", get(contracts::agreements))
        .route("/v1/quarantines", get(contracts::quarantines))
        .route("/v1/ratings", get(contracts::ratings))
        .route("/v1/events", get(events::events))
        .route("/metrics", get(handlers::metrics))
        .route("/v1/supply", get(handlers::supply))
        .fallback(handlers::no_such_path)
        .method_not_allowed_fallback(handlers::wrong_method)
        .with_state(served)
}
