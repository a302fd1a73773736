//! Listings, leases, pseudonyms and orders.

use srwan_ledger::contract::listing::{Buy, Offer, Rate, lease_id, peak};
use srwan_ledger::contract::order::{Leg, Order, OrderSpec};
use srwan_ledger::contract::rejection::ContractRejection as Why;
use srwan_ledger::contract::window::{OffsetChange, Span, UtcSeconds, Weekly, Window};
use srwan_ledger::contract::{ContractAction, ContractEffect, ContractEvent};
use srwan_ledger::outcome::{Effect, Event, Outcome};
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::Contradiction;
use srwan_ledger::state::State;
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, Octets};
use srwan_wire::receipt::{LinkCounters, LinkStatement, LinkStatementBody};
use srwan_wire::time::Timestamp;

use crate::contract_world::{hours, offer, site};
use crate::world::{World, base, coins, key, secret};

#[test]
fn a_lease_is_bought_used_and_settled_without_people() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, offer());
    let before = (world.balance(1), world.balance(2), world.infra());
    let id = world.buy(1, listing, hours(10, 12), 5);
    let lease = world.state.contracts().lease(&id).unwrap().clone();
    // 5 Mbit/s for two hours at one coin each.
    assert_eq!(lease.price, coins(10));
    assert_eq!(world.state.supply().contracts, u128::from(coins(10).base()));
    assert_eq!(world.balance(1).base(), before.0.base() - coins(10).base() - fee(&world, 1));

    world.blocks(10);
    assert!(world.state.contracts().lease(&id).is_some());
    let events = world.block(Vec::new()).events;
    let settled = events.iter().find_map(|event| match event {
        Event::Contract(ContractEvent::LeaseSettled { id, split, .. }) => Some((*id, *split)),
        _ => None,
    });
    let (settled, split) = settled.unwrap();
    assert_eq!((settled, split.fee, split.refund), (id, base(50_000_000), base(0)));
    assert_eq!(world.balance(2).base(), before.1.base() + coins(10).base() - 50_000_000);
    assert_eq!(world.infra(), before.2 + 50_000_000);
    assert_eq!(world.state.supply().contracts, 0);
}

/// What the last transaction of this kind cost: the same action signed again has the same size.
fn fee(world: &World, person: u8) -> u64 {
    let listing = world.state.contracts().listings().next().map(|(id, _)| *id).unwrap();
    let action = Action::Contract(Box::new(world.ask_lease(listing, hours(10, 12), 5)));
    world.tx(person, action).body.fee.base()
}

#[test]
fn capacity_is_never_oversold_at_any_instant() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, offer());
    world.buy(1, listing, hours(10, 12), 60);
    world.buy(3, listing, hours(12, 14), 70);
    // Touching is not overlapping: 60 until 12, 70 from 12 on. 30 are free over both.
    let full = Why::CapacityFull { free_mbps: 30, min_mbps: 1 };
    let ask = world.ask_lease(listing, hours(11, 13), 31);
    world.declines(4, ask, full);
    world.buy(4, listing, hours(11, 13), 30);
    let none = Why::CapacityFull { free_mbps: 0, min_mbps: 1 };
    let ask = world.ask_lease(listing, hours(12, 13), 1);
    world.declines(5, ask, none);
    world.buy(5, listing, hours(14, 15), 100);
}

#[test]
fn a_listing_is_used_in_its_hours_only() {
    let mut world = World::new();
    world.register(2);
    let night = Window::Weekly(Weekly {
        days: 127,
        spans: vec![Span { start_minute: 22 * 60, end_minute: 30 * 60 }],
        offsets: vec![OffsetChange { at: UtcSeconds(0), offset_minutes: 0 }],
    });
    let listing = world.list(2, Offer { window: night, ..offer() });
    world.buy(1, listing, hours(22, 30), 1);
    let ask = world.ask_lease(listing, hours(21, 23), 1);
    world.declines(1, ask, Why::OutsideWindow);
    let ask = world.ask_lease(listing, hours(22, 54), 1);
    world.declines(1, ask, Why::OutsideWindow);
}

#[test]
fn a_listing_at_an_infinite_price_is_never_sold() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, Offer { rate: Rate::INFINITE, ..offer() });
    let ask = world.ask_lease(listing, hours(1, 2), 1);
    world.declines(1, ask, Why::NeverForSale);
}

