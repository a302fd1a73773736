//! Routers, bonds, and what a contradiction costs.

use srwan_ledger::amount::Amount;
use srwan_ledger::lane::LaneOpen;
use srwan_ledger::outcome::Effect;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::{Contradiction, Registration, RouterPhase};
use srwan_ledger::tx::Action;
use srwan_wire::id::{Height, NodeKey, Octets};
use srwan_wire::receipt::{LinkCounters, LinkStatement, LinkStatementBody, Price};
use srwan_wire::roster::{Class, Location};
use srwan_wire::time::Timestamp;

use crate::world::{World, coins, key, secret};

fn registration(node: u8) -> Registration {
    Registration {
        node_key: NodeKey([node; 32]),
        location: Location {
            city: "London".to_owned(),
            country: "GB".to_owned(),
            lat_e6: 51_500_000,
            lon_e6: -100_000,
        },
        asn: 64_501,
        class: Class::Public,
        price: Price::REFERENCE,
    }
}

fn register(world: &mut World, person: u8) {
    world.must(person, Action::RegisterRouter(registration(person)));
}

fn statement(world: &World, reporter: u8, seq: u64, out: u64) -> LinkStatement {
    let body = LinkStatementBody {
        chain: world.state.chain(),
        reporter: key(reporter),
        peer: key(9),
        boot_time: Timestamp::from_nanos(1),
        boot_nonce: 7,
        seq,
        counters: LinkCounters { out_octets: Octets(out), ..LinkCounters::default() },
    };
    LinkStatement::new(body, &secret(reporter))
}

fn proof(world: &World, reporter: u8) -> Action {
    let (left, right) = (statement(world, reporter, 1, 5), statement(world, reporter, 1, 6));
    Action::ReportContradiction(Box::new(Contradiction { left, right }))
}

#[test]
pub fn a_router_locks_its_bond_and_gets_it_back_after_the_unbonding_time() {
    let mut world = World::new();
    let before = world.wealth(1);
    register(&mut world, 1);
    assert_eq!(world.state.router(&key(1)).unwrap().bond, coins(1_000));
    world.must(1, Action::RetireRouter);
    assert_eq!(world.state.supply().bonds, u128::from(coins(1_000).base()));
    world.rejects(1, Action::RegisterRouter(registration(1)), Rejection::RouterRetired);
    world.blocks(5);
    assert_eq!(world.state.router(&key(1)), None);
    assert!(before - world.wealth(1) < coins(1).base());
    register(&mut world, 1);
}

#[test]
pub fn a_changed_registration_locks_no_second_bond() {
    let mut world = World::new();
    register(&mut world, 1);
    let dearer = Registration { price: Price(20_000_000), ..registration(1) };
    let effect = world.must(1, Action::RegisterRouter(dearer.clone()));
    assert_eq!(effect, Effect::RouterRegistered { registration: dearer, bond: Amount::ZERO });
    assert_eq!(world.state.router(&key(1)).unwrap().bond, coins(1_000));
}

#[test]
pub fn a_node_key_belongs_to_one_account() {
    let mut world = World::new();
    register(&mut world, 1);
    world.rejects(2, Action::RegisterRouter(registration(1)), Rejection::NodeKeyTaken);
    world.must(1, Action::RegisterRouter(registration(99)));
    world.must(2, Action::RegisterRouter(registration(1)));
}

#[test]
pub fn a_contradiction_costs_five_percent_half_to_the_reporter_half_burned() {
    let mut world = World::new();
    register(&mut world, 3);
    let before = world.balance(2);
    let receipt = world.act(2, proof(&world, 3));
    let gained = world.balance(2).base() + receipt.fee.base() - before.base();
    assert_eq!(gained, coins(25).base());
    assert_eq!(world.state.supply().pools.burned, coins(25));
    let router = world.state.router(&key(3)).unwrap();
    assert_eq!(router.bond, coins(950));
    assert!(matches!(router.phase, RouterPhase::Slashed { .. }));
}

#[test]
pub fn one_proof_costs_once_and_the_account_never_registers_again() {
    let mut world = World::new();
    register(&mut world, 3);
    world.must(2, proof(&world, 3));
    world.rejects(2, proof(&world, 3), Rejection::RouterSlashed);
    world.blocks(6);
    assert_eq!(world.state.router(&key(3)).unwrap().bond, Amount::ZERO);
    world.rejects(2, proof(&world, 3), Rejection::RouterSlashed);
    world.rejects(3, Action::RegisterRouter(registration(3)), Rejection::RouterSlashed);
}

#[test]
pub fn leaving_before_the_slash_saves_nothing() {
    let mut world = World::new();
    register(&mut world, 3);
    world.must(3, Action::RetireRouter);
    world.blocks(3);
    world.must(2, proof(&world, 3));
    assert_eq!(world.state.router(&key(3)).unwrap().bond, coins(950));
}

#[test]
pub fn a_proof_that_proves_nothing_is_rejected() {
    let mut world = World::new();
    register(&mut world, 3);
    let report = |left, right| Action::ReportContradiction(Box::new(Contradiction { left, right }));
    let consistent = report(statement(&world, 3, 1, 5), statement(&world, 3, 2, 6));
    world.rejects(2, consistent, Rejection::NoContradiction);
    let mut forged = statement(&world, 3, 1, 6);
    forged.signature = statement(&world, 3, 1, 7).signature;
    let forged = report(statement(&world, 3, 1, 5), forged);
    world.rejects(2, forged, Rejection::StatementForged { index: 1 });
    world.rejects(2, proof(&world, 4), Rejection::NotRegistered);
    let mut foreign = statement(&world, 3, 1, 5).body;
    foreign.chain = srwan_wire::id::ChainId([1; 32]);
    let other = LinkStatementBody { seq: 1, ..foreign };
    let foreign = report(
        LinkStatement::new(foreign, &secret(3)),
        LinkStatement::new(
            LinkStatementBody { counters: LinkCounters::default(), ..other },
            &secret(3),
        ),
    );
    world.rejects(2, foreign, Rejection::WrongChain);
}

#[test]
pub fn a_router_that_is_never_for_sale_is_in_no_lane() {
    let mut world = World::new();
    let unsold = Registration { price: Price::INFINITE, ..registration(3) };
    world.must(3, Action::RegisterRouter(unsold));
    world.must(1, Action::EscrowAdd { amount: coins(100) });
    let open = LaneOpen { cap: coins(1), ..world.ask(&[2, 3]) };
    world.rejects(1, Action::LaneOpen(open), Rejection::PayeeNotForSale { index: 1 });
}

#[test]
pub fn an_impossible_location_and_a_missing_registration_are_rejected() {
    let mut world = World::new();
    let location = Location { lat_e6: 91_000_000, ..Location::default() };
    let lost = Registration { location, ..registration(1) };
    world.rejects(1, Action::RegisterRouter(lost), Rejection::BadLocation);
    world.rejects(1, Action::RetireRouter, Rejection::NotRegistered);
    assert!(world.state.height() > Height(1));
}
