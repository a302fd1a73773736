//! What a contract action would do, or why not; changes nothing.

use super::listing::{
    Buy, DITEX_BPS, LEASES_PER_LISTING_MAX, LISTINGS_PER_SELLER_MAX, Lease, LeaseTerms, Listing,
    Offer, lease_id, listing_id, peak,
};
use super::order::{Answer, Order, OrderSpec, Search, check_leg};
use super::pseudonym::{Pseudonym, PseudonymPhase};
use super::quarantine::{
    Quarantine, QuarantineEvidence, QuarantinePhase, ReportVerdict, WITNESSES_MIN, Wanted, boot_of,
    check_reports, too_weak,
};
use super::rejection::ContractRejection as Why;
use super::review::{Review, review};
use super::sla::{SLAS_PER_PROVIDER_MAX, Sla, SlaClaim, SlaTerms, sla_id};
use super::{ContractAction, ContractEffect};
use crate::amount::Amount;
use crate::apply::after;
use crate::hash::{LeaseId, ListingId};
use crate::lane::{LaneOpen, wide};
use crate::outcome::Effect;
use crate::rejection::Rejection;
use crate::router::Contradiction;
use crate::state::State;
use crate::ticket::Ticket;
use crate::tx::Tx;
use srwan_wire::id::{AccountKey, Height, Octets};

impl State {
    /// What a contract action of an admitted transaction would do.
    pub(crate) fn check_contract(
        &self,
        tx: &Tx,
        action: &ContractAction,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let effect = match action {
            ContractAction::List(offer) => self.check_list(tx, offer)?,
            ContractAction::Unlist { listing } => self.check_unlist(&tx.sender, *listing)?,
            ContractAction::Buy(buy) => self.check_buy(tx, buy, height)?,
            ContractAction::Order(order) => self.check_order(tx, order, height)?,
            ContractAction::LaneOpen { lease, open } => {
                return self.check_leased_lane(tx, lease, open, height);
            }
            ContractAction::Break { lease } => self.check_break(&tx.sender, *lease, height)?,
            ContractAction::PseudonymBond => self.check_pseudonym_bond(tx)?,
            ContractAction::PseudonymRetire => {
                self.active_pseudonym(&tx.sender).ok_or(Why::NoPseudonym)?;
                let until = after(height, self.params.unbonding_blocks);
                ContractEffect::PseudonymRetired { until }
            }
            ContractAction::PseudonymReport(proof) => self.check_pseudonym_report(proof, height)?,
            ContractAction::SlaOpen(terms) => self.check_sla_open(tx, terms, height)?,
            ContractAction::SlaClaim(claim) => self.check_sla_claim(claim, height)?,
            ContractAction::Quarantine { subject, evidence } => {
                self.check_quarantine(*subject, evidence, height)?
            }
            ContractAction::Parole { reports } => {
                let row = self.contracts.quarantine(&tx.sender);
                let row = row.filter(|row| row.is_confined()).ok_or(Why::NotQuarantined)?;
                let wanted = self.wanted(tx.sender, ReportVerdict::Behaves, row, height);
                self.check_parole_time(row, height)?;
                check_reports(reports, &wanted, |key| self.is_witness(key))?;
                ContractEffect::Paroled { until: after(height, self.params.claim_window_blocks) }
            }
        };
        Ok(Effect::Contract(Box::new(effect)))
    }

    /// Whether `account` has a bond that answers for its word: of a router, or of a pseudonym.
    pub(crate) fn is_bonded(&self, account: &AccountKey) -> bool {
        self.routers.check_active(account).is_ok() || self.active_pseudonym(account).is_some()
    }

    /// Whether the word of `account` counts: bonded as a router, and not quarantined.
    fn is_witness(&self, account: &AccountKey) -> bool {
        self.routers.check_active(account).is_ok() && !self.contracts.is_confined(account)
    }

