//! The validators of one ledger, as one: whoever answers is asked, and the next one when it stops answering.
//!
//! All validators say the same about what is final, but not at the same time. So one that is behind what this router
//! has seen is not believed when it says that something does not exist, and one of another ledger is not asked at all.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use srwan_api::http::{self, ApiError, HttpClient};
use srwan_api::ledger::{Account, Lane, Lanes, LedgerClient, Status, Submitted, Tickets, Tx};
use srwan_ledger::hash::TxHash;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::{AccountKey, LaneId};

use crate::fault;

/// Validators that a router may be told: an operator reads and keeps such a list by hand.
pub const VALIDATORS_MAX: usize = 16;

/// HTTP status of a lane that a validator does not know.
const NOT_FOUND: u16 = 404;

/// HTTP status of a validator that cannot answer yet.
const UNAVAILABLE: u16 = 503;

/// HTTP status of a validator with too much to do: another one has as much.
const TOO_MANY: u16 = 429;

/// The validators of one ledger. Cheap to clone.
#[derive(Clone)]
pub struct Validators {
    shared: Arc<Shared>,
}

struct Shared {
    clients: Vec<LedgerClient>,
    /// Index of the one that is asked.
    current: AtomicUsize,
    /// The ledger that the first answer was of; every later answer is of the same.
    chain: OnceLock<String>,
    /// The highest final block that any of them has told of.
    seen: AtomicU64,
    /// Why the last one was left, for people.
    left: RwLock<Option<String>>,
}

impl Validators {
    /// The validators behind `urls`, asked in this order.
    ///
    /// # Errors
    /// One of them is no address.
    ///
    /// # Panics
    /// If there are none: a configuration names at least one.
    pub fn new(urls: &[String]) -> Result<Self, ApiError> {
        assert!(!urls.is_empty(), "a configuration with a ledger names a validator");
        let client = |url: &String| HttpClient::new(url).map(LedgerClient::new);
        let shared = Shared {
            clients: urls.iter().map(client).collect::<Result<_, _>>()?,
            current: AtomicUsize::new(0),
            chain: OnceLock::new(),
            seen: AtomicU64::new(0),
            left: RwLock::new(None),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the validator that is asked runs.
    ///
    /// # Errors
    /// None of them answers.
    pub async fn status(&self) -> Result<Status, ApiError> {
        self.ask(|client| async move { client.status().await }).await
    }

    /// As [`LedgerClient::account`].
    ///
    /// # Errors
    /// None of them answers, or the one that does says no.
    pub async fn account(&self, key: AccountKey) -> Result<Account, ApiError> {
        self.ask(|client| async move { client.account(&key).await }).await
    }

    /// As [`LedgerClient::tickets_of`].
    ///
    /// # Errors
    /// As [`Validators::account`].
    pub async fn tickets_of(&self, key: AccountKey) -> Result<Tickets, ApiError> {
        self.ask(|client| async move { client.tickets_of(&key).await }).await
    }

    /// As [`LedgerClient::lanes_paid_by`].
    ///
    /// # Errors
    /// As [`Validators::account`].
    pub async fn lanes_paid_by(&self, key: AccountKey) -> Result<Lanes, ApiError> {
        self.ask(|client| async move { client.lanes_paid_by(&key).await }).await
    }

    /// As [`LedgerClient::lane`].
    ///
    /// # Errors
    /// As [`Validators::account`]; 404 only from one that is not behind.
    pub async fn lane(&self, id: LaneId) -> Result<Lane, ApiError> {
        self.ask(|client| async move {
            match client.lane(&id).await {
                Err(error) if error.status == NOT_FOUND => {
                    self.check_not_behind(&client).await?;
                    // It may have caught up since it was asked: only what it says from here on counts.
                    client.lane(&id).await
                }
                answered => answered,
            }
        })
        .await
    }

    /// As [`LedgerClient::submit`].
    ///
    /// # Errors
    /// As [`Validators::account`].
    pub async fn submit(&self, tx: &SignedTx) -> Result<Submitted, ApiError> {
        self.ask(|client| async move { client.submit(tx).await }).await
    }

    /// As [`LedgerClient::tx`].
    ///
    /// # Errors
    /// As [`Validators::account`].
    pub async fn tx(&self, hash: TxHash, wait: Duration) -> Result<Tx, ApiError> {
        self.ask(|client| async move { client.tx(hash, wait).await }).await
    }

    /// Why the validator before the present one was left; taken once.
    pub fn take_left(&self) -> Option<String> {
        self.shared.left.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks the present one, and each other one once if it does not answer.
    async fn ask<'a, T, F>(&'a self, call: impl Fn(LedgerClient) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>> + 'a,
    {
        let count = self.shared.clients.len();
        let first = self.shared.current.load(Ordering::Relaxed);
        let mut failure = None;
        for turn in 0..count {
            let index = (first + turn) % count;
            let client = self.shared.clients[index].clone();
            let fits = if turn == 0 && self.shared.chain.get().is_some() {
                Ok(())
            } else {
                self.fits(&client).await
            };
            let answered = match fits {
                Ok(()) => call(client).await,
                Err(error) => Err(error),
            };
            match answered {
                Err(error) if is_away(&error) => failure = Some(error),
                answered => {
                    self.settle_on(index, failure);
                    return answered;
                }
            }
        }
        Err(failure.expect("there is at least one validator"))
    }

    /// From here on this one is asked first.
    fn settle_on(&self, index: usize, failure: Option<ApiError>) {
        let Some(failure) = failure else { return };
        self.shared.current.store(index, Ordering::Relaxed);
        let mut left = self.shared.left.write().unwrap_or_else(PoisonError::into_inner);
        *left = Some(failure.to_string());
    }

    /// Whether a validator is of the ledger that this router began with.
    async fn fits(&self, client: &LedgerClient) -> Result<(), ApiError> {
        let status = client.status().await?;
        self.shared.seen.fetch_max(status.height, Ordering::Relaxed);
        let chain = self.shared.chain.get_or_init(|| status.chain_id.clone());
        if *chain == status.chain_id {
            return Ok(());
        }
        Err(ApiError::new(UNAVAILABLE, fault::LEDGER_OTHER, "a validator is of another ledger")
            .why(format!("its chain is {}, the others' is {chain}", status.chain_id))
            .fix("correct ledger.url"))
    }

    /// What a validator does not know counts only if it is as far as the farthest.
    async fn check_not_behind(&self, client: &LedgerClient) -> Result<(), ApiError> {
        let height = client.status().await?.height;
        let seen = self.shared.seen.fetch_max(height, Ordering::Relaxed);
        if height >= seen {
            return Ok(());
        }
        Err(ApiError::new(UNAVAILABLE, fault::LEDGER_UNREACHABLE, "the validator is behind")
            .why(format!("it is at height {height}, another one was at {seen}")))
    }
}

/// Whether another validator may do better.
fn is_away(error: &ApiError) -> bool {
    (error.is_transient() && error.status != TOO_MANY) || error.code == http::code::BROKEN
}
