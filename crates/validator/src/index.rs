//! What people ask about the past: receipts, settlements, totals, closed lanes.
//!
//! It follows from the blocks and decides nothing. Each list has a bound and drops its oldest; the
//! blocks themselves keep everything.

use std::collections::{BTreeMap, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_ledger::amount::Amount;
use srwan_ledger::block::Block;
use srwan_ledger::hash::TxHash;
use srwan_ledger::lane::Lane;
use srwan_ledger::outcome::{BlockOutcome, Effect, Event, Outcome, TxReceipt};
use srwan_ledger::state::State;
use srwan_ledger::ticket::Settlement;
use srwan_wire::id::{AccountKey, Height, LaneId};

use crate::events::Events;

/// Receipts that are kept: an hour at 5 transactions a second, about 10 MB.
pub const RECEIPTS_MAX: usize = 20_000;
/// Settlements that are kept.
pub const TICKETS_MAX: usize = 20_000;
/// Closed lanes that are kept.
pub const CLOSED_LANES_MAX: usize = 10_000;

/// One settlement, with where it came from.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SettledTicket {
    /// The transaction.
    pub hash: TxHash,
    /// The block.
    pub height: Height,
    /// Who pays.
    pub payer: AccountKey,
    /// Who submitted it.
    pub submitter: AccountKey,
    /// What it moved.
    pub settlement: Settlement,
}

/// What an account got from tickets, and what its lanes paid, since genesis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Totals {
    /// Shares that it got.
    pub earned: Amount,
    /// Charges that its lanes paid.
    pub applied: Amount,
}

/// The index of the past.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Index {
    receipts: BTreeMap<TxHash, TxReceipt>,
    receipts_order: VecDeque<TxHash>,
    tickets: VecDeque<SettledTicket>,
    totals: BTreeMap<AccountKey, Totals>,
    closed_lanes: BTreeMap<LaneId, Lane>,
    closed_order: VecDeque<LaneId>,
    events: Events,
}

impl Index {
    /// Takes in what a block did; `state` is that after it.
    pub fn after_block(&mut self, block: &Block, outcome: &BlockOutcome, state: &State) {
        for event in &outcome.events {
            if let Event::LaneRefunded { id, lane, .. } = event {
                self.closed_lanes.insert(*id, lane.clone());
                self.closed_order.push_back(*id);
            }
        }
        for (tx, receipt) in block.txs.iter().zip(&outcome.receipts) {
            self.add_receipt(receipt.clone());
            if let Outcome::Applied(Effect::Settled(settlement)) = &receipt.outcome {
                self.add_settlement(tx.body.sender, receipt, settlement, state);
            }
        }
        self.events.after_block(block, outcome);
        self.drop_oldest();
    }

    /// The last events.
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// Whether a transaction ran: refused ones may still.
    pub fn has_run(&self, hash: &TxHash) -> bool {
        let receipt = self.receipts.get(hash);
        receipt.is_some_and(|receipt| !matches!(receipt.outcome, Outcome::Refused(_)))
    }

    /// What became of a transaction.
    pub fn receipt(&self, hash: &TxHash) -> Option<&TxReceipt> {
        self.receipts.get(hash)
    }

    /// Settlements, newest first.
    pub fn tickets(&self) -> impl Iterator<Item = &SettledTicket> {
        self.tickets.iter().rev()
    }

    /// What `account` got and paid.
    pub fn totals(&self, account: &AccountKey) -> Totals {
        self.totals.get(account).copied().unwrap_or_default()
    }

    /// A lane that was refunded, as it last was.
    pub fn closed_lane(&self, id: &LaneId) -> Option<&Lane> {
        self.closed_lanes.get(id)
    }

    fn add_receipt(&mut self, receipt: TxReceipt) {
        let hash = receipt.hash;
        let known = self.receipts.get(&hash).map(|receipt| &receipt.outcome);
        // A refused one may run in a later block; one that ran is refused if it comes again.
        match (known, &receipt.outcome) {
            (None, _) => self.receipts_order.push_back(hash),
            (Some(Outcome::Refused(_)), _) => {}
            (Some(Outcome::Applied(_) | Outcome::Rejected(_)), _) => return,
        }
        self.receipts.insert(hash, receipt);
    }

    fn add_settlement(
        &mut self,
        submitter: AccountKey,
        receipt: &TxReceipt,
        settlement: &Settlement,
        state: &State,
    ) {
        let lane = state.lane(&settlement.lane).ok();
        let lane = lane.or_else(|| self.closed_lanes.get(&settlement.lane));
        let Some(payer) = lane.map(|lane| lane.payer) else {
            return;
        };
        add(&mut self.totals.entry(payer).or_default().applied, settlement.charge);
        for (payee, share) in &settlement.shares {
            add(&mut self.totals.entry(*payee).or_default().earned, *share);
        }
        self.tickets.push_back(SettledTicket {
            hash: receipt.hash,
            height: receipt.height,
            payer,
            submitter,
            settlement: settlement.clone(),
        });
    }

    fn drop_oldest(&mut self) {
        while self.receipts_order.len() > RECEIPTS_MAX {
            if let Some(hash) = self.receipts_order.pop_front() {
                self.receipts.remove(&hash);
            }
        }
        while self.tickets.len() > TICKETS_MAX {
            self.tickets.pop_front();
        }
        while self.closed_order.len() > CLOSED_LANES_MAX {
            if let Some(lane) = self.closed_order.pop_front() {
                self.closed_lanes.remove(&lane);
            }
        }
    }
}

fn add(total: &mut Amount, more: Amount) {
    *total = total.checked_add(more).unwrap_or(Amount::from_base(u64::MAX));
}
