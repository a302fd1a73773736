//! Tickets: what a lane owes for the octets that payer and endpoint both signed.
//!
//! All sums are cumulative over the lane's whole traffic B, and a ticket pays the difference to
//! what was settled before. So how tickets are cut never changes a total:
//!
//! ```text
//! C(B) = B * price / 10^6       I(B) = C * infra_bps / 10^4       R(B) = C - I
//! share_i(B) = R * w_i / W      carry(B) = R - sum of shares, which stays in the lane to its end
//! ```
//!
//! B is the lesser of the payer's receipt and the endpoint's delivery, and at most what the cap
//! pays for. Link statements are evidence: they are checked and kept in the block, and they never
//! create or raise a payment (promise I3).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::{Amount, BPS_WHOLE};
use crate::canary::{self, Canary};
use crate::lane::{Lane, LanePhase, PAYEES_MAX, wide};
use crate::rejection::{Field, Rejection};
use srwan_wire::id::{AccountKey, ChainId, LaneId, Octets};
use srwan_wire::receipt::{Delivery, LinkStatement, Price, Receipt, Signable, Signed, contradicts};

/// Octets in the unit that prices are for.
pub const OCTETS_PER_MB: u64 = 1_000_000;

/// Link statements in one ticket: both ends of each link of the longest path.
pub const STATEMENTS_MAX: usize = 2 * PAYEES_MAX;

/// The latest signed evidence of one lane, in one bundle.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Ticket {
    /// The lane to settle.
    pub lane: LaneId,
    /// The payer's latest receipt.
    pub receipt: Receipt,
    /// The endpoint's latest delivery.
    pub delivery: Delivery,
    /// Counters of both ends of the path's links; at most [`STATEMENTS_MAX`].
    pub statements: Vec<LinkStatement>,
}

/// The numbers that a charge follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Base units per MB.
    pub price: Price,
    /// The infrastructure account's part. **Units:** basis points, at most 10^4.
    pub infra_bps: u16,
    /// One per payee; their sum is above zero.
    pub weights: Vec<u32>,
}

/// A charge and who gets it. `charge = infra + sum(shares) + carry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// C.
    pub charge: Amount,
    /// I.
    pub infra: Amount,
    /// One per weight, same order.
    pub shares: Vec<Amount>,
    /// What no share gets: less than the number of payees.
    pub carry: Amount,
}

impl Terms {
    /// How the charge for `octets` in total is divided; `None` if a number does not fit, or no one
    /// has weight.
    #[must_use]
    pub fn divide(&self, octets: Octets) -> Option<Division> {
        let charge = Amount::from_base(octets.0).fraction(self.price.0, OCTETS_PER_MB)?;
        let infra = charge.bps(self.infra_bps.min(BPS_WHOLE))?;
        let rest = charge.checked_sub(infra)?;
        let whole: u64 = self.weights.iter().copied().map(u64::from).sum();
        let share = |weight: &u32| rest.fraction(u64::from(*weight), whole);
        let shares = self.weights.iter().map(share).collect::<Option<Vec<_>>>()?;
        let mut carry = rest.checked_sub(Amount::checked_sum(shares.iter().copied())?)?;
        if canary::is(Canary::CarryLost) {
            carry = Amount::ZERO;
        }
        Some(Division { charge, infra, shares, carry })
    }

    /// The most octets whose charge is at most `cap`.
    ///
    /// From C(B) <= cap follows B * price < (cap + 1) * 10^6.
    #[must_use]
    pub fn octets_max(&self, cap: Amount) -> Octets {
        let below = (u128::from(cap.base()) + 1) * u128::from(OCTETS_PER_MB) - 1;
        let octets = below.checked_div(u128::from(self.price.0)).unwrap_or(u128::MAX);
        Octets(u64::try_from(octets).unwrap_or(u64::MAX))
    }
}

