//! What people see of the account: the ledger's last word, and the tickets this router handed in.

use std::collections::VecDeque;

use srwan_api::http::ApiError;
use srwan_api::ledger::{Account, Tickets, Tx, TxStatus};
use srwan_ledger::hash::TxHash;
use srwan_node::pay::Evidence;
use srwan_wire::id::{AccountKey, LaneId, Octets};

use crate::clock::real_time;

/// Tickets that are remembered: a month of a busy router.
const TICKETS_MAX: usize = 512;

/// How far a ticket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketPhase {
    /// Handed in, not in a block yet.
    Submitted,
    /// In a block, and it settled.
    Final,
    /// In a block or refused, and it did not settle.
    Rejected,
}

/// A ticket that this router handed in.
#[derive(Clone, Debug, PartialEq)]
pub struct TicketState {
    /// Its transaction.
    pub hash: TxHash,
    /// Its lane.
    pub lane: LaneId,
    /// What it claims in all.
    pub octets: Octets,
    /// How far it is.
    pub phase: TicketPhase,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Coins that it paid to this router.
    pub earned: String,
    /// Nanoseconds since the UNIX epoch when it was handed in.
    pub at_ns: u64,
    /// The block that holds it.
    pub height: Option<u64>,
}

/// The account as the ledger last said, and whether it answers.
#[derive(Clone, Debug)]
pub struct WalletView {
    /// Whose.
    pub key: AccountKey,
    /// The ledger's last word; `None` before the first.
    pub account: Option<Account>,
    /// Settlements in which this account took part, newest first.
    pub settlements: Option<Tickets>,
    /// Height of that word.
    pub height: Option<u64>,
    /// When the ledger last answered, nanoseconds since the UNIX epoch.
    pub last_ok_ns: Option<u64>,
    /// The last error if it does not answer.
    pub error: Option<String>,
    /// Oldest first.
    pub tickets: VecDeque<TicketState>,
}

impl WalletView {
    /// Nothing is known yet.
    pub fn new(key: AccountKey) -> Self {
        Self {
            key,
            account: None,
            settlements: None,
            height: None,
            last_ok_ns: None,
            error: None,
            tickets: VecDeque::new(),
        }
    }

    /// Takes in one round of answers.
    pub fn update(
        &mut self,
        account: Result<Account, ApiError>,
        tickets: Result<Tickets, ApiError>,
        height: u64,
    ) {
        match account {
            Ok(account) => {
                self.account = Some(account);
                self.height = Some(height);
                self.last_ok_ns = Some(now_ns());
                self.error = None;
            }
            Err(error) => self.is_down(&error),
        }
        if let Ok(tickets) = tickets {
            self.settlements = Some(tickets);
        }
    }

    /// The ledger does not answer.
    pub fn is_down(&mut self, error: &ApiError) {
        self.error = Some(error.to_string());
    }

    /// A ticket was handed in.
    pub fn submitted(&mut self, hash: TxHash, evidence: &Evidence) {
        if self.tickets.iter().any(|ticket| ticket.hash == hash) {
            return;
        }
        if self.tickets.len() == TICKETS_MAX {
            self.tickets.pop_front();
        }
        self.tickets.push_back(TicketState {
            hash,
            lane: evidence.lane,
            octets: evidence.octets(),
            phase: TicketPhase::Submitted,
            reason: None,
            earned: "0".to_owned(),
            at_ns: now_ns(),
            height: None,
        });
    }

    /// A ticket is final.
    pub fn finished(&mut self, hash: TxHash, tx: &Tx) {
        let key = self.key.to_string();
        let Some(ticket) = self.tickets.iter_mut().find(|ticket| ticket.hash == hash) else {
            return;
        };
        ticket.height = tx.height;
        ticket.reason = tx.problem.as_ref().map(|problem| problem.what.clone());
        ticket.phase = match tx.status {
            TxStatus::Pending => TicketPhase::Submitted,
            TxStatus::Applied => TicketPhase::Final,
            TxStatus::Rejected | TxStatus::Refused => TicketPhase::Rejected,
        };
        if let Some(srwan_api::ledger::Effect::Settled { settlement }) = &tx.effect {
            let own = settlement.shares.iter().find(|share| share.account == key);
            ticket.earned = own.map_or_else(|| "0".to_owned(), |share| share.coins.clone());
        }
    }
}

fn now_ns() -> u64 {
    u64::try_from(real_time().as_nanos()).unwrap_or(u64::MAX)
}
