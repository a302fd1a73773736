//! What happened, in order, for whoever listens: the last events, numbered from genesis.
//!
//! The numbers follow from the blocks alone, so they are the same on every validator and a listener
//! may go on with another one. Only the count is kept in snapshots; the events themselves come back
//! as far as blocks are executed again.

use std::collections::VecDeque;

use borsh::{BorshDeserialize, BorshSerialize};
use srwan_api::ledger::{Event, Happened, TxStatus};
use srwan_ledger::block::Block;
use srwan_ledger::outcome::{BlockOutcome, Effect, Event as Rule, Outcome, TxReceipt};
use srwan_ledger::tx::SignedTx;
use srwan_wire::id::Height;

/// Events that are kept: some seconds of full blocks, hours of usual ones; about 10 MB.
pub const EVENTS_MAX: usize = 32_768;

/// The last events.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Events {
    next: u64,
    #[borsh(skip)]
    kept: VecDeque<Event>,
}

impl Events {
    /// Takes in what a block did; its own event comes last.
    pub fn after_block(&mut self, block: &Block, outcome: &BlockOutcome) {
        let height = block.header.height;
        for (tx, receipt) in block.txs.iter().zip(&outcome.receipts) {
            self.add_tx(height, tx, receipt);
        }
        for event in &outcome.events {
            self.add(height, rule(event));
        }
        self.add(
            height,
            Happened::Block {
                hash: block.header.hash().to_string(),
                txs: u32::try_from(block.txs.len()).unwrap_or(u32::MAX),
                state_root: outcome.root.to_string(),
            },
        );
    }

    /// The number of the next event.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The number of the oldest event that is kept.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.kept.front().map_or(self.next, |event| event.seq)
    }

    /// At most `count` events from number `from` on; `None` if that one is no longer kept.
    #[must_use]
    pub fn from(&self, from: u64, count: usize) -> Option<Vec<Event>> {
        let skipped = from.checked_sub(self.oldest())?;
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Some(self.kept.iter().skip(skipped).take(count).cloned().collect())
    }

    fn add_tx(&mut self, height: Height, tx: &SignedTx, receipt: &TxReceipt) {
        let (status, code) = match &receipt.outcome {
            Outcome::Applied(_) => (TxStatus::Applied, None),
            Outcome::Rejected(why) => (TxStatus::Rejected, Some(why.code().to_owned())),
            Outcome::Refused(why) => (TxStatus::Refused, Some(why.code().to_owned())),
        };
        let (hash, sender) = (receipt.hash.to_string(), tx.body.sender.to_string());
        self.add(height, Happened::Tx { hash, sender, status, code });
        if let Outcome::Applied(Effect::Settled(settlement)) = &receipt.outcome {
            let settled = Happened::Settled {
                lane: settlement.lane.to_string(),
                settled_bytes: settlement.settled.0,
                charge_coins: settlement.charge.to_string(),
            };
            self.add(height, settled);
        }
    }

    fn add(&mut self, height: Height, what: Happened) {
        if self.kept.len() >= EVENTS_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Event { seq: self.next, height: height.0, what });
        self.next += 1;
    }
}

/// What the end of a block did, in one word and its subject.
fn rule(event: &Rule) -> Happened {
    let (rule, subject, coins) = match event {
        Rule::LaneExpired { lane, until: _ } => ("lane_expired", lane.to_string(), None),
        Rule::LaneRefunded { id, lane: _, refund, carry: _ } => {
            ("lane_refunded", id.to_string(), Some(refund.to_string()))
        }
        Rule::BondReturned { account, amount } => {
            ("bond_returned", account.to_string(), Some(amount.to_string()))
        }
        Rule::ValidatorPaid { account, amount } => {
            ("validator_paid", account.to_string(), Some(amount.to_string()))
        }
        Rule::DividendPaid { account, amount } => {
            ("dividend_paid", account.to_string(), Some(amount.to_string()))
        }
        Rule::Contract(event) => {
            let (rule, subject, coins) = event.told();
            (rule, subject, coins.map(|coins| coins.to_string()))
        }
        Rule::CommitteeFixed { epoch, members: _ } => ("committee_fixed", epoch.to_string(), None),
        Rule::ParameterChanged(change) => {
            ("parameter_changed", format!("{:?} = {}", change.parameter, change.value), None)
        }
    };
    Happened::Rule { rule: rule.to_owned(), subject, coins }
}