    fn active_pseudonym(&self, account: &AccountKey) -> Option<&Pseudonym> {
        let row = self.contracts.pseudonym(account);
        row.filter(|row| row.phase == PseudonymPhase::Active)
    }

    fn check_list(&self, tx: &Tx, offer: &Offer) -> Result<ContractEffect, Rejection> {
        offer.check()?;
        if !self.is_bonded(&tx.sender) {
            return Err(Why::SellerUnbonded.into());
        }
        if self.contracts.is_confined(&tx.sender) {
            return Err(Why::SellerQuarantined.into());
        }
        if self.contracts.listings_of(&tx.sender).count() >= LISTINGS_PER_SELLER_MAX {
            return Err(Why::TooManyListings { max: wide(LISTINGS_PER_SELLER_MAX) }.into());
        }
        let id = listing_id(&self.chain, &tx.sender, tx.nonce);
        let listing = Listing { seller: tx.sender, offer: offer.clone(), is_open: true };
        Ok(ContractEffect::Listed { id, listing })
    }

    fn check_unlist(&self, sender: &AccountKey, id: ListingId) -> Result<ContractEffect, Why> {
        let listing = self.contracts.listing(&id).ok_or(Why::NoSuchListing)?;
        if listing.seller != *sender {
            return Err(Why::NotTheSeller);
        }
        if listing.is_open { Ok(ContractEffect::Unlisted { id }) } else { Err(Why::ListingClosed) }
    }

    fn check_buy(&self, tx: &Tx, buy: &Buy, height: Height) -> Result<ContractEffect, Rejection> {
        let lease = self.quote_lease(tx.sender, buy.listing, &buy.terms, height, &[])?;
        if lease.price > buy.price_max {
            return Err(Why::TooExpensive { price: lease.price, max: buy.price_max }.into());
        }
        self.check_spend(tx, lease.price)?;
        let id = lease_id(&self.chain, &tx.sender, tx.nonce, 0);
        Ok(ContractEffect::Leased { leases: vec![(id, lease)] })
    }

    /// The lease that `buyer` would get at `height`, after the leases `before` of the same order.
    fn quote_lease(
        &self,
        buyer: AccountKey,
        id: ListingId,
        terms: &LeaseTerms,
        height: Height,
        before: &[(LeaseId, Lease)],
    ) -> Result<Lease, Why> {
        let listing = self.contracts.listing(&id).ok_or(Why::NoSuchListing)?;
        self.check_sells(listing, &buyer)?;
        let offer = &listing.offer;
        check_times(offer, terms, height, self.params.lane_blocks_max)?;
        let price = offer.rate.price(terms.mbps, terms.interval.length());
        let price = price.ok_or(Why::NeverForSale)?;
        let ordered = before.iter().filter(|(_, lease)| lease.listing == id).map(|(_, l)| l);
        let standing = self.contracts.leases_of(&id).map(|(_, lease)| lease);
        let leases: Vec<_> = standing.chain(ordered).collect();
        if leases.len() >= LEASES_PER_LISTING_MAX {
            return Err(Why::TooManyLeases { max: wide(LEASES_PER_LISTING_MAX) });
        }
        let leased = peak(&terms.interval, leases.iter().map(|lease| &lease.terms));
        let free = u64::from(offer.mbps).saturating_sub(leased);
        if terms.mbps < offer.mbps_min || u64::from(terms.mbps) > free {
            let free_mbps = u32::try_from(free).unwrap_or(u32::MAX);
            return Err(Why::CapacityFull { free_mbps, min_mbps: offer.mbps_min });
        }
        let (seller, weight) = (listing.seller, offer.weight);
        let (terms, ditex_bps) = (*terms, DITEX_BPS);
        Ok(Lease { listing: id, seller, buyer, terms, weight, ditex_bps, price })
    }