/// What one ticket moves out of its lane.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Settlement {
    /// The lane.
    pub lane: LaneId,
    /// Octets that were settled before.
    pub settled_before: Octets,
    /// Octets that are settled with it.
    pub settled: Octets,
    /// C, the difference to before.
    pub charge: Amount,
    /// I, the difference to before.
    pub infra: Amount,
    /// Each payee's share, the difference to before, in the order of the lane.
    pub shares: Vec<(AccountKey, Amount)>,
}

impl Settlement {
    /// All that leaves the lane for payees and the infrastructure account.
    #[must_use]
    pub fn paid(&self) -> Amount {
        let shares = self.shares.iter().map(|(_, share)| *share);
        Amount::checked_sum(shares.chain([self.infra])).expect("a settlement is at most a cap")
    }

    /// What `account` gets from it.
    #[must_use]
    pub fn share_of(&self, account: &AccountKey) -> Amount {
        let own = self.shares.iter().find(|(payee, _)| payee == account);
        own.map_or(Amount::ZERO, |(_, share)| *share)
    }
}

/// Whether the signatures of a ticket have to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// Not yet: check them.
    Unchecked,
    /// All hold, for the keys that the lane asks for.
    Checked,
}

impl Signatures {
    /// Whether `signed` is `signer`'s.
    fn hold<T: Signable>(self, signed: &Signed<T>, signer: &AccountKey) -> bool {
        match self {
            Self::Unchecked => signed.verify(signer).is_ok(),
            Self::Checked => true,
        }
    }
}

/// Checks a ticket against its lane and computes what it moves; changes nothing.
///
/// **Errors:** the first rule that the ticket breaks.
pub fn settle(
    chain: &ChainId,
    lane: &Lane,
    ticket: &Ticket,
    min_settle: Octets,
    signatures: Signatures,
) -> Result<Settlement, Rejection> {
    let limits = Limits { least: min_settle, most: Octets(u64::MAX) };
    settle_up_to(chain, lane, ticket, limits, signatures)
}

/// What bounds a settlement besides the words of payer and endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least that is settled while the lane is open.
    pub least: Octets,
    /// The most that may be settled in total: what the link statements support.
    pub most: Octets,
}

/// The same as [`settle`], within `limits`.
///
/// **Errors:** the first rule that the ticket breaks.
pub fn settle_up_to(
    chain: &ChainId,
    lane: &Lane,
    ticket: &Ticket,
    limits: Limits,
    signatures: Signatures,
) -> Result<Settlement, Rejection> {
    check_receipt(chain, lane, ticket, signatures)?;
    check_delivery(chain, lane, ticket, signatures)?;
    check_statements(chain, lane, &ticket.statements, signatures)?;
    let settled = billable(lane, ticket, limits)?;
    let (mut before, mut after) = (lane.divide(lane.settled), lane.divide(settled));
    if canary::is(Canary::RoundEachTicket) {
        let alone = Octets(settled.0.saturating_sub(lane.settled.0));
        (before, after) = (lane.divide(Octets(0)), lane.divide(alone));
    }
    let since = |after: Amount, before: Amount| {
        after.checked_sub(before).expect("each piece of a charge grows with the octets")
    };
    let gained =
        after.shares.iter().zip(&before.shares).map(|(after, before)| since(*after, *before));
    let accounts = lane.open.payees.iter().map(|payee| payee.account);
    Ok(Settlement {
        lane: ticket.lane,
        settled_before: lane.settled,
        settled,
        charge: since(after.charge, before.charge),
        infra: since(after.infra, before.infra),
        shares: accounts.zip(gained).collect(),
    })
}

