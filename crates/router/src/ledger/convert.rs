//! The ledger's answers as the facts that the node understands, and the node's orders as the ledger's actions.

use srwan_api::ledger as shape;
use srwan_ledger::amount::Amount;
use srwan_ledger::lane::{LaneOpen, Payee};
use srwan_ledger::ticket::Ticket;
use srwan_node::pay::{Evidence, LaneFact, LaneRequest, Terms};
use srwan_wire::id::{AccountKey, Height, Octets, PathHash};
use srwan_wire::receipt::Price;

/// Weight of a payee in the public class: equal shares. Source: economics, "Shares".
const WEIGHT_PUBLIC: u32 = 1;

/// What a lane is opened with beyond the node's own terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLimits {
    /// Last height at which it is open.
    pub expiry: Height,
    /// Set aside for the fees of tickets.
    pub fee_reserve: Amount,
}

/// The action that opens the lane that a node asks for.
pub fn lane_open(request: &LaneRequest, limits: OpenLimits) -> LaneOpen {
    let payee = |account: &AccountKey| Payee { account: *account, weight: WEIGHT_PUBLIC };
    LaneOpen {
        path: request.path,
        payees: request.payees.iter().map(payee).collect(),
        price: request.terms.price,
        cap: Amount::from_base(request.terms.cap),
        fee_reserve: limits.fee_reserve,
        expiry: limits.expiry,
    }
}

/// The ticket that settles this evidence; `None` while the endpoint has not said what it delivered.
pub fn ticket(evidence: &Evidence) -> Option<Ticket> {
    Some(Ticket {
        lane: evidence.lane,
        receipt: evidence.receipt,
        delivery: evidence.delivery?,
        statements: evidence.statements.clone(),
    })
}

/// A lane as the node sees it; `None` if the answer holds something that no ledger would say.
pub fn lane_fact(lane: &shape::Lane) -> Option<LaneFact> {
    let payees = lane.payees.iter().map(|payee| AccountKey::from_hex(&payee.account));
    Some(LaneFact {
        payer: AccountKey::from_hex(&lane.payer)?,
        path: PathHash::from_hex(&lane.path)?,
        payees: payees.collect::<Option<Vec<_>>>()?,
        terms: Terms {
            price: Price(lane.price_base_per_mb),
            cap: Amount::parse_coins(&lane.cap_coins).ok()?.base(),
        },
        expiry: Height(lane.expiry_height),
        open: lane.phase == shape::LanePhase::Open,
        settled: Octets(lane.settled_bytes),
    })
}