    fn check_sells(&self, listing: &Listing, buyer: &AccountKey) -> Result<(), Why> {
        if !listing.is_open {
            return Err(Why::ListingClosed);
        }
        if listing.seller == *buyer {
            return Err(Why::BuyerIsSeller);
        }
        if self.contracts.is_confined(&listing.seller) {
            return Err(Why::SellerQuarantined);
        }
        // A seller that retired or was slashed answers for nothing any more.
        if self.is_bonded(&listing.seller) { Ok(()) } else { Err(Why::SellerUnbonded) }
    }

    fn check_order(
        &self,
        tx: &Tx,
        order: &Order,
        height: Height,
    ) -> Result<ContractEffect, Rejection> {
        order.check_size()?;
        let spec = &order.spec;
        for ((leg, route), index) in spec.legs.iter().zip(&order.routes).zip(0_u64..) {
            let listings: Option<Vec<_>> =
                route.iter().map(|id| self.contracts.listing(id)).collect();
            let listings = listings.ok_or(Why::NoSuchListing)?;
            let offers = listings.iter().map(|listing| &listing.offer);
            check_leg(leg, index, spec.delay_ns_max, offers)?;
        }
        let mut leases: Vec<(LeaseId, Lease)> = Vec::new();
        for (listing, index) in order.listings().zip(0_u64..) {
            let lease = self.quote_lease(tx.sender, listing, &spec.terms, height, &leases)?;
            leases.push((lease_id(&self.chain, &tx.sender, tx.nonce, index), lease));
        }
        let prices = leases.iter().map(|(_, lease)| lease.price);
        let price = Amount::checked_sum(prices).unwrap_or(Amount::from_base(u64::MAX));
        if price > spec.budget {
            return Err(Why::TooExpensive { price, max: spec.budget }.into());
        }
        self.check_spend(tx, price)?;
        Ok(ContractEffect::Leased { leases })
    }

    /// The cheapest listings for each leg that `buyer` could order in the next block.
    ///
    /// Legs are planned one after the other; what an earlier one takes is not free for a later one.
    ///
    /// **Errors:** why it is infeasible: the first leg that no listings serve, that all listings
    /// serve too slowly, or the budget.
    pub fn plan(&self, buyer: AccountKey, spec: &OrderSpec) -> Result<Order, Rejection> {
        let height = self.next_height();
        let (mut routes, mut taken) = (Vec::new(), Vec::<(LeaseId, Lease)>::new());
        for (leg, index) in spec.legs.iter().zip(0_u64..) {
            let quote = |id| self.quote_lease(buyer, id, &spec.terms, height, &taken).ok();
            let priced = |(id, listing): (&ListingId, _)| Some((*id, listing, quote(*id)?.price));
            let usable = self.contracts.listings().filter_map(priced).collect();
            let route = match (Search { usable, delay_ns_max: spec.delay_ns_max }).run(leg) {
                Answer::Route(route) => route,
                Answer::TooSlow(delay_ns) => {
                    let max_ns = spec.delay_ns_max;
                    return Err(Why::LegTooSlow { leg: index, delay_ns, max_ns }.into());
                }
                Answer::Nothing => return Err(Why::LegUnserved { leg: index }.into()),
            };
            for id in &route {
                let lease = self.quote_lease(buyer, *id, &spec.terms, height, &taken)?;
                taken.push((LeaseId([0; 32]), lease));
            }
            routes.push(route);
        }
        let order = Order { spec: spec.clone(), routes };
        order.check_size()?;
        let prices = taken.iter().map(|(_, lease)| lease.price);
        let price = Amount::checked_sum(prices).unwrap_or(Amount::from_base(u64::MAX));
        if price > spec.budget {
            return Err(Why::TooExpensive { price, max: spec.budget }.into());
        }
        Ok(order)
    }