/// B: what both have signed, at most what the cap pays for.
fn billable(lane: &Lane, ticket: &Ticket, limits: Limits) -> Result<Octets, Rejection> {
    let (received, delivered) = (ticket.receipt.body.octets, ticket.delivery.body.octets);
    let mut agreed = received.min(delivered);
    if canary::is(Canary::DeliveryIgnored) {
        agreed = received;
    }
    if canary::is(Canary::OnlyIfEqual) && received != delivered {
        agreed = Octets(0);
    }
    let octets_max = lane.octets_max();
    let claimed = if canary::is(Canary::CapIgnored) { agreed } else { agreed.min(octets_max) };
    let claimed = claimed.min(limits.most);
    if claimed <= lane.settled && !canary::is(Canary::SettleAgain) {
        return Err(Rejection::NothingToSettle { claimed, settled: lane.settled });
    }
    let unsettled = Octets(claimed.0.saturating_sub(lane.settled.0));
    let is_last = claimed == octets_max || matches!(lane.phase, LanePhase::Closing { .. });
    if unsettled < limits.least && !is_last && !canary::is(Canary::DustSettled) {
        return Err(Rejection::BelowMinSettle { unsettled, min: limits.least });
    }
    Ok(claimed)
}

fn check_receipt(
    chain: &ChainId,
    lane: &Lane,
    ticket: &Ticket,
    signatures: Signatures,
) -> Result<(), Rejection> {
    let body = &ticket.receipt.body;
    let field = if body.chain != *chain {
        Some(Field::Chain)
    } else if body.lane != ticket.lane {
        Some(Field::Lane)
    } else if body.path != lane.open.path {
        Some(Field::Path)
    } else if body.price != lane.open.price {
        Some(Field::Price)
    } else if body.expiry != lane.open.expiry {
        Some(Field::Expiry)
    } else {
        None
    };
    let is_any = canary::is(Canary::AnyReceipt);
    let is_any_price = canary::is(Canary::AnyPrice) && field == Some(Field::Price);
    match field.filter(|_| !is_any && !is_any_price) {
        Some(field) => Err(Rejection::ReceiptMismatch { field }),
        None if signatures.hold(&ticket.receipt, &lane.payer) => Ok(()),
        None => Err(Rejection::ReceiptForged),
    }
}

fn check_delivery(
    chain: &ChainId,
    lane: &Lane,
    ticket: &Ticket,
    signatures: Signatures,
) -> Result<(), Rejection> {
    let body = &ticket.delivery.body;
    let field = if body.chain != *chain {
        Some(Field::Chain)
    } else if body.lane != ticket.lane {
        Some(Field::Lane)
    } else if body.path != lane.open.path {
        Some(Field::Path)
    } else {
        None
    };
    match field {
        Some(field) => Err(Rejection::DeliveryMismatch { field }),
        None if signatures.hold(&ticket.delivery, &lane.endpoint()) => Ok(()),
        None => Err(Rejection::DeliveryForged),
    }
}

fn check_statements(
    chain: &ChainId,
    lane: &Lane,
    statements: &[LinkStatement],
    signatures: Signatures,
) -> Result<(), Rejection> {
    if statements.len() > STATEMENTS_MAX {
        let (count, max) = (wide(statements.len()), wide(STATEMENTS_MAX));
        return Err(Rejection::TooManyStatements { count, max });
    }
    for (index, statement) in statements.iter().enumerate() {
        let body = &statement.body;
        let is_ours = body.chain == *chain
            && lane.is_party(&body.reporter)
            && lane.is_party(&body.peer)
            && body.reporter != body.peer;
        if !is_ours {
            return Err(Rejection::StatementForeign { index: wide(index) });
        }
        if !signatures.hold(statement, &body.reporter) {
            return Err(Rejection::StatementForged { index: wide(index) });
        }
        let against = |earlier: &LinkStatement| {
            let mut earlier = earlier.body;
            if canary::is(Canary::BootIgnored) {
                (earlier.boot_time, earlier.boot_nonce) = (body.boot_time, body.boot_nonce);
            }
            contradicts(&earlier, body)
        };
        if statements[..index].iter().any(against) {
            return Err(Rejection::StatementsContradict);
        }
    }
    Ok(())
}
