//! The RPC: HTTP and JSON over what is final. docs/ledger.md lists it for people.

mod answer;
mod handlers;

use std::sync::{Arc, RwLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use srwan_wire::id::AccountKey;
use tokio::sync::watch;

use crate::ledger::Ledger;
use crate::store::Store;

/// Largest body of a request: the largest transaction in base64, and its JSON around it.
pub const BODY_OCTETS_MAX: usize = 16 * 1024;

/// What the handlers answer from.
#[derive(Debug)]
pub struct Served {
    /// The ledger in memory.
    pub ledger: Arc<Ledger>,
    /// The ledger on disk, for blocks.
    pub store: Arc<RwLock<Store>>,
    /// The chain's name, for people.
    pub chain: String,
    /// This validator.
    pub validator: AccountKey,
    /// Says when the process stops, so that no call waits any longer.
    pub stop: watch::Receiver<bool>,
}

/// The routes over `served`.
pub fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/health", get(handlers::health))
        .route("/v1/status", get(handlers::status))
        .route("/v1/tx", post(handlers::submit))
        .route("/v1/tx/{hash}", get(handlers::tx))
        .route("/v1/account/{key}", get(handlers::account))
        .route("/v1/lane/{id}", get(handlers::lane))
        .route("/v1/lanes", get(handlers::lanes))
        .route("/v1/routers", get(handlers::routers))
        .route("/v1/tickets", get(handlers::tickets))
        .route("/v1/block/{height}", get(handlers::block))
        .route("/v1/supply", get(handlers::supply))
        .fallback(handlers::no_such_path)
        .method_not_allowed_fallback(handlers::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(served)
}
