//! The ledger as this process holds it: what is final, what waits, and who is told.
//!
//! Readers see only final things. The order of locks is `view`, then `mempool` or `checked`, which are
//! never held both.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use srwan_api::http::ApiError;
use srwan_api::ledger::problem;
use srwan_engine::Handle;
use srwan_ledger::block::{Block, BlockError};
use srwan_ledger::hash::TxHash;
use srwan_ledger::outcome::BlockOutcome;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::signature::{Checked, Form};
use srwan_ledger::state::State;
use srwan_ledger::tx::{Action, SignedTx};
use srwan_wire::id::Height;
use srwan_wire::time::Timestamp;
use tokio::sync::watch;

use crate::gossip::Outbox;
use crate::index::Index;
use crate::mempool::Mempool;
use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::standing::{Standing, Start};

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
    pub fn execute(&mut self, block: &Block) -> Result<BlockOutcome, BlockError> {
        let mut checked = Checked::new();
        checked.check(&self.state, &block.txs);
        let forms: Vec<Form> = block.txs.iter().map(Form::of).collect();
        self.execute_forms(block, &forms, &checked)
    }

    /// The same of transactions whose forms are known; signatures that `checked` knows are not checked again.
    ///
    /// **Errors:** the same.
    pub fn execute_forms(
        &mut self,
        block: &Block,
        forms: &[Form],
        checked: &Checked,
    ) -> Result<BlockOutcome, BlockError> {
        let outcome = self.state.execute_forms(block, forms, checked)?;
        self.index.after_block(block, &outcome, &self.state);
        self.time = block.header.time;
        Ok(outcome)
    }
}

/// Where a transaction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was handed in here: the other validators are told.
    Here,
    /// Another validator told.
    Peer,
}

