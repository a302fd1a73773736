//! Carries out what `check` allowed; cannot fail.

use super::ContractEffect;
use super::listing::{Lease, LeaseSplit};
use super::pseudonym::{Pseudonym, PseudonymPhase};
use super::quarantine::{Quarantine, QuarantinePhase};
use super::rating::Finding;
use super::review::Review;
use super::sla::Sla;
use crate::amount::Amount;
use crate::apply::{after, sum};
use crate::hash::LeaseId;
use crate::hash::TxHash;
use crate::outcome::Effect;
use crate::state::State;
use crate::ticket::Ticket;
use crate::tx::{Action, Tx};
use srwan_wire::id::{AccountKey, Height};

impl State {
    pub(crate) fn write_contract(
        &mut self,
        sender: AccountKey,
        effect: &ContractEffect,
        height: Height,
    ) {
        match effect {
            ContractEffect::Listed { id, listing } => {
                self.contracts.put_listing(*id, listing.clone());
            }
            ContractEffect::Unlisted { id } => self.contracts.close_listing(*id),
            ContractEffect::Leased { leases } => {
                for (id, lease) in leases {
                    self.debit(sender, lease.price);
                    self.contracts.put_lease(*id, lease.clone());
                }
            }
            ContractEffect::LeaseBroken { id, split } => self.end_lease(*id, *split),
            ContractEffect::PseudonymBonded { bond } => {
                self.debit(sender, *bond);
                let row = Pseudonym { bond: *bond, phase: PseudonymPhase::Active };
                self.contracts.put_pseudonym(sender, row);
            }
            ContractEffect::PseudonymRetired { until } => {
                let bond = self.contracts.pseudonym(&sender).map_or(Amount::ZERO, |row| row.bond);
                let phase = PseudonymPhase::Unbonding { until: *until };
                self.contracts.put_pseudonym(sender, Pseudonym { bond, phase });
                self.close_listings(&sender);
            }
            ContractEffect::PseudonymSlashed { account, reward, burned, until } => {
                self.slash_pseudonym(*account, sum(*reward, *burned), *until);
                self.accounts.credit(sender, *reward);
                self.pools.burned = sum(self.pools.burned, *burned);
            }
            ContractEffect::SlaOpened { id, sla } => {
                self.debit(sender, sla.terms.funds);
                self.contracts.put_sla(*id, sla.clone());
            }
            ContractEffect::SlaPaid { id, period, customer, amount } => {
                let sla = self.contracts.sla(id).expect("the agreement was checked").clone();
                let left = sla.left.checked_sub(*amount).expect("at most what is left is paid");
                self.contracts.put_sla(*id, Sla { left, paid: Some(*period), ..sla });
                self.accounts.credit(*customer, *amount);
            }
            ContractEffect::Quarantined { subject, until, strikes, spent } => {
                let phase = QuarantinePhase::Confined { until: *until };
                let known = self.contracts.quarantine(subject).cloned();
                let mut row = known.unwrap_or_else(Quarantine::none);
                (row.phase, row.strikes, row.since) = (phase, *strikes, height);
                row.spent.extend(spent);
                self.contracts.put_quarantine(*subject, row);
                self.break_leases(subject, height);
            }
            ContractEffect::Paroled { until } => {
                let row = self.contracts.quarantine(&sender).expect("the row was checked").clone();
                let phase = QuarantinePhase::Parole { until: *until };
                self.contracts.put_quarantine(sender, Quarantine { phase, since: height, ..row });
            }
        }
    }

    /// Divides a lease's coins and forgets it.
    pub(super) fn end_lease(&mut self, id: LeaseId, split: LeaseSplit) {
        let lease: Lease = self.contracts.lease(&id).expect("the lease was checked").clone();
        self.contracts.remove_lease(&id);
        self.accounts.credit(lease.seller, split.seller);
        self.accounts.credit(lease.buyer, split.refund);
        self.pools.infra = sum(self.pools.infra, split.fee);
    }

    /// Ends all leases of a seller that may not serve them any more.
    fn break_leases(&mut self, seller: &AccountKey, height: Height) {
        let listings: Vec<_> = self.contracts.listings_of(seller).collect();
        for listing in listings {
            let leases = self.contracts.leases_of(&listing);
            let splits: Vec<_> = leases.map(|(id, lease)| (id, lease.split(height))).collect();
            splits.into_iter().for_each(|(id, split)| self.end_lease(id, split));
        }
    }

    fn close_listings(&mut self, seller: &AccountKey) {
        let listings: Vec<_> = self.contracts.listings_of(seller).collect();
        listings.into_iter().for_each(|id| self.contracts.close_listing(id));
    }

    fn slash_pseudonym(&mut self, account: AccountKey, taken: Amount, until: Height) {
        let row = *self.contracts.pseudonym(&account).expect("the pseudonym was checked");
        let bond = row.bond.checked_sub(taken).expect("a part of a bond is at most the bond");
        let phase = PseudonymPhase::Slashed { until };
        self.contracts.put_pseudonym(account, Pseudonym { bond, phase });
        self.close_listings(&account);
    }

    /// Keeps what a settled ticket says about the routers of its lane.
    pub(crate) fn note_ticket(
        &mut self,
        (tx, evidence): (&Tx, TxHash),
        effect: &Effect,
        height: Height,
    ) {
        let (Action::Ticket(ticket), Effect::Settled(settlement)) = (&tx.action, effect) else {
            return;
        };
        let Ok(Review { flagged, book, .. }) = self.review_ticket(&tx.sender, ticket) else {
            return;
        };
        debug_assert_eq!(settlement.lane, ticket.lane);
        if !book.links.is_empty() {
            self.contracts.tables.books.put(ticket.lane, book);
        }
        let payer = self.lanes.get(&ticket.lane).expect("the ticket settled it").payer;
        if self.is_bonded(&payer) {
            let of = |router: &AccountKey| Finding {
                payer,
                fee: tx.fee,
                is_flagged: flagged.contains(router),
                evidence,
                height,
            };
            self.rate(ticket, of);
        }
    }

    fn rate(&mut self, ticket: &Ticket, finding: impl Fn(&AccountKey) -> Finding) {
        let lane = self.lanes.get(&ticket.lane).expect("the ticket settled it");
        let accounts = [lane.payer].into_iter();
        let accounts = accounts.chain(lane.open.payees.iter().map(|payee| payee.account));
        let routers: Vec<_> = accounts.filter(|key| self.is_bonded(key)).collect();
        for router in routers {
            let found = finding(&router);
            // A payer says nothing good about itself; a disagreement it takes part in counts.
            if router == found.payer && !found.is_flagged {
                continue;
            }
            let mut rating = self.contracts.rating(&router).cloned().unwrap_or_default();
            rating.note(&found);
            self.contracts.tables.ratings.put(router, rating);
        }
    }

    /// Where a quarantine goes when its time is over.
    pub(super) fn move_quarantine(
        &mut self,
        account: AccountKey,
        height: Height,
    ) -> QuarantinePhase {
        let row = self.contracts.quarantine(&account).expect("a due row exists").clone();
        let phase = match row.phase {
            QuarantinePhase::Confined { .. } => {
                QuarantinePhase::Parole { until: after(height, self.params.claim_window_blocks) }
            }
            QuarantinePhase::Parole { .. } | QuarantinePhase::Free => QuarantinePhase::Free,
        };
        self.contracts.put_quarantine(account, Quarantine { phase, ..row });
        phase
    }
}
