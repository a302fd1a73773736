//! Listings and leases: capacity of a segment, sold for an interval, settled without people.
//!
//! ```text
//!         List                 Buy, Order             settle height
//! seller ------> Listing -------------------> Lease --------------> seller, infrastructure
//!                                               | Break, quarantine
//!                                               +-----------------> buyer, for what is left
//! ```
//!
//! Whose interval overlaps whose, and whether it lies in the hours of the listing, follows from the
//! instants that the lease names. When the coins move follows from heights. Relays alone look at a
//! clock: they carry under a lease in its interval only.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeSet;

use super::rejection::ContractRejection;
use super::window::{Interval, Window};
use crate::amount::Amount;
use crate::hash::{LeaseId, ListingId, digest};
use crate::table::Holds;
use srwan_wire::id::{AccountKey, ChainId, Height, PathHash};

/// Octets of a site's name.
pub const SITE_OCTETS_MAX: usize = 32;
/// Listings of one seller: a quarantine visits them all.
pub const LISTINGS_PER_SELLER_MAX: usize = 64;
/// Leases of one listing: a purchase weighs them all against each other.
pub const LEASES_PER_LISTING_MAX: usize = 128;
/// The micro-fee on premium sales to the infrastructure account. **Units:** basis points.
///
/// Source: W89 says "micro"; half a percent is below what a card payment costs.
pub const DITEX_BPS: u16 = 50;

const SECONDS_PER_HOUR: u128 = 3_600;

/// A place that segments connect, as people call it: `chicago`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Site(pub String);

impl Site {
    fn is_sound(&self) -> bool {
        !self.0.is_empty() && self.0.len() <= SITE_OCTETS_MAX
    }
}

/// What capacity costs. **Units:** base units per Mbit/s and hour; `u64::MAX` = never for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Rate(pub u64);

impl Rate {
    /// Listed, measured, never sold (W94).
    pub const INFINITE: Self = Self(u64::MAX);

    /// What `mbps` cost for `seconds`; `None` if never for sale, or more than can be counted.
    #[must_use]
    pub fn price(self, mbps: u32, seconds: u64) -> Option<Amount> {
        if self == Self::INFINITE {
            return None;
        }
        let product = u128::from(mbps) * u128::from(seconds);
        let product = product.checked_mul(u128::from(self.0))?;
        // Rounded up: else a short enough lease would be free, and free leases fill a listing.
        Amount::from_u128(product.div_ceil(SECONDS_PER_HOUR))
    }
}

/// What a seller offers.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Offer {
    /// One end of the segment; it is sold in both directions.
    pub from: Site,
    /// The other end.
    pub to: Site,
    /// Names route and endpoints to those who steer; the ledger only keeps it.
    pub route: PathHash,
    /// What it costs.
    pub rate: Rate,
    /// Capacity. **Units:** Mbit/s.
    pub mbps: u32,
    /// The least that is sold at once, against dust. **Units:** Mbit/s.
    pub mbps_min: u32,
    /// The seller's weight in lanes that are opened under a lease.
    pub weight: u32,
    /// One-way delay that the seller promises. **Units:** nanoseconds.
    pub delay_ns_max: u64,
    /// When it may be used.
    pub window: Window,
    /// How long the seller waits for its coins at most, from the purchase. **Units:** blocks.
    pub settle_blocks_max: u64,
}

impl Offer {
    /// Checks what can be checked about an offer without knowing anyone.
    pub fn check(&self) -> Result<(), ContractRejection> {
        if !self.from.is_sound() || !self.to.is_sound() || self.from == self.to {
            return Err(ContractRejection::BadSites);
        }
        let is_sound = self.mbps > 0
            && (1..=self.mbps).contains(&self.mbps_min)
            && self.weight > 0
            && self.settle_blocks_max > 0;
        if !is_sound {
            return Err(ContractRejection::BadOffer);
        }
        if self.window.is_sound() { Ok(()) } else { Err(ContractRejection::BadWindow) }
    }

    /// The site at the end that is not `site`, if `site` is an end.
    #[must_use]
    pub fn across(&self, site: &Site) -> Option<&Site> {
        if *site == self.from {
            Some(&self.to)
        } else if *site == self.to {
            Some(&self.from)
        } else {
            None
        }
    }
}