/// The ledger, shared between the engine and the RPC.
pub struct Ledger {
    view: RwLock<View>,
    mempool: Mutex<Mempool>,
    checked: Mutex<Checked>,
    recent: Mutex<Recent>,
    accepting: AtomicBool,
    heights: watch::Sender<Height>,
    engine: OnceLock<Handle>,
    stored: OnceLock<Height>,
    /// Transactions for the other validators.
    pub outbox: Outbox,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Ledger {
    /// A ledger at `view` that takes transactions.
    pub fn new(view: View) -> Self {
        let height = view.state.height();
        Self {
            view: RwLock::new(view),
            mempool: Mutex::default(),
            checked: Mutex::default(),
            recent: Mutex::default(),
            accepting: AtomicBool::new(true),
            heights: watch::Sender::new(height),
            engine: OnceLock::new(),
            stored: OnceLock::new(),
            outbox: Outbox::default(),
            metrics: Arc::new(Metrics::new()),
        }
    }

    /// Lets the engine be woken and asked. Before that, nothing is.
    pub fn connect(&self, engine: Handle) {
        let _ = self.engine.set(engine);
    }

    /// Notes which blocks the engine had when it started: they are executed before anything else.
    pub async fn note_stored(&self, engine: &Handle) {
        let executed = self.view().state.height().0;
        let mut span = 1;
        while engine.block(executed.saturating_add(span)).await.is_some() {
            span *= 2;
        }
        // The last one is at or above `executed + low`, and below `executed + high`.
        let (mut low, mut high) = (span / 2, span);
        while high - low > 1 {
            let middle = low.midpoint(high);
            match engine.block(executed + middle).await {
                Some(_) => low = middle,
                None => high = middle,
            }
        }
        let _ = self.stored.set(Height(executed + low));
    }

    /// The engine, once it runs.
    pub fn engine(&self) -> Option<&Handle> {
        self.engine.get()
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

    /// Transactions whose signatures are known to be valid.
    fn checked(&self) -> MutexGuard<'_, Checked> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all that would be executed of `txs` is signed by its senders; checks what is not known
    /// yet at once, and remembers it for the execution.
    pub fn are_signed(&self, txs: &[SignedTx]) -> bool {
        let forms = self.check_signatures(txs);
        let (view, checked) = (self.view(), self.checked());
        let is_forged = |(tx, form): (&SignedTx, &Form)| {
            let formed = view.state.check_form_checked(tx, form, &checked);
            formed == Err(Rejection::BadSignature)
        };
        !txs.iter().zip(&forms).any(is_forged)
    }

    /// Checks the signatures of `txs` that are not known yet, all at once. Nobody waits for it: no lock
    /// is held meanwhile. Returns the transactions' forms, in their order.
    fn check_signatures(&self, txs: &[SignedTx]) -> Vec<Form> {
        let forms: Vec<Form> = txs.iter().map(Form::of).collect();
        let unchecked = {
            let view = self.view();
            self.checked().unchecked(&view.state, txs.iter().zip(&forms))
        };
        let valid = unchecked.check();
        self.checked().merge(valid);
        forms
    }

    /// The last final headers, and who signed them.
    pub fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes transactions, or says why not, each for itself; their signatures are checked together.
    /// Taking one again does no harm.
    ///
    /// **Errors:** the ledger's or the pool's reason.
    pub fn submit(&self, txs: Vec<SignedTx>, origin: Origin) -> Vec<Result<TxHash, ApiError>> {
        let forms = self.check_signatures(&txs);
        let taken = txs.into_iter().zip(&forms).map(|(tx, form)| self.take(tx, form, origin));
        let taken: Vec<_> = taken.collect();
        let refused = taken.iter().filter_map(|taken| taken.as_ref().err());
        refused.for_each(|why| self.metrics.not_taken(&why.code));
        if self.has_ready() {
            self.wake();
        }
        taken
    }

    fn take(&self, tx: SignedTx, form: &Form, origin: Origin) -> Result<TxHash, ApiError> {
        let hash = form.hash;
        let view = self.view();
        if view.index.has_run(&hash) || self.mempool().contains(&hash) {
            return Ok(hash);
        }
        let next = view.state.account(&tx.body.sender).nonce;
        self.judge(&view, (&tx, form), next).map_err(|rejection| problem(&rejection))?;
        let copy = (origin == Origin::Here).then(|| tx.clone());
        self.mempool().insert(tx, form, next).map_err(|error| error.problem())?;
        if let Some(copy) = copy {
            self.metrics.taken(hash);
            self.outbox.put(&copy);
        }
        Ok(hash)
    }

    /// Whether a transaction may wait, its account's next nonce being `next`.
    fn judge(
        &self,
        view: &View,
        (tx, form): (&SignedTx, &Form),
        next: u64,
    ) -> Result<(), Rejection> {
        let checked = self.checked();
        if tx.body.nonce == next {
            return view.state.preview_form(tx, form, &checked).map(drop);
        }
        // What comes before it decides the rest.
        view.state.check_form_checked(tx, form, &checked)?;
        check_can_pay(&view.state, tx)
    }

    /// Tells a waiting proposer that something changed.
    pub fn wake(&self) {
        if let Some(engine) = self.engine.get() {
            engine.wake();
        }
    }

    /// Whether a block would have anything in it.
    pub fn has_ready(&self) -> bool {
        let view = self.view();
        self.mempool().has_ready(|account| view.state.account(account).nonce)
    }

    /// Executes a final block, and tells everyone who waits.
    ///
    /// **Errors:** the block does not follow the state; nothing has changed.
    pub fn finalize(&self, block: &Block) -> Result<(), BlockError> {
        let started = Instant::now();
        // Before anyone has to wait for the view: those that nobody voted on here may be many.
        let forms = self.check_signatures(&block.txs);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.execute_forms(block, &forms, &self.checked())?;
        let height = block.header.height;
        let mut mempool = self.mempool();
        mempool.forget(&block.txs, |account| view.state.account(account).nonce);
        mempool.forget_expired(height);
        drop(mempool);
        drop(view);
        let names: Vec<TxHash> = forms.iter().map(|form| form.hash).collect();
        self.metrics.executed(&names, started.elapsed());
        self.heights.send_replace(height);
        self.wake();
        Ok(())
    }

    /// Tells each final height.
    pub fn watch_heights(&self) -> watch::Receiver<Height> {
        self.heights.subscribe()
    }

    /// Where this validator stands among its peers.
    pub fn standing(&self) -> Standing {
        let status = self.engine.get().map(Handle::status).unwrap_or_default();
        let stored = self.stored.get().copied();
        Standing::new(&self.view().state, &status, Start { stored })
    }

    /// Whether the process goes on; transactions are taken if it is not behind either.
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Acquire)
    }

    /// Takes no more transactions.
    pub fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({:?})", self.view().state)
    }
}

/// Checks that someone could pay the fee of a transaction whose turn is later: its sender, or the
/// lane that it settles. Otherwise waiting would cost nothing, and displace those who pay.
fn check_can_pay(state: &State, tx: &SignedTx) -> Result<(), Rejection> {
    let body = &tx.body;
    if let Action::Ticket(ticket) = &body.action {
        return match state.lane(&ticket.lane)?.is_party(&body.sender) {
            true => Ok(()),
            false => Err(Rejection::NotAParty),
        };
    }
    let available = state.account(&body.sender).balance;
    match available < body.fee {
        true => Err(Rejection::FeeUnaffordable { available, fee: body.fee }),
        false => Ok(()),
    }
}
