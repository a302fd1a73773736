//! Lanes: one payer, one path, one funded cap; opened, closed, and refunded after a claim window.
//!
//! ```text
//!            LaneOpen            LaneClose by the payer, or expiry         claim window over
//! (escrow) ----------> Open ------------------------------------> Closing ---------------->
//! (escrow)
//!                        |  ^                                       |
//!                        +--+ Ticket: at least min_settle           + Ticket: any amount
//! ```
//!
//! The cap leaves the escrow when the lane opens, so what a payee saw final stays there until the
//! payee was paid or the claim window is over. A block executes its transactions before it closes
//! lanes: a claim in the last block of the window still wins.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeSet;

use crate::amount::Amount;
use crate::canary::{self, Canary};
use crate::rejection::Rejection;
use crate::table::{Holds, Table};
use crate::ticket::{Division, Terms};
use srwan_wire::id::{AccountKey, ChainId, Height, LaneId, Octets, PathHash};
use srwan_wire::receipt::Price;

/// Payees of a lane: at most three relays and the endpoint in practice, eight by the formulas'
/// tests.
pub const PAYEES_MAX: usize = 8;

/// Who gets a share of a lane, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Payee {
    /// Who.
    pub account: AccountKey,
    /// 1 in the public class; a premium segment's listing says otherwise.
    pub weight: u32,
}

/// What a payer asks for when it opens a lane.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LaneOpen {
    /// The path that the lane pays.
    pub path: PathHash,
    /// Relays in the order of the path, then the endpoint; never the payer. At most [`PAYEES_MAX`].
    pub payees: Vec<Payee>,
    /// What all payees together and the infrastructure account get.
    pub price: Price,
    /// The most that the lane can ever pay.
    pub cap: Amount,
    /// Set aside for the fees of tickets, so that they never eat the cap.
    pub fee_reserve: Amount,
    /// Last height at which the lane is open.
    pub expiry: Height,
}

/// Where a lane is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LanePhase {
    /// Serves traffic and settles in parts.
    Open,
    /// Serves no traffic; settles what was signed before.
    Closing {
        /// Last height at which a ticket is taken; the rest is refunded at its end.
        until: Height,
    },
}

/// One lane.
///
/// Invariant: `settled` is at most [`Terms::octets_max`] of the cap, so that `paid <= charge <=
/// cap`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Lane {
    /// Who pays.
    pub payer: AccountKey,
    /// What was asked for; `fee_reserve` is what is left of it.
    pub open: LaneOpen,
    /// The infrastructure account's part, as it was when the lane opened. **Units:** basis points.
    pub infra_bps: u16,
    /// Where in its life.
    pub phase: LanePhase,
    /// Octets that have been paid for; never falls.
    pub settled: Octets,
    /// What left the lane for payees and the infrastructure account; never falls.
    pub paid: Amount,
}

impl Lane {
    /// The numbers that the charge follows from.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            price: self.open.price,
            infra_bps: self.infra_bps,
            weights: self.open.payees.iter().map(|payee| payee.weight).collect(),
        }
    }

    /// How the charge for `octets` is divided; `octets` at most [`Lane::octets_max`].
    #[must_use]
    pub fn divide(&self, octets: Octets) -> Division {
        self.terms().divide(octets).expect("within octets_max the charge fits the cap")
    }

    /// The most octets that the cap pays for.
    #[must_use]
    pub fn octets_max(&self) -> Octets {
        self.terms().octets_max(self.open.cap)
    }

    /// The account that signs deliveries: the last payee.
    #[must_use]
    pub fn endpoint(&self) -> AccountKey {
        self.open.payees.last().expect("a lane has payees").account
    }

    /// Whether `account` is the payer or a payee.
    #[must_use]
    pub fn is_party(&self, account: &AccountKey) -> bool {
        self.payer == *account || self.is_payee(account)
    }

    /// Whether `account` is a payee.
    #[must_use]
    pub fn is_payee(&self, account: &AccountKey) -> bool {
        self.open.payees.iter().any(|payee| payee.account == *account)
    }

    /// The coins inside it: what is left of the cap and of the fee reserve.
    #[must_use]
    pub fn funds(&self) -> Amount {
        self.held()
    }

    fn due(&self) -> Height {
        match self.phase {
            LanePhase::Open => self.open.expiry,
            LanePhase::Closing { until } => until,
        }
    }
}

impl Holds for Lane {
    /// Saturates, because a damaged snapshot is counted before it is refused.
    fn held(&self) -> Amount {
        let unpaid = self.open.cap.saturating_sub(self.paid);
        unpaid.checked_add(self.open.fee_reserve).unwrap_or(Amount::from_base(u64::MAX))
    }
}

