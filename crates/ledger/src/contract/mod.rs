//! Contracts: state machines on the ledger for what DITEX sells and for what evidence does.
//!
//! Each kind has a file with its rules, which know no state: [`listing`] and [`window`], [`order`],
//! [`sla`], [`pseudonym`], [`quarantine`], [`rating`], [`review`]. [`store`] keeps their rows and
//! what is due when; `check` turns an action into the effect that it would have, `write` carries
//! it out, `end` does what the end of a block does by itself. None is a virtual machine.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use crate::hash::{LeaseId, ListingId, SlaId};
use crate::lane::LaneOpen;
use crate::router::Contradiction;
use listing::{Buy, Lease, LeaseSplit, Listing, Offer};
use order::Order;
use quarantine::{HeadendReport, QuarantineEvidence, QuarantinePhase};
use sla::{Sla, SlaClaim, SlaTerms};
use srwan_wire::id::{AccountKey, Height};

mod check;
mod end;
pub mod listing;
pub mod order;
pub mod pseudonym;
pub mod quarantine;
pub mod rating;
pub mod rejection;
pub mod review;
pub mod sla;
pub mod store;
pub mod window;
mod write;

/// What an account asks of a contract.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContractAction {
    /// Offers a segment.
    List(Offer),
    /// Sells no more of it; leases run on.
    Unlist {
        /// Which.
        listing: ListingId,
    },
    /// Buys capacity.
    Buy(Buy),
    /// Buys a bundle of leases, or nothing.
    Order(Order),
    /// Opens a lane under the sender's lease, with the listing's weight for the seller.
    LaneOpen {
        /// Which.
        lease: LeaseId,
        /// The lane; what it says of the seller's weight is replaced.
        open: LaneOpen,
    },
    /// The seller cannot serve a lease; the buyer gets back what is left of it.
    Break {
        /// Which.
        lease: LeaseId,
    },
    /// Bonds the sender as a pseudonym.
    PseudonymBond,
    /// Sells no more as a pseudonym, and asks for the bond.
    PseudonymRetire,
    /// Convicts a pseudonym of contradicting itself.
    PseudonymReport(Box<Contradiction>),
    /// Promises a service level.
    SlaOpen(SlaTerms),
    /// Claims that it was violated.
    SlaClaim(SlaClaim),
    /// Quarantines a router.
    Quarantine {
        /// Whom.
        subject: AccountKey,
        /// Why.
        evidence: QuarantineEvidence,
    },
    /// Asks for the sender's parole, before its quarantine is over.
    Parole {
        /// Enough bonded headends' word that it behaves.
        reports: Vec<HeadendReport>,
    },
}

/// What an applied contract action did.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContractEffect {
    /// A segment is offered.
    Listed {
        /// Its name.
        id: ListingId,
        /// What.
        listing: Listing,
    },
    /// It sells no more.
    Unlisted {
        /// Which.
        id: ListingId,
    },
    /// Capacity was bought.
    Leased {
        /// What; several for an order.
        leases: Vec<(LeaseId, Lease)>,
    },
    /// A lease ended early.
    LeaseBroken {
        /// Which.
        id: LeaseId,
        /// Who got what.
        split: LeaseSplit,
    },
    /// A pseudonym was bonded.
    PseudonymBonded {
        /// What it locked.
        bond: Amount,
    },
    /// A pseudonym's bond began to unbond.
    PseudonymRetired {
        /// When it comes back.
        until: Height,
    },
    /// A pseudonym was convicted.
    PseudonymSlashed {
        /// Whose.
        account: AccountKey,
        /// To the reporter.
        reward: Amount,
        /// To the burned account.
        burned: Amount,
        /// When the rest of the bond comes back.
        until: Height,
    },
    /// A service level was promised.
    SlaOpened {
        /// Its name.
        id: SlaId,
        /// What.
        sla: Sla,
    },
    /// A violation was paid.
    SlaPaid {
        /// Which.
        id: SlaId,
        /// For which period.
        period: u64,
        /// To the customer.
        customer: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// A router was quarantined; its listings are suspended, its leases broken.
    Quarantined {
        /// Whom.
        subject: AccountKey,
        /// Last height.
        until: Height,
        /// How often by now.
        strikes: u32,
        /// The boot whose contradiction was used, if it was one.
        spent: Option<[u8; 32]>,
    },
    /// A router is on parole.
    Paroled {
        /// Last height.
        until: Height,
    },
}

impl ContractEffect {
    /// What happened, in one word of the RPC.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Listed { .. } => "listed",
            Self::Unlisted { .. } => "unlisted",
            Self::Leased { .. } => "leased",
            Self::LeaseBroken { .. } => "lease_broken",
            Self::PseudonymBonded { .. } => "pseudonym_bonded",
            Self::PseudonymRetired { .. } => "pseudonym_retired",
            Self::PseudonymSlashed { .. } => "pseudonym_slashed",
            Self::SlaOpened { .. } => "sla_opened",
            Self::SlaPaid { .. } => "sla_paid",
            Self::Quarantined { .. } => "quarantined",
            Self::Paroled { .. } => "paroled",
        }
    }
}

/// What the end of a block did with contracts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ContractEvent {
    /// A lease was settled.
    LeaseSettled {
        /// Which.
        id: LeaseId,
        /// As it was.
        lease: Lease,
        /// Who got what.
        split: LeaseSplit,
    },
    /// An agreement ended.
    SlaEnded {
        /// Which.
        id: SlaId,
        /// Who promised.
        provider: AccountKey,
        /// What was left, back to the provider.
        rest: Amount,
    },
    /// A pseudonym's bond came back.
    PseudonymReturned {
        /// Whose.
        account: AccountKey,
        /// How much.
        amount: Amount,
    },
    /// A quarantine or a parole ended by itself.
    QuarantineMoved {
        /// Whose.
        account: AccountKey,
        /// What follows.
        phase: QuarantinePhase,
    },
}

impl ContractEvent {
    /// What happened in one word, to whom or what, and the coins that came back or were paid.
    #[must_use]
    pub fn told(&self) -> (&'static str, String, Option<Amount>) {
        match self {
            Self::LeaseSettled { id, lease: _, split } => {
                ("lease_settled", id.to_string(), Some(split.seller))
            }
            Self::SlaEnded { id, provider: _, rest } => ("sla_ended", id.to_string(), Some(*rest)),
            Self::PseudonymReturned { account, amount } => {
                ("pseudonym_returned", account.to_string(), Some(*amount))
            }
            Self::QuarantineMoved { account, phase } => {
                let word = match phase {
                    QuarantinePhase::Confined { .. } => "quarantine_began",
                    QuarantinePhase::Parole { .. } => "parole_began",
                    QuarantinePhase::Free => "parole_ended",
                };
                (word, account.to_string(), None)
            }
        }
    }
}