#[test]
fn every_purchase_that_breaks_a_rule_is_rejected_with_its_reason() {
    let mut world = World::new();
    world.declines(2, ContractAction::List(offer()), Why::SellerUnbonded);
    world.register(2);
    let bad = [
        (Offer { to: site("chicago"), ..offer() }, Why::BadSites),
        (Offer { mbps: 0, ..offer() }, Why::BadOffer),
        (Offer { mbps_min: 101, ..offer() }, Why::BadOffer),
        (Offer { settle_blocks_max: 0, ..offer() }, Why::BadOffer),
    ];
    for (offer, why) in bad {
        world.declines(2, ContractAction::List(offer), why);
    }
    let listing = world.list(2, offer());
    let ask = world.ask_lease(listing, hours(1, 2), 1);
    world.declines(2, ask, Why::BuyerIsSeller);
    let ask = world.ask_lease(listing, hours(2, 2), 1);
    world.declines(1, ask, Why::BadInterval);
    let ask = world.ask_lease(listing, hours(0, 24 * 32), 1);
    world.declines(1, ask, Why::BadInterval);
    let mut terms = world.terms(hours(1, 2), 1);
    terms.settle = Height(world.state.height().0 + 102);
    let highest = Height(world.state.height().0 + 101);
    let buy = |terms, price_max| ContractAction::Buy(Buy { listing, terms, price_max });
    world.declines(1, buy(terms, coins(9)), Why::SettleOutOfRange { highest });
    let terms = world.terms(hours(1, 2), 2);
    let dear = Why::TooExpensive { price: coins(2), max: coins(1) };
    world.declines(1, buy(terms, coins(1)), dear);
    world.declines(1, ContractAction::Unlist { listing }, Why::NotTheSeller);
    world.agree(2, ContractAction::Unlist { listing });
    let ask = world.ask_lease(listing, hours(1, 2), 1);
    world.declines(1, ask, Why::NoSuchListing);
}

#[test]
fn a_seller_that_closes_a_listing_still_serves_and_is_paid() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, offer());
    let id = world.buy(1, listing, hours(1, 2), 1);
    world.agree(2, ContractAction::Unlist { listing });
    let ask = world.ask_lease(listing, hours(1, 2), 1);
    world.declines(1, ask, Why::ListingClosed);
    world.blocks(12);
    let contracts = world.state.contracts();
    assert!(contracts.lease(&id).is_none() && contracts.listing(&listing).is_none());
}

#[test]
fn a_broken_lease_gives_back_what_is_left_of_it() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, offer());
    let id = world.buy(1, listing, hours(0, 10), 1);
    let lease = world.state.contracts().lease(&id).unwrap().clone();
    world.declines(1, ContractAction::Break { lease: id }, Why::NotTheSeller);
    while world.state.next_height().0 < lease.terms.start.0 + 4 {
        world.blocks(1);
    }
    let before = world.balance(1);
    let effect = world.agree(2, ContractAction::Break { lease: id });
    let ContractEffect::LeaseBroken { split, .. } = effect else { panic!("{effect:?}") };
    // Four of ten blocks were served.
    assert_eq!(split.refund, coins(6));
    assert_eq!(split.seller.base() + split.fee.base(), coins(4).base());
    assert_eq!(world.balance(1).base(), before.base() + coins(6).base());
    world.declines(2, ContractAction::Break { lease: id }, Why::NoSuchLease);
}

#[test]
fn a_lane_under_a_lease_pays_the_seller_its_premium() {
    let mut world = World::new();
    world.register(2);
    let listing = world.list(2, offer());
    let lease = world.buy(1, listing, hours(0, 1), 1);
    world.must(1, Action::EscrowAdd { amount: coins(300) });
    let settle = world.state.contracts().lease(&lease).unwrap().terms.settle;
    let mut open = world.ask(&[2, 3]);
    let under = |lease, open| ContractAction::LaneOpen { lease, open };
    world.declines(1, under(lease, open.clone()), Why::LaneOutlivesLease { settle });
    open.expiry = settle;
    world.declines(4, under(lease, open.clone()), Why::NotTheBuyer);
    let mut elsewhere = world.ask(&[3, 4]);
    elsewhere.expiry = settle;
    world.declines(1, under(lease, elsewhere), Why::SellerNotPayee);
    let Outcome::Applied(Effect::LaneOpened { lane, .. }) = world.contract(1, under(lease, open))
    else {
        panic!("no lane")
    };
    let weights: Vec<_> = world.state.lane(&lane).unwrap().terms().weights;
    assert_eq!(weights, [7, 1]);
}

