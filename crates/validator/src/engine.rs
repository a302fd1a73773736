//! What orders blocks. This module is the seam: whatever stands here decides *which* transactions
//! come *when*, and nothing else in the process does.
//!
//! An engine works on an [`Application`]: it asks for a proposal, agrees on it with its peers, and
//! hands over each final block once, in order. [`Solo`] is an engine without peers.

use std::time::Instant;

use srwan_api::http::ApiError;
use srwan_ledger::block::{BLOCK_OCTETS_MAX, Block, Maker};
use srwan_wire::id::ValidatorKey;
use srwan_wire::time::Timestamp;
use tokio::sync::watch;

use crate::config::Pacing;
use crate::ledger::Ledger;
use crate::store::Store;

/// What an engine orders blocks for.
#[derive(Debug)]
pub struct Application<'a> {
    /// The ledger in memory.
    pub ledger: &'a Ledger,
    /// The ledger on disk.
    pub store: &'a std::sync::RwLock<Store>,
    /// Who proposes.
    pub validator: ValidatorKey,
    /// Blocks between two snapshots.
    pub snapshot_blocks: u64,
}

impl Application<'_> {
    /// A block that follows the last final one; `voters` finalized that one.
    #[must_use]
    pub fn propose(&self, voters: Vec<ValidatorKey>, time: Timestamp) -> Block {
        let txs = self.ledger.select(BLOCK_OCTETS_MAX);
        let maker = Maker { proposer: self.validator, voters, time };
        let header = self.ledger.view().state.next_header(maker, &txs);
        Block { header, txs }
    }

    /// Takes a final block: makes it durable, executes it, tells everyone. In this order, so that
    /// nothing is acknowledged that a crash could take back.
    ///
    /// **Errors:** the disk failed or the block does not follow; the process must stop.
    pub fn finalize(&self, block: &Block) -> Result<(), ApiError> {
        self.write_store().append(block)?;
        self.ledger.finalize(block).map_err(|error| {
            let what = "a final block does not follow this ledger's state";
            ApiError::new(0, crate::fault::code::DAMAGED, what).why(error.to_string())
        })?;
        if block.header.height.0.is_multiple_of(self.snapshot_blocks) {
            self.snapshot();
        }
        Ok(())
    }

    /// Writes a snapshot of what is final.
    pub fn snapshot(&self) {
        let store = self.store.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        store.snapshot(&self.ledger.view());
    }

    fn write_store(&self) -> std::sync::RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// An engine of one validator: what it proposes is final.
#[derive(Clone, Copy, Debug)]
pub struct Solo {
    /// When blocks are made.
    pub pacing: Pacing,
}

impl Solo {
    /// Makes blocks until `stop` says so.
    ///
    /// **Errors:** the disk failed; nothing after the last final block was acknowledged.
    pub async fn run(
        &self,
        application: &Application<'_>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ApiError> {
        let mut arrivals = application.ledger.watch_arrivals();
        let mut last = Instant::now();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                () = self.next_block_due(application.ledger, &mut arrivals, last) => {}
            }
            last = Instant::now();
            let is_first = application.ledger.view().state.height().0 == 0;
            let voters = if is_first { Vec::new() } else { vec![application.validator] };
            let block = application.propose(voters, wall_clock());
            // A disk that waits must not hold up the RPC's own thread of this runtime.
            tokio::task::block_in_place(|| application.finalize(&block))?;
        }
    }

    /// Waits until a block is due: `pacing.block` after the last if transactions wait, else
    /// `pacing.idle_block`.
    async fn next_block_due(
        &self,
        ledger: &Ledger,
        arrivals: &mut watch::Receiver<u64>,
        last: Instant,
    ) {
        tokio::time::sleep_until((last + self.pacing.block).into()).await;
        arrivals.mark_unchanged();
        while !ledger.has_ready() {
            tokio::select! {
                () = tokio::time::sleep_until((last + self.pacing.idle_block).into()) => return,
                _ = arrivals.changed() => {}
            }
        }
    }
}

fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    Timestamp::from_nanos(nanos)
}
