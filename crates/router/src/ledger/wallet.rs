//! What people see of the account: the ledger's last word, and the tickets this router handed in.

use std::collections::VecDeque;

use srwan_api::http::ApiError;
use srwan_api::ledger::{Account, Tickets, Tx, TxStatus};
use srwan_ledger::amount::Amount;
use srwan_ledger::hash::TxHash;
use srwan_node::pay::Evidence;
use srwan_wire::id::{AccountKey, LaneId, Octets};

use crate::clock::real_time;
use crate::fault::{self, Fault};

/// What the ledger says of a lane for which the escrow has too few coins.
const CODE_ESCROW_TOO_LOW: &str = "SRW-L203";

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
    escrow_short: Option<EscrowShort>,
}

/// The ledger refused a lane because the escrow has too few coins.
#[derive(Clone, Debug)]
struct EscrowShort {
    /// What the ledger said.
    why: String,
    /// Free coins of the escrow at that time, as far as they were known.
    free: Amount,
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
            escrow_short: None,
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
                let free = self.escrow_free();
                self.escrow_short.take_if(|short| short.free < free);
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

    /// The ledger refused a lane.
    pub fn lane_refused(&mut self, error: &ApiError) {
        if error.code == CODE_ESCROW_TOO_LOW {
            let (why, free) = (error.what.clone(), self.escrow_free());
            self.escrow_short = Some(EscrowShort { why, free });
        }
    }

    /// A lane was opened: there are coins.
    pub fn lane_opened(&mut self) {
        self.escrow_short = None;
    }

    /// What keeps this router from paying for paths, from the first lane refused until one is opened or coins come in.
    pub fn fault(&self) -> Option<Fault> {
        self.escrow_short.as_ref().map(|short| {
            Fault::new(
                fault::ESCROW_USED_UP,
                "escrow is used up: traffic stays on its default path",
                &short.why,
                "send coins to this router's account, or raise [ledger] escrow_coins; then restart",
            )
        })
    }

    fn escrow_free(&self) -> Amount {
        let coins = self.account.as_ref().map(|account| &account.escrow_free_coins);
        coins.and_then(|text| Amount::parse_coins(text).ok()).unwrap_or(Amount::ZERO)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn account(escrow_free_coins: &str) -> Account {
        Account {
            schema: String::new(),
            account: String::new(),
            balance_coins: "0".into(),
            nonce: 0,
            next_nonce: 0,
            escrow_free_coins: escrow_free_coins.into(),
            lanes_coins: "0".into(),
            lanes: 0,
            earned_coins: "0".into(),
            applied_coins: "0".into(),
            router: None,
            vote: None,
        }
    }

    fn no_news() -> Result<Tickets, ApiError> {
        Err(ApiError::new(0, "", ""))
    }

    /// A router that was refused a lane with this code while its escrow had half a coin.
    fn refused(code: &str) -> WalletView {
        let mut view = WalletView::new(AccountKey([0; 32]));
        view.update(Ok(account("0.5")), no_news(), 1);
        view.lane_refused(&ApiError::new(422, code, "the escrow has 0.5 free coins"));
        view
    }

    #[test]
    fn a_used_up_escrow_is_shown_until_coins_come_in_or_a_lane_opens() {
        let mut view = refused(CODE_ESCROW_TOO_LOW);
        assert_eq!(view.fault().unwrap().code, fault::ESCROW_USED_UP);
        view.update(Ok(account("0.5")), no_news(), 2);
        assert_eq!(view.fault().unwrap().why, "the escrow has 0.5 free coins");
        view.update(Ok(account("0.6")), no_news(), 3);
        assert_eq!(view.fault(), None);
        let mut view = refused(CODE_ESCROW_TOO_LOW);
        view.lane_opened();
        assert_eq!(view.fault(), None);
    }

    #[test]
    fn a_lane_refused_for_another_reason_says_nothing_of_the_escrow() {
        assert_eq!(refused("SRW-L306").fault(), None);
    }
}
