//! The ledger as this process holds it: what is final, what waits, and who is told.
//!
//! Readers see only final things. The order of locks is `view`, then `mempool`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use srwan_api::http::ApiError;
use srwan_api::ledger::problem;
use srwan_ledger::block::Block;
use srwan_ledger::hash::TxHash;
use srwan_ledger::state::State;
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::Height;
use srwan_wire::time::Timestamp;
use tokio::sync::watch;

use crate::index::Index;
use crate::mempool::Mempool;

/// What is final.
#[derive(Debug)]
pub struct View {
    /// The state after the last block.
    pub state: State,
    /// What is kept of the blocks before.
    pub index: Index,
    /// When the last block was made.
    pub time: Timestamp,
}

impl View {
    /// Executes a block that follows the state, and indexes what it did.
    ///
    /// **Errors:** the block does not follow; nothing has changed.
    pub fn execute(&mut self, block: &Block) -> Result<(), srwan_ledger::block::BlockError> {
        let outcome = self.state.execute(block)?;
        self.index.after_block(block, &outcome, &self.state);
        self.time = block.header.time;
        Ok(())
    }
}

/// The ledger, shared between the engine and the RPC.
#[derive(Debug)]
pub struct Ledger {
    view: RwLock<View>,
    mempool: Mutex<Mempool>,
    accepting: AtomicBool,
    heights: watch::Sender<Height>,
    arrivals: watch::Sender<u64>,
}

impl Ledger {
    /// A ledger at `view` that takes transactions.
    pub fn new(view: View) -> Self {
        let height = view.state.height();
        Self {
            view: RwLock::new(view),
            mempool: Mutex::default(),
            accepting: AtomicBool::new(true),
            heights: watch::Sender::new(height),
            arrivals: watch::Sender::new(0),
        }
    }

    /// What is final, for as long as the guard lives: keep it short.
    pub fn view(&self) -> RwLockReadGuard<'_, View> {
        // A panic while executing ends the process, so a poisoned view is never served for long.
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits.
    pub fn mempool(&self) -> MutexGuard<'_, Mempool> {
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a transaction, or says why not. Taking one again does no harm.
    ///
    /// **Errors:** the ledger's or the pool's reason.
    pub fn submit(&self, tx: SignedTx) -> Result<TxHash, ApiError> {
        let hash = tx.body.hash();
        let view = self.view();
        if view.index.receipt(&hash).is_some() || self.mempool().contains(&hash) {
            return Ok(hash);
        }
        let next = view.state.account(&tx.body.sender).nonce;
        let checked = if tx.body.nonce == next {
            view.state.preview(&tx).map(|_| ())
        } else {
            // What comes before it decides the rest.
            view.state.check_form(&tx, view.state.next_height())
        };
        checked.map_err(|rejection| problem(&rejection))?;
        let taken = self.mempool().insert(tx, next).map_err(|error| error.problem());
        drop(view);
        self.arrivals.send_modify(|count| *count += 1);
        taken
    }

    /// Transactions for the next block.
    pub fn select(&self, octets_max: u64) -> Vec<SignedTx> {
        let view = self.view();
        self.mempool().select(octets_max, |account| view.state.account(account).nonce)
    }

    /// Whether a block would have anything in it.
    pub fn has_ready(&self) -> bool {
        let view = self.view();
        self.mempool().has_ready(|account| view.state.account(account).nonce)
    }

    /// Executes a block that is durable, and tells everyone who waits.
    ///
    /// **Errors:** the block does not follow the state; nothing has changed.
    pub fn finalize(&self, block: &Block) -> Result<(), srwan_ledger::block::BlockError> {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.execute(block)?;
        self.mempool().forget(&block.txs, |account| view.state.account(account).nonce);
        drop(view);
        self.heights.send_replace(block.header.height);
        Ok(())
    }

    /// Tells each final height.
    pub fn watch_heights(&self) -> watch::Receiver<Height> {
        self.heights.subscribe()
    }

    /// Tells when transactions arrive.
    pub fn watch_arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// Whether transactions are taken.
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
    }

    /// Takes no more transactions.
    pub fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Release);
    }
}
