//! Money on a path: what the payer signs, what the payees hold, and when it is settled.
//!
//! The headend is the payer; relays and endpoint are the payees. [`payer`] opens lanes, sets them up at each hop and
//! signs receipts ahead of the traffic; [`payee`] serves lanes within its credit, keeps the best evidence and asks for
//! settlement. Neither touches a packet, a disk or the ledger: they emit [`PayAction`]s.

pub mod credit;
pub mod payee;
pub mod payer;
mod shortfall;

use srwan_wire::id::{AccountKey, Height, LaneId, LaneLabel, NodeId, Octets, PathHash};
use srwan_wire::oam::Oam;
use srwan_wire::receipt::{Delivery, LinkStatement, Price, Receipt};

/// A router that is paid on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its number.
    pub node: NodeId,
    /// The account that is paid.
    pub account: AccountKey,
}

/// A path from this router's point of view as payer: relays in order, then the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathKey {
    /// Relays in order of travel.
    pub relays: Vec<NodeId>,
    /// Where the path ends.
    pub endpoint: NodeId,
}

/// What a lane costs and how much it may cost in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Base units per 10^6 octets.
    pub price: Price,
    /// Most that the lane can pay. **Units:** base.
    pub cap: u64,
}

impl Terms {
    /// How many octets the cap pays for.
    #[must_use]
    pub fn cap_octets(&self) -> Octets {
        let octets = u128::from(self.cap) * OCTETS_PER_PRICE_UNIT / u128::from(self.price.0.max(1));
        Octets(u64::try_from(octets).unwrap_or(u64::MAX))
    }
}

/// Prices are per this many octets (1 MB = 10^6).
const OCTETS_PER_PRICE_UNIT: u128 = 1_000_000;

/// Asks the ledger for a lane; the answer comes back under `label`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRequest {
    /// The payer's name for the request and later for the lane's packets.
    pub label: LaneLabel,
    /// The path that is paid for.
    pub path: PathHash,
    /// Relays in order, then the endpoint.
    pub payees: Vec<AccountKey>,
    /// Price and cap.
    pub terms: Terms,
}

/// A lane as the ledger shows it, finalized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneFact {
    /// Who pays.
    pub payer: AccountKey,
    /// For which path.
    pub path: PathHash,
    /// Who is paid: relays in order, then the endpoint.
    pub payees: Vec<AccountKey>,
    /// At which price and up to how much.
    pub terms: Terms,
    /// Height after which nothing can be claimed.
    pub expiry: Height,
    /// Whether it can still be used.
    pub open: bool,
    /// Octets already settled.
    pub settled: Octets,
}

/// The evidence that a payee holds for one lane; what a ticket is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The lane.
    pub lane: LaneId,
    /// The payer's best receipt.
    pub receipt: Receipt,
    /// The endpoint's best delivery.
    pub delivery: Option<Delivery>,
    /// Statements of the links beside this router, its own and its neighbours'.
    pub statements: Vec<LinkStatement>,
}

impl Evidence {
    /// What the ledger would settle: the lesser of what the payer and the endpoint signed (economics, "Lane").
    #[must_use]
    pub fn octets(&self) -> Octets {
        let delivered = self.delivery.as_ref().map_or(Octets(0), |d| d.body.octets);
        delivered.min(self.receipt.body.octets)
    }
}

/// How far a lane is, for the path choice and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanePhase {
    /// The ledger was asked, or the hops were.
    Opening,
    /// Each hop serves it.
    Ready,
    /// A hop stopped serving, or the cap is used up.
    Stalled,
    /// The ledger or a hop said no.
    Refused,
    /// It is being closed.
    Ending,
}

/// What paying and being paid asks of the rest of the node and of its shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayAction {
    /// Send a control message.
    Send {
        /// To whom.
        to: NodeId,
        /// Over which relays: those of the lane's own path, so that a message is never later than the traffic.
        via: Vec<NodeId>,
        /// What.
        oam: Oam,
    },
    /// Open a lane on the ledger.
    Open(LaneRequest),
    /// Close a lane on the ledger: what it did not pay returns to the escrow.
    Close(LaneId),
    /// Ask the ledger for a lane.
    Lookup(LaneId),
    /// Serve packets of a lane.
    Install(ServedTerms),
    /// Serve a lane up to so many octets in all.
    Raise {
        /// Which.
        label: LaneLabel,
        /// Up to how many.
        allowed: Octets,
    },
    /// Stop serving a lane.
    Remove(LaneLabel),
    /// A paid path changed its phase.
    Phase {
        /// The path.
        path: PathKey,
        /// The label of its packets.
        label: LaneLabel,
        /// The phase.
        phase: LanePhase,
    },
    /// Keep this evidence on disk before it is acknowledged.
    Store(Evidence),
    /// Submit this evidence to the ledger.
    Settle(Evidence),
}

/// What the data plane needs to serve a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedTerms {
    /// The label of its packets.
    pub label: LaneLabel,
    /// Who sends them to us.
    pub previous: NodeId,
    /// To whom we send them; `None` at the endpoint.
    pub next: Option<NodeId>,
    /// Octets served so far allowed.
    pub allowed: Octets,
}
