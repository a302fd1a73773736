//! Every reason why a contract does not do what it is asked, each with its code.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Amount;
use srwan_wire::id::Height;

/// Why a contract's transaction was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
#[allow(missing_docs, reason = "each variant and its fields are said by its error text")]
pub enum ContractRejection {
    #[error("the seller has neither an active router nor a bonded pseudonym")]
    SellerUnbonded,
    #[error("a segment's two sites are equal, empty or longer than 32 octets")]
    BadSites,
    #[error("the listing's capacity, least purchase or longest wait is out of range")]
    BadOffer,
    #[error("the listing's hours are no weekly rule with a known clock")]
    BadWindow,
    #[error("the seller has {max} listings already")]
    TooManyListings { max: u64 },
    #[error("there is no such listing")]
    NoSuchListing,
    #[error("only the seller may do this")]
    NotTheSeller,
    #[error("the listing is closed")]
    ListingClosed,
    #[error("the seller is quarantined")]
    SellerQuarantined,
    #[error("the buyer is the seller")]
    BuyerIsSeller,
    #[error("the listing is never for sale")]
    NeverForSale,
    #[error("the interval is empty, longer than 31 days or too far away")]
    BadInterval,
    #[error("the interval is not wholly inside the listing's hours")]
    OutsideWindow,
    #[error("{free_mbps} Mbit/s are free in this interval, at least {min_mbps} are sold")]
    CapacityFull { free_mbps: u32, min_mbps: u32 },
    #[error("the listing has {max} leases already")]
    TooManyLeases { max: u64 },
    #[error("a lease begins before it settles, and settles at a height up to {highest}")]
    SettleOutOfRange { highest: Height },
    #[error("this costs {price} coins, the buyer pays at most {max}")]
    TooExpensive { price: Amount, max: Amount },
    #[error("there is no such lease; it may have been settled")]
    NoSuchLease,
    #[error("only the lease's buyer may do this")]
    NotTheBuyer,
    #[error("the lane pays someone, but not the lease's seller")]
    SellerNotPayee,
    #[error("the lane would outlive the lease, which settles at {settle}")]
    LaneOutlivesLease { settle: Height },

    #[error("the account is known as a router or pseudonym; a pseudonym is a fresh key")]
    PseudonymKnown,
    #[error("the account has no bonded pseudonym")]
    NoPseudonym,

    #[error("an agreement has 2 to 9 distinct observers, none of them provider or customer")]
    BadObservers,
    #[error("a violation needs at least 2 observers, and not more than there are")]
    BadQuorum,
    #[error("the agreement's amounts, period or end are out of range")]
    BadAgreement,
    #[error("the provider has {max} agreements already")]
    TooManyAgreements { max: u64 },
    #[error("there is no such agreement; it may have ended")]
    NoSuchAgreement,
    #[error("measurement {index} is of another ledger, agreement or period")]
    MeasurementForeign { index: u64 },
    #[error("measurement {index} is not signed by the observer that it names")]
    MeasurementForged { index: u64 },
    #[error("measurement {index} is neither of the present period nor of the one before")]
    MeasurementStale { index: u64 },
    #[error("measurement {index} keeps the bound")]
    BoundKept { index: u64 },
    #[error("one observer measured twice")]
    ObserverTwice,
    #[error("{count} observers, {needed} are needed")]
    TooFewObservers { count: u64, needed: u64 },
    #[error("this period has been paid")]
    PeriodPaid,
    #[error("the agreement's coins are used up")]
    AgreementEmpty,

    #[error("an order has 1 to {max} leases over its legs")]
    OrderSize { max: u64 },
    #[error("leg {leg}: its listings do not lead from one site to the other")]
    LegBroken { leg: u64 },
    #[error("leg {leg} takes {delay_ns} ns, the order bears {max_ns}")]
    LegTooSlow { leg: u64, delay_ns: u64, max_ns: u64 },
    #[error("leg {leg} has no listing with this capacity at this time")]
    LegUnserved { leg: u64 },

    #[error("{count} distinct bonded witnesses, {needed} are needed")]
    EvidenceTooWeak { count: u64, needed: u64 },
    #[error("report {index} is of another ledger, router or verdict")]
    ReportForeign { index: u64 },
    #[error("report {index} is not signed by its reporter")]
    ReportForged { index: u64 },
    #[error("report {index} is from the future, too old, or was answered already")]
    ReportStale { index: u64 },
    #[error("report {index} is of a router without a bond or in quarantine")]
    ReporterUnbonded { index: u64 },
    #[error("a reporter speaks twice, or of itself")]
    ReporterTwice,
    #[error("this evidence has been used")]
    EvidenceSpent,
    #[error("the router is in quarantine already")]
    QuarantinedAlready,
    #[error("the router is not in quarantine")]
    NotQuarantined,
    #[error("parole is possible from height {from}")]
    ParoleTooEarly { from: Height },
    #[error("payee {index} is quarantined")]
    PayeeQuarantined { index: u64 },

    #[error("the ticket lacks a statement of both ends of a link beside its sender")]
    EvidenceMissing,
    #[error("link statement {index} is older than one that the ledger has")]
    StatementStale { index: u64 },
}