#[test]
fn a_pseudonym_sells_without_a_router_and_loses_its_bond_for_a_lie() {
    let mut world = World::new();
    world.register(2);
    world.declines(2, ContractAction::PseudonymBond, Why::PseudonymKnown);
    world.agree(6, ContractAction::PseudonymBond);
    world.declines(6, ContractAction::PseudonymBond, Why::PseudonymKnown);
    let listing = world.list(6, offer());
    assert!(world.state.router(&key(6)).is_none());
    world.buy(1, listing, hours(0, 1), 1);

    let said = |out| {
        let body = LinkStatementBody {
            chain: world.state.chain(),
            reporter: key(6),
            peer: key(1),
            boot_time: Timestamp::from_nanos(1),
            boot_nonce: 1,
            seq: 1,
            counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
        };
        LinkStatement::new(body, &secret(6))
    };
    let proof = Box::new(Contradiction { left: said(1), right: said(2) });
    let effect = world.agree(1, ContractAction::PseudonymReport(proof.clone()));
    let ContractEffect::PseudonymSlashed { reward, burned, .. } = effect else { panic!() };
    assert_eq!((reward, burned), (coins(25), coins(25)));
    let again = world.contract(1, ContractAction::PseudonymReport(proof));
    assert_eq!(again, Outcome::Rejected(Rejection::RouterSlashed));
    let ask = world.ask_lease(listing, hours(0, 1), 1);
    world.declines(3, ask, Why::ListingClosed);
    world.declines(6, ContractAction::List(offer()), Why::SellerUnbonded);
    world.blocks(20);
    assert_eq!(world.state.supply().contracts, 0);
}

#[test]
fn a_retired_pseudonym_gets_its_bond_back_after_the_unbonding_time() {
    let mut world = World::new();
    world.declines(6, ContractAction::PseudonymRetire, Why::NoPseudonym);
    world.agree(6, ContractAction::PseudonymBond);
    let before = world.balance(6);
    world.agree(6, ContractAction::PseudonymRetire);
    world.blocks(4);
    assert!(world.balance(6) < before);
    world.blocks(1);
    assert!(world.balance(6).base() > before.base() + coins(999).base());
}

/// Chicago, New York, Boston, Miami, with a slow cheap way and a fast dear one.
fn exchange() -> World {
    let mut world = World::new();
    for (seller, from, to, rate, delay_ns_max) in [
        (2, "chicago", "new york", 4_000_000_000, 9_000_000),
        (3, "chicago", "detroit", 1_000_000_000, 5_000_000),
        (4, "new york", "detroit", 1_000_000_000, 8_000_000),
        (5, "boston", "new york", 2_000_000_000, 4_000_000),
    ] {
        world.register(seller);
        let (from, to) = (site(from), site(to));
        world.list(seller, Offer { from, to, rate: Rate(rate), delay_ns_max, ..offer() });
    }
    world
}

fn spec(world: &World, legs: &[(&str, &str)], mbps: u32) -> OrderSpec {
    let legs = legs.iter().map(|(from, to)| Leg { from: site(from), to: site(to) }).collect();
    let terms = world.terms(hours(0, 1), mbps);
    OrderSpec { legs, terms, delay_ns_max: 20_000_000, budget: coins(1_000) }
}

#[test]
fn an_order_buys_the_cheapest_bundle_that_is_fast_enough() {
    let mut world = exchange();
    let legs = [("chicago", "new york"), ("boston", "chicago")];
    let wanted = spec(&world, &legs, 10);
    let order = world.state.plan(key(1), &wanted).unwrap();
    // By Detroit for 2 coins per Mbit/s, in 13 ms; and from Boston in 17 ms.
    assert_eq!(order.routes.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3]);
    let effect = world.agree(1, ContractAction::Order(order));
    let ContractEffect::Leased { leases } = effect else { panic!() };
    let price: u64 = leases.iter().map(|(_, lease)| lease.price.base()).sum();
    assert_eq!((leases.len(), price), (5, coins(60).base()));

    let fast = OrderSpec { delay_ns_max: 9_000_000, ..spec(&world, &legs[..1], 10) };
    assert_eq!(world.state.plan(key(1), &fast).unwrap().routes[0].len(), 1);
}

