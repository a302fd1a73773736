//! Forwarding classes: packets that take a path of their own by their code point.

use crate::inner::{udp, with_tos};
use crate::world::{World, node, receiver};
use srwan_dataplane::{DscpSet, PolicyClass, PolicyEntry, PolicyError, PolicyPath};
use srwan_wire::id::{LaneLabel, PathId};

const EXPEDITED: u8 = 46;

/// Router 1 sends to router 5: what is expedited over relay 3, the rest over relay 2.
fn world() -> World {
    let mut world = World::connected(5);
    world.plane(1).install_policy("10.0.5.0/24".parse().unwrap(), &policy(1_380)).unwrap();
    world.pave(1, &[2], 5, 102);
    world.pave(1, &[3], 5, 103);
    world
}

fn policy(inner_mtu_of_class: u16) -> PolicyEntry {
    let class = PolicyClass {
        dscp: DscpSet::of([EXPEDITED, 40]),
        path: path(3),
        inner_mtu: inner_mtu_of_class,
    };
    PolicyEntry {
        paths: vec![path(2)],
        classes: vec![class],
        ..PolicyEntry::new(node(5), vec![], None, PathId(1))
    }
}

fn path(relay: u32) -> PolicyPath {
    PolicyPath {
        relays: vec![node(relay)],
        lane: Some(LaneLabel(100 + relay)),
        path_id: PathId(u8::try_from(relay).unwrap()),
        weight: 1,
    }
}

fn packet(point: u8, payload: &[u8]) -> Vec<u8> {
    with_tos(udp("10.0.1.5:1000", "10.0.5.9:53", payload), point << 2)
}

/// The first relay of what the host's packet became.
fn first_hops(world: &mut World, packet: &[u8]) -> Vec<u32> {
    world.cut = (2..=5).map(|to| (1, to)).collect();
    world.host_sends(1, packet);
    world.cut.clear();
    core::mem::take(&mut world.sent).iter().map(receiver).collect()
}

#[test]
fn only_the_code_points_of_a_class_take_its_path() {
    let mut world = world();
    for point in 0..64 {
        let expected = if [EXPEDITED, 40].contains(&point) { 3 } else { 2 };
        assert_eq!(first_hops(&mut world, &packet(point, b"x")), [expected], "code point {point}");
    }
    let marked = with_tos(udp("10.0.1.5:1000", "10.0.5.9:53", b"x"), EXPEDITED << 2 | 0b11);
    assert_eq!(first_hops(&mut world, &marked), [3], "congestion bits are no part of it");
}

#[test]
fn both_paths_deliver_and_each_pays_its_own_relay() {
    let mut world = world();
    for point in [0, EXPEDITED, 0] {
        world.host_sends(1, &packet(point, b"x"));
    }
    world.run_millis(100);
    assert_eq!(world.router(5).delivered.len(), 3);
    let carried = |world: &mut World, relay: u32| {
        let meters: Vec<_> = world.plane(relay).lanes().collect();
        meters.iter().map(|(_, meter)| meter.packets).sum::<u64>()
    };
    assert_eq!((carried(&mut world, 2), carried(&mut world, 3)), (2, 1));
}

#[test]
fn a_class_has_the_mtu_of_its_own_path() {
    let mut world = world();
    world.plane(1).install_policy("10.0.5.0/24".parse().unwrap(), &policy(600)).unwrap();
    let large = |point| {
        let mut packet = packet(point, &[1; 1_000]);
        packet[6] = 0; // it may be fragmented
        packet
    };
    assert_eq!(first_hops(&mut world, &large(0)), [2]);
    assert_eq!(first_hops(&mut world, &large(EXPEDITED)), [3, 3]);
}

#[test]
fn the_path_of_a_class_is_checked_like_any_other() {
    let mut entry = policy(1_380);
    entry.classes[0].path.relays = vec![node(1)];
    let mut world = World::connected(5);
    let refused = world.plane(1).install_policy("10.0.5.0/24".parse().unwrap(), &entry);
    assert_eq!(refused, Err(PolicyError::Loop));
}