    fn check_leased_lane(
        &self,
        tx: &Tx,
        id: &LeaseId,
        open: &LaneOpen,
        height: Height,
    ) -> Result<Effect, Rejection> {
        let lease = self.contracts.lease(id).ok_or(Why::NoSuchLease)?;
        if lease.buyer != tx.sender {
            return Err(Why::NotTheBuyer.into());
        }
        if open.expiry > lease.terms.settle {
            return Err(Why::LaneOutlivesLease { settle: lease.terms.settle }.into());
        }
        let mut open = open.clone();
        let seller = open.payees.iter_mut().find(|payee| payee.account == lease.seller);
        seller.ok_or(Why::SellerNotPayee)?.weight = lease.weight;
        self.check_lane_open(tx, &open, height)
    }

    fn check_break(
        &self,
        sender: &AccountKey,
        id: LeaseId,
        height: Height,
    ) -> Result<ContractEffect, Why> {
        let lease = self.contracts.lease(&id).ok_or(Why::NoSuchLease)?;
        if lease.seller != *sender {
            return Err(Why::NotTheSeller);
        }
        Ok(ContractEffect::LeaseBroken { id, split: lease.split(height) })
    }

    fn check_pseudonym_bond(&self, tx: &Tx) -> Result<ContractEffect, Rejection> {
        let is_known = self.routers.get(&tx.sender).is_some()
            || self.contracts.pseudonym(&tx.sender).is_some();
        if is_known {
            return Err(Why::PseudonymKnown.into());
        }
        let bond = self.params.router_bond;
        if !bond.is_zero() {
            self.check_spend(tx, bond)?;
        }
        Ok(ContractEffect::PseudonymBonded { bond })
    }

    fn check_pseudonym_report(
        &self,
        proof: &Contradiction,
        height: Height,
    ) -> Result<ContractEffect, Rejection> {
        let account = proof.check(&self.chain)?;
        let row = self.contracts.pseudonym(&account).ok_or(Why::NoPseudonym)?;
        let until = match row.phase {
            PseudonymPhase::Active => after(height, self.params.unbonding_blocks),
            PseudonymPhase::Unbonding { until } => until,
            PseudonymPhase::Slashed { .. } => return Err(Rejection::RouterSlashed),
        };
        let slashed = row.bond.bps(self.params.slash_bps).expect("a part of a bond fits");
        let reward = Amount::from_base(slashed.base() / 2);
        let burned = slashed.saturating_sub(reward);
        Ok(ContractEffect::PseudonymSlashed { account, reward, burned, until })
    }

    fn check_sla_open(
        &self,
        tx: &Tx,
        terms: &SlaTerms,
        height: Height,
    ) -> Result<ContractEffect, Rejection> {
        terms.check(&tx.sender, height, self.params.lane_blocks_max)?;
        if self.contracts.slas_of(&tx.sender) >= SLAS_PER_PROVIDER_MAX {
            return Err(Why::TooManyAgreements { max: wide(SLAS_PER_PROVIDER_MAX) }.into());
        }
        self.check_spend(tx, terms.funds)?;
        let id = sla_id(&self.chain, &tx.sender, tx.nonce);
        let (provider, left) = (tx.sender, terms.funds);
        let sla = Sla { provider, terms: terms.clone(), opened: height, left, paid: None };
        Ok(ContractEffect::SlaOpened { id, sla })
    }

    fn check_sla_claim(&self, claim: &SlaClaim, height: Height) -> Result<ContractEffect, Why> {
        let sla = self.contracts.sla(&claim.sla).ok_or(Why::NoSuchAgreement)?;
        let amount = sla.judge(&self.chain, claim, height)?;
        let (id, period, customer) = (claim.sla, claim.period, sla.terms.customer);
        Ok(ContractEffect::SlaPaid { id, period, customer, amount })
    }