/// An offer that stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Listing {
    /// Who offers: a registered router, or a bonded pseudonym.
    pub seller: AccountKey,
    /// What.
    pub offer: Offer,
    /// Whether it sells; a closed listing goes when its last lease was settled.
    pub is_open: bool,
}

impl Holds for Listing {
    fn held(&self) -> Amount {
        Amount::ZERO
    }
}

/// What a buyer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Buy {
    /// Of which listing.
    pub listing: ListingId,
    /// When, how much, and until which height the coins are held.
    pub terms: LeaseTerms,
    /// The most that the buyer pays.
    pub price_max: Amount,
}

/// When, how much, and how long the coins are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LeaseTerms {
    /// When relays carry under it.
    pub interval: Interval,
    /// How much. **Units:** Mbit/s.
    pub mbps: u32,
    /// From this height on the seller has earned a part: the buyer's word for `interval.start`.
    pub start: Height,
    /// At the end of this block the seller is paid: the buyer's word for `interval.end`.
    pub settle: Height,
}

/// Capacity that was bought.
///
/// Invariant: at no instant do the leases of a listing have more than its capacity.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Lease {
    /// Of which listing.
    pub listing: ListingId,
    /// Who is paid.
    pub seller: AccountKey,
    /// Who paid.
    pub buyer: AccountKey,
    /// When, how much, how long.
    pub terms: LeaseTerms,
    /// The seller's weight in lanes under this lease.
    pub weight: u32,
    /// The micro-fee as it was at the purchase. **Units:** basis points.
    pub ditex_bps: u16,
    /// What was paid; it is held here.
    pub price: Amount,
}

impl Holds for Lease {
    fn held(&self) -> Amount {
        self.price
    }
}

/// Who gets a lease's coins. The three add up to its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LeaseSplit {
    /// To the seller.
    pub seller: Amount,
    /// The micro-fee, to the infrastructure account.
    pub fee: Amount,
    /// Back to the buyer.
    pub refund: Amount,
}

impl Lease {
    /// Who gets its coins if it ends at `height`: the seller for the blocks since `start`.
    #[must_use]
    pub fn split(&self, height: Height) -> LeaseSplit {
        let whole = self.terms.settle.0.saturating_sub(self.terms.start.0).max(1);
        let passed = height.0.saturating_sub(self.terms.start.0).min(whole);
        let earned = self.price.fraction(passed, whole).expect("a part of a price fits");
        let fee = earned.bps(self.ditex_bps).expect("a part of a price fits");
        let refund = self.price.saturating_sub(earned);
        LeaseSplit { seller: earned.saturating_sub(fee), fee, refund }
    }
}

/// The most that is leased at any instant of `within`. **Units:** Mbit/s.
pub fn peak<'a>(within: &Interval, leased: impl Iterator<Item = &'a LeaseTerms>) -> u64 {
    let leased: Vec<_> = leased.filter(|terms| terms.interval.overlaps(within)).collect();
    // The sum only rises where a lease begins, so its highest value is at one of the beginnings.
    let starts: BTreeSet<_> = leased.iter().map(|terms| terms.interval.start).collect();
    let at = |instant| {
        let instant = core::cmp::max(instant, within.start);
        let runs =
            |terms: &&&LeaseTerms| terms.interval.start <= instant && instant < terms.interval.end;
        leased.iter().filter(runs).map(|terms| u64::from(terms.mbps)).sum()
    };
    starts.into_iter().map(at).max().unwrap_or(0)
}

/// The listing that `seller` makes with the transaction numbered `nonce`.
#[must_use]
pub fn listing_id(chain: &ChainId, seller: &AccountKey, nonce: u64) -> ListingId {
    ListingId(digest("srwan listing v1", &[&chain.0, &seller.0, &nonce.to_le_bytes()]))
}

/// The lease numbered `index` of those that `buyer` buys with the transaction numbered `nonce`.
#[must_use]
pub fn lease_id(chain: &ChainId, buyer: &AccountKey, nonce: u64, index: u64) -> LeaseId {
    let numbers = [nonce.to_le_bytes(), index.to_le_bytes()];
    LeaseId(digest("srwan lease v1", &[&chain.0, &buyer.0, numbers.as_flattened()]))
}
