//! What tests of contracts share: routers with bonds, usual offers, usual terms.

use srwan_ledger::contract::listing::{Buy, LeaseTerms, Offer, Rate, Site, lease_id, listing_id};
use srwan_ledger::contract::rejection::ContractRejection;
use srwan_ledger::contract::window::{Interval, UtcSeconds, Window};
use srwan_ledger::contract::{ContractAction, ContractEffect};
use srwan_ledger::hash::{LeaseId, ListingId};
use srwan_ledger::outcome::{Effect, Outcome};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::Registration;
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, NodeKey};
use srwan_wire::receipt::Price;
use srwan_wire::roster::{Class, Location};

use crate::world::{PATH, World, coins, key};

pub const HOUR: u64 = 3_600;

pub fn site(name: &str) -> Site {
    Site(name.to_owned())
}

/// 100 Mbit/s from Chicago to New York at any time, 36 base units per Mbit/s and hour.
pub fn offer() -> Offer {
    Offer {
        from: site("chicago"),
        to: site("new york"),
        route: PATH,
        rate: Rate(1_000_000_000),
        mbps: 100,
        mbps_min: 1,
        weight: 7,
        delay_ns_max: 9_000_000,
        window: Window::Always,
        settle_blocks_max: 100,
    }
}

pub fn hours(start: u64, end: u64) -> Interval {
    Interval { start: UtcSeconds(start * HOUR), end: UtcSeconds(end * HOUR) }
}

impl World {
    pub fn contract(&mut self, person: u8, action: ContractAction) -> Outcome {
        self.act(person, Action::Contract(Box::new(action))).outcome
    }

    #[track_caller]
    pub fn agree(&mut self, person: u8, action: ContractAction) -> ContractEffect {
        match self.contract(person, action) {
            Outcome::Applied(Effect::Contract(effect)) => *effect,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn declines(&mut self, person: u8, action: ContractAction, why: ContractRejection) {
        let expected = Outcome::Rejected(Rejection::Contract(why));
        assert_eq!(self.contract(person, action), expected);
    }

    pub fn register(&mut self, person: u8) {
        let registration = Registration {
            node_key: NodeKey([person; 32]),
            location: Location::default(),
            asn: u32::from(person),
            class: Class::Premium,
            price: Price::REFERENCE,
        };
        self.must(person, Action::RegisterRouter(registration));
    }

    #[track_caller]
    pub fn list(&mut self, person: u8, offer: Offer) -> ListingId {
        let id = listing_id(&self.state.chain(), &key(person), self.nonce(person));
        self.agree(person, ContractAction::List(offer));
        id
    }

    /// Terms of a lease that is bought in the next block: ten blocks from the next but one on.
    pub fn terms(&self, interval: Interval, mbps: u32) -> LeaseTerms {
        let height = self.state.height().0;
        LeaseTerms { interval, mbps, start: Height(height + 2), settle: Height(height + 12) }
    }

    pub fn ask_lease(&self, listing: ListingId, interval: Interval, mbps: u32) -> ContractAction {
        let terms = self.terms(interval, mbps);
        ContractAction::Buy(Buy { listing, terms, price_max: coins(9_000) })
    }

    #[track_caller]
    pub fn buy(&mut self, person: u8, listing: ListingId, when: Interval, mbps: u32) -> LeaseId {
        let id = lease_id(&self.state.chain(), &key(person), self.nonce(person), 0);
        let action = self.ask_lease(listing, when, mbps);
        self.agree(person, action);
        id
    }

    /// What the sum of fees takes is not looked at: only what contracts move.
    pub fn infra(&self) -> u64 {
        self.state.supply().pools.infra.base()
    }
}
