//! JSON shapes of what stands in contracts: listings, leases, agreements, quarantines, ratings.

use serde::{Deserialize, Serialize};

/// Segments that are offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listings {
    /// `srwan.ledger.listings/1`.
    pub schema: String,
    /// By name.
    pub listings: Vec<Listing>,
    /// Whether there are more than one answer has.
    pub truncated: bool,
}

/// A segment that is offered, in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Its name.
    pub id: String,
    /// Who offers: a router's account or a pseudonym.
    pub seller: String,
    /// One end.
    pub from: String,
    /// The other end.
    pub to: String,
    /// Coins per Mbit/s and hour, or `inf`: never for sale.
    pub rate_coins: String,
    /// Capacity.
    pub capacity_mbps: u32,
    /// The least that is sold at once.
    pub least_mbps: u32,
    /// Leases that exist.
    pub leases: u32,
    /// The seller's weight in lanes under a lease.
    pub weight: u32,
    /// One-way delay that is promised.
    pub delay_us_max: u64,
    /// The hours: `null` = always.
    pub hours: Option<Hours>,
    /// Whether it sells; false if it was closed or its seller is quarantined.
    pub sells: bool,
}

/// Hours of a week by one place's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hours {
    /// Bit 0 is Monday, bit 6 Sunday: local days on which the spans begin.
    pub days: u8,
    /// Minutes since local midnight, first and end; an end above 1440 is on the next day.
    pub spans: Vec<[u16; 2]>,
    /// From these seconds since the UNIX epoch on, the clock is so many minutes ahead of UTC.
    pub offsets: Vec<(u64, i16)>,
}

/// Capacity that was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// `srwan.ledger.leases/1`.
    pub schema: String,
    /// By name.
    pub leases: Vec<Lease>,
    /// Whether there are more than one answer has.
    pub truncated: bool,
}

/// One lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its name.
    pub id: String,
    /// Of which listing.
    pub listing: String,
    /// Who is paid.
    pub seller: String,
    /// Who paid.
    pub buyer: String,
    /// How much.
    pub mbps: u32,
    /// First second, since the UNIX epoch.
    pub from_s: u64,
    /// First second after it.
    pub until_s: u64,
    /// At the end of this block the seller is paid.
    pub settle_height: u64,
    /// What is held.
    pub price_coins: String,
}

/// Agreements on a service level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreements {
    /// `srwan.ledger.agreements/1`.
    pub schema: String,
    /// By name.
    pub agreements: Vec<Agreement>,
    /// Whether there are more than one answer has.
    pub truncated: bool,
}

/// One agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Its name.
    pub id: String,
    /// Who promised.
    pub provider: String,
    /// Who is paid for a violation.
    pub customer: String,
    /// What is measured, as the parties name it.
    pub subject: String,
    /// `delay_ns` or `loss_ppm`.
    pub bound: String,
    /// What must not be exceeded.
    pub bound_max: u64,
    /// Who measures.
    pub observers: Vec<String>,
    /// How many of them must agree.
    pub quorum: u8,
    /// Blocks of a period.
    pub period_blocks: u64,
    /// What a violated period costs.
    pub payout_coins: String,
    /// What is left.
    pub left_coins: String,
    /// Last height.
    pub until: u64,
}

/// Routers that were quarantined at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantines {
    /// `srwan.ledger.quarantines/1`.
    pub schema: String,
    /// By account.
    pub routers: Vec<Quarantine>,
    /// Whether there are more than one answer has.
    pub truncated: bool,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Whose.
    pub account: String,
    /// `confined`, `parole` or `free`.
    pub phase: String,
    /// Last height of the phase.
    pub until: Option<u64>,
    /// How often it was quarantined.
    pub strikes: u32,
    /// The height of the last change by evidence.
    pub since: u64,
}

/// What bonded payers say about routers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratings {
    /// `srwan.ledger.ratings/1`.
    pub schema: String,
    /// By account.
    pub ratings: Vec<Rating>,
    /// Whether there are more than one answer has.
    pub truncated: bool,
}

/// What they say about one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// Whose.
    pub account: String,
    /// 0 to 1000; see docs/ledger.md.
    pub score: u64,
    /// What each payer's tickets say.
    pub payers: Vec<PayerRecord>,
}

/// What one payer's tickets say, and the transaction that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerRecord {
    /// Who.
    pub payer: String,
    /// Fees that its tickets burned.
    pub fees_coins: String,
    /// Tickets whose statistics agreed.
    pub consistent: u32,
    /// Tickets whose statistics did not.
    pub contradicting: u32,
    /// The last ticket.
    pub evidence: String,
}