#[test]
fn an_infeasible_order_says_why_and_buys_nothing() {
    let mut world = exchange();
    let plan = |world: &World, spec: &OrderSpec| world.state.plan(key(1), spec).unwrap_err();
    let to_miami = spec(&world, &[("chicago", "new york"), ("chicago", "miami")], 1);
    assert_eq!(plan(&world, &to_miami), Why::LegUnserved { leg: 1 }.into());
    let slow = OrderSpec { delay_ns_max: 8_000_000, ..spec(&world, &[("chicago", "new york")], 1) };
    let why = Why::LegTooSlow { leg: 0, delay_ns: 9_000_000, max_ns: 8_000_000 };
    assert_eq!(plan(&world, &slow), why.into());
    let dear = OrderSpec { budget: coins(19), ..spec(&world, &[("chicago", "new york")], 10) };
    let why = Why::TooExpensive { price: coins(20), max: coins(19) };
    assert_eq!(plan(&world, &dear), why.into());
    // Twice 60 of 100 Mbit/s: the second leg has to go the other way, the third finds nothing.
    let many = spec(&world, &[("chicago", "new york"); 3], 60);
    assert_eq!(plan(&world, &many), Why::LegUnserved { leg: 2 }.into());

    // What no plan gives, no order gets: the first leg would do, the second does not.
    let good = world.state.plan(key(1), &spec(&world, &[("chicago", "new york")], 60)).unwrap();
    let route = good.routes[0].clone();
    let twice = OrderSpec { legs: vec![good.spec.legs[0].clone(); 2], ..good.spec.clone() };
    let greedy = Order { spec: twice, routes: vec![route.clone(), route.clone()] };
    let full = Why::CapacityFull { free_mbps: 40, min_mbps: 1 };
    world.declines(1, ContractAction::Order(greedy), full);
    let backwards = route.iter().rev().copied().collect();
    let broken = Order { routes: vec![backwards], ..good.clone() };
    world.declines(1, ContractAction::Order(broken), Why::LegBroken { leg: 0 });
    let none = Order { routes: Vec::new(), ..good };
    world.declines(1, ContractAction::Order(none), Why::OrderSize { max: 32 });
    assert_eq!(world.state.contracts().leases().count(), 0);
}

#[test]
fn contracts_survive_a_snapshot_with_all_that_is_due() {
    let mut world = exchange();
    let order = world.state.plan(key(1), &spec(&world, &[("chicago", "new york")], 10)).unwrap();
    world.agree(1, ContractAction::Order(order));
    world.agree(6, ContractAction::PseudonymBond);
    world.agree(6, ContractAction::PseudonymRetire);
    let mut read = World { state: State::from_snapshot(&world.state.to_snapshot()).unwrap() };
    assert_eq!(read.state.root(), world.state.root());
    world.blocks(20);
    read.blocks(20);
    assert_eq!(read.state.root(), world.state.root());
    assert_eq!(read.state.supply().contracts, 0);
}

proptest::proptest! {
    #[test]
    fn the_peak_is_that_of_the_slow_count_of_every_second(
        leases in proptest::collection::vec((0_u64..20, 1_u64..10, 1_u32..50), 0..12),
        start in 0_u64..20,
        length in 1_u64..10,
    ) {
        let world = World::new();
        let seconds = |start, length| srwan_ledger::contract::window::Interval {
            start: UtcSeconds(start),
            end: UtcSeconds(start + length),
        };
        let terms: Vec<_> = leases
            .iter()
            .map(|(start, length, mbps)| world.terms(seconds(*start, *length), *mbps))
            .collect();
        let within = seconds(start, length);
        let at = |second: u64| -> u64 {
            let runs = |t: &&srwan_ledger::contract::listing::LeaseTerms| {
                t.interval.start.0 <= second && second < t.interval.end.0
            };
            terms.iter().filter(runs).map(|t| u64::from(t.mbps)).sum()
        };
        let slow = (start..start + length).map(at).max().unwrap();
        proptest::prop_assert_eq!(peak(&within, terms.iter()), slow);
    }

    #[test]
    fn a_lease_divides_into_exactly_its_price_at_any_height(
        price in 0_u64..u64::MAX,
        start in 0_u64..100,
        blocks in 1_u64..100,
        height in 0_u64..300,
        ditex_bps in 0_u16..=10_000,
    ) {
        let mut world = World::new();
        world.register(2);
        let listing = world.list(2, offer());
        let id = world.buy(1, listing, hours(0, 1), 1);
        let mut lease = world.state.contracts().lease(&id).unwrap().clone();
        (lease.price, lease.ditex_bps) = (base(price), ditex_bps);
        (lease.terms.start, lease.terms.settle) = (Height(start), Height(start + blocks));
        let split = lease.split(Height(height));
        let parts = [split.seller, split.fee, split.refund].map(|part| u128::from(part.base()));
        proptest::prop_assert_eq!(parts.iter().sum::<u128>(), u128::from(price));
        if height <= start {
            proptest::prop_assert_eq!(split.refund, base(price));
        }
    }
}

#[test]
fn the_name_of_a_lease_depends_on_chain_buyer_and_number() {
    let chain = World::new().state.chain();
    let id = lease_id(&chain, &key(1), 2, 3);
    assert_ne!(id, lease_id(&chain, &key(2), 2, 3));
    assert_ne!(id, lease_id(&chain, &key(1), 3, 2));
}