impl ContractRejection {
    /// The stable code of this reason.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SellerUnbonded => "SRW-L320",
            Self::BadSites => "SRW-L321",
            Self::BadOffer => "SRW-L322",
            Self::BadWindow => "SRW-L323",
            Self::TooManyListings { .. } => "SRW-L324",
            Self::NoSuchListing => "SRW-L325",
            Self::NotTheSeller => "SRW-L326",
            Self::ListingClosed => "SRW-L327",
            Self::SellerQuarantined => "SRW-L328",
            Self::BuyerIsSeller => "SRW-L329",
            Self::NeverForSale => "SRW-L330",
            Self::BadInterval => "SRW-L331",
            Self::OutsideWindow => "SRW-L332",
            Self::CapacityFull { .. } => "SRW-L333",
            Self::TooManyLeases { .. } => "SRW-L334",
            Self::SettleOutOfRange { .. } => "SRW-L335",
            Self::TooExpensive { .. } => "SRW-L336",
            Self::NoSuchLease => "SRW-L337",
            Self::NotTheBuyer => "SRW-L338",
            Self::SellerNotPayee => "SRW-L339",
            Self::LaneOutlivesLease { .. } => "SRW-L340",
            Self::PseudonymKnown => "SRW-L341",
            Self::NoPseudonym => "SRW-L342",
            Self::BadObservers => "SRW-L350",
            Self::BadQuorum => "SRW-L351",
            Self::BadAgreement => "SRW-L352",
            Self::TooManyAgreements { .. } => "SRW-L353",
            Self::NoSuchAgreement => "SRW-L354",
            Self::MeasurementForeign { .. } => "SRW-L355",
            Self::MeasurementForged { .. } => "SRW-L356",
            Self::MeasurementStale { .. } => "SRW-L357",
            Self::BoundKept { .. } => "SRW-L358",
            Self::ObserverTwice => "SRW-L359",
            Self::TooFewObservers { .. } => "SRW-L360",
            Self::PeriodPaid => "SRW-L361",
            Self::AgreementEmpty => "SRW-L362",
            Self::OrderSize { .. } => "SRW-L370",
            Self::LegBroken { .. } => "SRW-L371",
            Self::LegTooSlow { .. } => "SRW-L372",
            Self::LegUnserved { .. } => "SRW-L373",
            Self::EvidenceTooWeak { .. } => "SRW-L380",
            Self::ReportForeign { .. } => "SRW-L381",
            Self::ReportForged { .. } => "SRW-L382",
            Self::ReportStale { .. } => "SRW-L383",
            Self::ReporterUnbonded { .. } => "SRW-L384",
            Self::ReporterTwice => "SRW-L385",
            Self::EvidenceSpent => "SRW-L386",
            Self::QuarantinedAlready => "SRW-L387",
            Self::NotQuarantined => "SRW-L388",
            Self::ParoleTooEarly { .. } => "SRW-L389",
            Self::PayeeQuarantined { .. } => "SRW-L390",
            Self::EvidenceMissing => "SRW-L391",
            Self::StatementStale { .. } => "SRW-L392",
        }
    }

    /// What the sender can do about it.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::SellerUnbonded => "register a router, or bond a pseudonym",
            Self::BadSites | Self::BadOffer | Self::BadWindow => "correct the listing",
            Self::TooManyListings { .. } => "close listings that are not used",
            Self::NoSuchListing | Self::ListingClosed | Self::SellerQuarantined => {
                "choose another listing from GET /v1/listings"
            }
            Self::NotTheSeller | Self::NotTheBuyer => "sign with the account of this contract",
            Self::BuyerIsSeller => "choose the listing of someone else",
            Self::NeverForSale => "choose a listing with a price",
            Self::BadInterval | Self::OutsideWindow => "choose times inside the listing's hours",
            Self::CapacityFull { .. } => "ask for what is free, or for another time",
            Self::TooManyLeases { .. } => "wait until leases were settled",
            Self::SettleOutOfRange { .. } => "choose heights within those named",
            Self::TooExpensive { .. } => "pay the price, or order less",
            Self::NoSuchLease => "buy a lease first",
            Self::SellerNotPayee => "open a lane over the leased segment",
            Self::LaneOutlivesLease { .. } => "let the lane expire with the lease",
            Self::PseudonymKnown => "use a fresh key",
            Self::NoPseudonym => "bond a pseudonym first",
            Self::BadObservers | Self::BadQuorum | Self::BadAgreement => "correct the agreement",
            Self::TooManyAgreements { .. } => "wait until agreements have ended",
            Self::NoSuchAgreement => "name an agreement that has not ended",
            Self::MeasurementForeign { .. }
            | Self::MeasurementForged { .. }
            | Self::MeasurementStale { .. }
            | Self::BoundKept { .. }
            | Self::ObserverTwice
            | Self::TooFewObservers { .. } => {
                "send one violating measurement of each of enough observers, of one period"
            }
            Self::PeriodPaid => "nothing to do: it has been paid",
            Self::AgreementEmpty => "agree on a new one",
            Self::OrderSize { .. } => "split the order",
            Self::LegBroken { .. } | Self::LegTooSlow { .. } | Self::LegUnserved { .. } => {
                "plan the order again from the present listings"
            }
            Self::EvidenceTooWeak { .. }
            | Self::ReportForeign { .. }
            | Self::ReportForged { .. }
            | Self::ReportStale { .. }
            | Self::ReporterUnbonded { .. }
            | Self::ReporterTwice => "send fresh reports of enough distinct bonded routers",
            Self::EvidenceSpent => "nothing to do: it has been judged",
            Self::QuarantinedAlready => "nothing to do",
            Self::NotQuarantined => "nothing to do",
            Self::ParoleTooEarly { .. } => "wait until the height named",
            Self::PayeeQuarantined { .. } => "choose a path without this router",
            Self::EvidenceMissing => "let another party of the lane submit, or ask the neighbour",
            Self::StatementStale { .. } => "send the neighbour's latest statement",
        }
    }
}
