//! Virtual network orders: sites, bandwidth, delay and budget in; a bundle of leases out, or none.
//!
//! [`State::plan`] finds the cheapest listings for each leg; the buyer runs it. The order then
//! names the listings that were found, and the ledger checks them all before it writes one: so the
//! work of a block does not grow with the number of listings, and a bundle is never half bought.
//!
//! [`State::plan`]: crate::state::State::plan

use borsh::{BorshDeserialize, BorshSerialize};

use super::listing::{LeaseTerms, Listing, Offer, Site};
use super::rejection::ContractRejection;
use crate::amount::Amount;
use crate::hash::ListingId;

/// Leases of one order: they have to fit one transaction and one purchase each.
pub const ORDER_LEASES_MAX: usize = 32;
/// Listings of one leg: as many relays as a path has.
pub const LEG_LISTINGS_MAX: usize = 3;

/// Two sites to connect.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leg {
    /// One.
    pub from: Site,
    /// The other.
    pub to: Site,
}

/// What a virtual network has to do.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct OrderSpec {
    /// What to connect: two sites, a star, a ring, whatever the pairs say.
    pub legs: Vec<Leg>,
    /// Bandwidth of each leg, when, and until which height the coins are held.
    pub terms: LeaseTerms,
    /// One-way delay of each leg at most. **Units:** nanoseconds.
    pub delay_ns_max: u64,
    /// The most that all leases together cost.
    pub budget: Amount,
}

/// A specification, and listings that keep it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Order {
    /// What the network has to do.
    pub spec: OrderSpec,
    /// For each leg, in order, the listings that lead from one site to the other.
    pub routes: Vec<Vec<ListingId>>,
}

impl Order {
    /// All listings in the order of legs.
    pub fn listings(&self) -> impl Iterator<Item = ListingId> {
        self.routes.iter().flatten().copied()
    }

    /// Checks that there is one route per leg, and few enough leases.
    pub fn check_size(&self) -> Result<(), ContractRejection> {
        let leases = self.listings().count();
        let is_sound = !self.spec.legs.is_empty()
            && self.routes.len() == self.spec.legs.len()
            && leases <= ORDER_LEASES_MAX;
        let max = crate::lane::wide(ORDER_LEASES_MAX);
        if is_sound { Ok(()) } else { Err(ContractRejection::OrderSize { max }) }
    }
}

/// Checks that `offers` lead along leg number `index` in time.
pub fn check_leg<'a>(
    leg: &Leg,
    index: u64,
    max_ns: u64,
    offers: impl Iterator<Item = &'a Offer>,
) -> Result<(), ContractRejection> {
    let (mut at, mut delay_ns) = (&leg.from, 0_u64);
    for offer in offers {
        at = offer.across(at).ok_or(ContractRejection::LegBroken { leg: index })?;
        delay_ns = delay_ns.saturating_add(offer.delay_ns_max);
    }
    if *at != leg.to || leg.from == leg.to {
        return Err(ContractRejection::LegBroken { leg: index });
    }
    if delay_ns > max_ns {
        return Err(ContractRejection::LegTooSlow { leg: index, delay_ns, max_ns });
    }
    Ok(())
}

/// The cheapest route of a leg; of equal ones the first in the order of rows.
#[derive(Clone, Debug)]
struct Found {
    price: u128,
    listings: Vec<ListingId>,
}

/// Looks for the cheapest route of one leg over usable listings with their prices.
pub struct Search<'a> {
    /// Listings that have the capacity at the time, and what they cost.
    pub usable: Vec<(ListingId, &'a Listing, Amount)>,
    /// **Units:** nanoseconds.
    pub delay_ns_max: u64,
}

/// What a search found.
pub enum Answer {
    /// The cheapest route.
    Route(Vec<ListingId>),
    /// Sites are connected, but only by slower routes. **Units:** nanoseconds, the fastest.
    TooSlow(u64),
    /// Sites are not connected.
    Nothing,
}

impl Search<'_> {
    /// All routes of up to [`LEG_LISTINGS_MAX`] listings that visit no site twice.
    #[must_use]
    pub fn run(&self, leg: &Leg) -> Answer {
        let (mut best, mut fastest) = (None, None);
        let mut walk = Walk { sites: vec![&leg.from], listings: Vec::new(), price: 0, delay_ns: 0 };
        self.extend(leg, &mut walk, &mut best, &mut fastest);
        match (best, fastest) {
            (Some(Found { listings, .. }), _) => Answer::Route(listings),
            (None, Some(delay_ns)) => Answer::TooSlow(delay_ns),
            (None, None) => Answer::Nothing,
        }
    }

    fn extend<'s>(
        &'s self,
        leg: &Leg,
        walk: &mut Walk<'s>,
        best: &mut Option<Found>,
        fastest: &mut Option<u64>,
    ) {
        if walk.sites.last().is_some_and(|site| **site == leg.to) {
            let is_faster = fastest.is_none_or(|delay_ns| walk.delay_ns < delay_ns);
            if is_faster {
                *fastest = Some(walk.delay_ns);
            }
            let is_cheaper = best.as_ref().is_none_or(|found| walk.price < found.price);
            if walk.delay_ns <= self.delay_ns_max && is_cheaper {
                *best = Some(Found { price: walk.price, listings: walk.listings.clone() });
            }
            return;
        }
        if walk.listings.len() == LEG_LISTINGS_MAX {
            return;
        }
        for (id, listing, price) in &self.usable {
            let here = walk.sites.last().expect("a walk starts at a site");
            let Some(site) = listing.offer.across(here) else { continue };
            if walk.sites.contains(&site) {
                continue;
            }
            let (cost, delay_ns) = (walk.price, walk.delay_ns);
            walk.sites.push(site);
            walk.listings.push(*id);
            walk.price += u128::from(price.base());
            walk.delay_ns = delay_ns.saturating_add(listing.offer.delay_ns_max);
            self.extend(leg, walk, best, fastest);
            walk.sites.pop();
            walk.listings.pop();
            (walk.price, walk.delay_ns) = (cost, delay_ns);
        }
    }
}

struct Walk<'a> {
    sites: Vec<&'a Site>,
    listings: Vec<ListingId>,
    price: u128,
    delay_ns: u64,
}