/// The lane that `payer` opens with the transaction numbered `nonce`.
#[must_use]
pub fn lane_id(chain: &ChainId, payer: &AccountKey, nonce: u64) -> LaneId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"srwan lane v1\0").update(&chain.0).update(&payer.0);
    hasher.update(&nonce.to_le_bytes());
    LaneId(*hasher.finalize().as_bytes())
}

/// Checks what can be checked about a lane without knowing anyone's balance.
pub fn check_open(payer: &AccountKey, open: &LaneOpen) -> Result<(), Rejection> {
    let count = open.payees.len();
    if count == 0 || count > PAYEES_MAX {
        return Err(Rejection::PayeeCount { count: wide(count), max: wide(PAYEES_MAX) });
    }
    if open.payees.iter().any(|payee| payee.account == *payer) {
        return Err(Rejection::PayerIsPayee);
    }
    let distinct: BTreeSet<_> = open.payees.iter().map(|payee| payee.account).collect();
    if distinct.len() != count && !canary::is(Canary::PayeeTwice) {
        return Err(Rejection::PayeeTwice);
    }
    let is_weightless = open.payees.iter().all(|payee| payee.weight == 0);
    if is_weightless && !canary::is(Canary::NoWeightNeeded) {
        return Err(Rejection::NoWeight);
    }
    if open.price == Price(0) || !open.price.is_finite() {
        return Err(Rejection::PriceOutOfRange);
    }
    if open.cap.is_zero() {
        return Err(Rejection::AmountZero);
    }
    Ok(())
}

/// A count as a ledger number.
pub fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// All lanes, and when something is due at each.
///
/// Invariant: `due` has exactly one entry per row, that of [`Lane::due`].
#[derive(Clone)]
pub struct Lanes {
    rows: Table<LaneId, Lane>,
    due: BTreeSet<(Height, LaneId)>,
}

impl Lanes {
    /// No lanes.
    pub(crate) fn new() -> Self {
        Self { rows: Table::new(), due: BTreeSet::new() }
    }

    /// The lane called `id`.
    pub fn get(&self, id: &LaneId) -> Result<&Lane, Rejection> {
        self.rows.get(id).ok_or(Rejection::NoSuchLane)
    }

    /// Writes a lane.
    pub fn put(&mut self, id: LaneId, lane: Lane) {
        self.forget_due(&id);
        self.due.insert((lane.due(), id));
        self.rows.put(id, lane);
    }

    /// Changes a lane in its place.
    ///
    /// **Panics:** if there is none; whoever changes a lane has checked it.
    pub fn change(&mut self, id: &LaneId, change: impl FnOnce(&mut Lane)) {
        let due = self.rows.change(id, |lane| {
            let before = lane.due();
            change(lane);
            (before, lane.due())
        });
        let (before, after) = due.expect("the lane was checked");
        if before != after {
            self.due.remove(&(before, *id));
            self.due.insert((after, *id));
        }
    }

    /// Starts the claim window of an open lane.
    pub fn close(&mut self, id: LaneId, until: Height) {
        self.change(&id, |lane| lane.phase = LanePhase::Closing { until });
    }

    /// Lanes at which something is due at `height` or before.
    pub fn due_by(&self, height: Height) -> Vec<LaneId> {
        self.due.iter().take_while(|(due, _)| *due <= height).map(|(_, id)| *id).collect()
    }

    /// Removes a lane.
    pub fn remove(&mut self, id: &LaneId) {
        self.forget_due(id);
        self.rows.remove(id);
    }

    /// All lanes.
    pub fn iter(&self) -> impl Iterator<Item = (&LaneId, &Lane)> {
        self.rows.iter()
    }

    /// The table below.
    pub const fn rows(&self) -> &Table<LaneId, Lane> {
        &self.rows
    }

    /// Brings the root up to date.
    pub fn seal(&mut self) {
        self.rows.seal();
    }

    fn forget_due(&mut self, id: &LaneId) {
        if let Some(lane) = self.rows.get(id) {
            self.due.remove(&(lane.due(), *id));
        }
    }
}

impl BorshSerialize for Lanes {
    fn serialize<W: borsh::io::Write>(&self, writer: &mut W) -> borsh::io::Result<()> {
        self.rows.serialize(writer)
    }
}

impl BorshDeserialize for Lanes {
    fn deserialize_reader<R: borsh::io::Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let rows = Table::<LaneId, Lane>::deserialize_reader(reader)?;
        let due = rows.iter().map(|(id, lane)| (lane.due(), *id)).collect();
        Ok(Self { rows, due })
    }
}