    fn check_quarantine(
        &self,
        subject: AccountKey,
        evidence: &QuarantineEvidence,
        height: Height,
    ) -> Result<ContractEffect, Rejection> {
        let never = Quarantine::none();
        let row = self.contracts.quarantine(&subject).unwrap_or(&never);
        if row.is_confined() {
            return Err(Why::QuarantinedAlready.into());
        }
        let spent = match evidence {
            QuarantineEvidence::Contradiction(proof) => {
                if proof.check(&self.chain)? != subject {
                    return Err(Why::ReportForeign { index: 0 }.into());
                }
                let boot = boot_of(&proof.left.body);
                if row.spent.contains(&boot) {
                    return Err(Why::EvidenceSpent.into());
                }
                Some(boot)
            }
            QuarantineEvidence::Flags => {
                let wanted = self.wanted(subject, ReportVerdict::Misbehaves, row, height);
                let rating = self.contracts.rating(&subject);
                let flags =
                    rating.into_iter().flat_map(|rating| rating.flagged_after(wanted.after));
                let count = flags.filter(|payer| self.is_bonded(payer)).count();
                if count < WITNESSES_MIN {
                    return Err(too_weak(count).into());
                }
                None
            }
            QuarantineEvidence::Reports(reports) => {
                let wanted = self.wanted(subject, ReportVerdict::Misbehaves, row, height);
                check_reports(reports, &wanted, |key| self.is_witness(key))?;
                None
            }
        };
        let until = after(height, row.next_length(self.params.unbonding_blocks));
        let strikes = row.strikes.saturating_add(1);
        Ok(ContractEffect::Quarantined { subject, until, strikes, spent })
    }

    /// Evidence counts for one claim window, and only if nothing was decided after it.
    fn wanted(
        &self,
        subject: AccountKey,
        verdict: ReportVerdict,
        row: &Quarantine,
        height: Height,
    ) -> Wanted {
        let oldest = Height(height.0.saturating_sub(self.params.claim_window_blocks));
        let after = oldest.max(row.since);
        Wanted { chain: self.chain, subject, verdict, after, until: height }
    }

    /// Half of a quarantine has to pass before witnesses can end it.
    fn check_parole_time(&self, row: &Quarantine, height: Height) -> Result<(), Why> {
        let QuarantinePhase::Confined { until } = row.phase else {
            return Err(Why::NotQuarantined);
        };
        let from = Height(row.since.0 + until.0.saturating_sub(row.since.0).div_ceil(2));
        if height < from { Err(Why::ParoleTooEarly { from }) } else { Ok(()) }
    }

    /// Checks that no payee of a lane is quarantined.
    pub(crate) fn check_not_confined(&self, open: &LaneOpen) -> Result<(), Rejection> {
        let is_confined = |account: &AccountKey| self.contracts.is_confined(account);
        match open.payees.iter().position(|payee| is_confined(&payee.account)) {
            Some(index) => Err(Why::PayeeQuarantined { index: wide(index) }.into()),
            None => Ok(()),
        }
    }

    /// What the link statements of a ticket say; `None` if the lane does not exist.
    pub(crate) fn review_ticket(
        &self,
        sender: &AccountKey,
        ticket: &Ticket,
    ) -> Result<Review, Rejection> {
        let lane = self.lanes.get(&ticket.lane)?;
        let none = super::review::LaneBook::default();
        let book = self.contracts.book(&ticket.lane).unwrap_or(&none);
        let found = review(lane, book, ticket, sender, |account| self.is_bonded(account))?;
        debug_assert!(found.octets_max >= Octets(0));
        Ok(found)
    }
}

/// Checks when a lease is used and settled.
fn check_times(
    offer: &Offer,
    terms: &LeaseTerms,
    height: Height,
    blocks_max: u64,
) -> Result<(), Why> {
    if !terms.interval.is_sound() {
        return Err(Why::BadInterval);
    }
    if !offer.window.covers(&terms.interval) {
        return Err(Why::OutsideWindow);
    }
    let highest = after(height, offer.settle_blocks_max.min(blocks_max));
    let is_ordered = height <= terms.start && terms.start < terms.settle;
    if is_ordered && terms.settle <= highest {
        Ok(())
    } else {
        Err(Why::SettleOutOfRange { highest })
    }
}
