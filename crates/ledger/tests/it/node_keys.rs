//! Node keys: both are accepted while a rotation overlaps, none after a revocation.

use srwan_ledger::node_key::{NodeKeyAction, OVERLAP_BLOCKS_MAX};
use srwan_ledger::outcome::Effect;
use srwan_ledger::rejection::Rejection;
use srwan_ledger::router::Registration;
use srwan_ledger::state::State;
use srwan_ledger::tx::Action;
use srwan_wire::id::NodeKey;
use srwan_wire::receipt::Price;
use srwan_wire::roster::{Class, Location};

use crate::world::{World, key};

fn node(octet: u8) -> NodeKey {
    NodeKey([octet; 32])
}

fn registration(octet: u8) -> Action {
    Action::RegisterRouter(Registration {
        node_key: node(octet),
        location: Location::default(),
        asn: 1,
        class: Class::Public,
        price: Price::REFERENCE,
    })
}

fn world() -> World {
    let mut world = World::new();
    world.must(1, registration(50));
    world
}

fn rotate(to: u8, overlap_blocks: u64) -> Action {
    Action::NodeKey(NodeKeyAction::Rotate { to: node(to), overlap_blocks })
}

fn revoke(octet: u8) -> Action {
    Action::NodeKey(NodeKeyAction::Revoke { key: node(octet) })
}

fn accepts(state: &State, octet: u8) -> bool {
    let found = state.router_of_key(&node(octet)).map(|(account, _)| account);
    assert!(found.is_none_or(|account| account == key(1)));
    found.is_some()
}

#[test]
pub fn both_keys_are_accepted_while_a_rotation_overlaps_and_then_one() {
    let mut world = world();
    let Effect::NodeKeyRotated { until, .. } = world.must(1, rotate(51, 3)) else { panic!() };
    while world.state.next_height() <= until {
        assert!(accepts(&world.state, 50) && accepts(&world.state, 51));
        world.blocks(1);
    }
    assert!(!accepts(&world.state, 50) && accepts(&world.state, 51));
    let read = State::from_snapshot(&world.state.to_snapshot()).unwrap();
    assert!(accepts(&read, 51));
}

#[test]
pub fn a_revoked_key_is_invalid_at_once_and_for_ever() {
    let mut world = world();
    world.must(1, rotate(51, 100));
    world.must(1, revoke(50));
    assert!(!accepts(&world.state, 50) && accepts(&world.state, 51));
    world.must(1, revoke(51));
    assert!(!accepts(&world.state, 51), "the present key can be revoked too");
    world.rejects(1, revoke(51), Rejection::NotANodeKey);
    for octet in [50, 51] {
        world.rejects(1, rotate(octet, 0), Rejection::NodeKeyRevoked);
        world.rejects(1, registration(octet), Rejection::NodeKeyRevoked);
        world.rejects(2, registration(octet), Rejection::NodeKeyTaken);
    }
    world.must(1, rotate(52, 100));
    assert!(accepts(&world.state, 52) && !accepts(&world.state, 51));
}

#[test]
pub fn a_rotation_that_breaks_a_rule_is_rejected() {
    let mut world = world();
    world.must(2, registration(60));
    world.rejects(1, rotate(60, 0), Rejection::NodeKeyTaken);
    world.rejects(1, rotate(50, 0), Rejection::NodeKeySame);
    let (got, max) = (OVERLAP_BLOCKS_MAX + 1, OVERLAP_BLOCKS_MAX);
    world.rejects(1, rotate(51, got), Rejection::OverlapTooLong { got, max });
    world.rejects(3, rotate(51, 0), Rejection::NotRegistered);
    world.rejects(1, revoke(60), Rejection::NotANodeKey);
    world.must(1, rotate(51, 10));
    world.rejects(2, rotate(50, 0), Rejection::NodeKeyTaken);
}
