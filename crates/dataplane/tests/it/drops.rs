//! Packets that must be dropped, each for its reason, and counted for nothing else.
//!
//! Reasons of lanes are in `lanes`, of the host in `host`, of handshakes in `handshake`, of keys in
//! `rekey`; those that only a lying neighbour can cause are tables beside the checks in
//! `src/forward.rs`.

use crate::inner::udp;
use crate::world::{Datagram, World, node};
use srwan_dataplane::{DropReason, PolicyEntry, Verdict};
use srwan_wire::id::{NodeId, PathId};

/// A world in which router 1 sends over `relays` to `endpoint`, whatever the others think of it.
fn send(relays: &[u32], endpoint: u32) -> (World, Datagram) {
    let mut world = World::connected(5);
    let relays: Vec<NodeId> = relays.iter().map(|raw| node(*raw)).collect();
    let entry = PolicyEntry::new(node(endpoint), relays, None, PathId(1));
    world.plane(1).install_policy("10.9.0.0/16".parse().unwrap(), &entry).unwrap();
    world.host_sends(1, &udp("10.0.1.5:1", "10.9.0.9:2", b"x"));
    let datagram = world.sent.pop().unwrap();
    (world, datagram)
}

fn check(at: u32, (mut world, datagram): (World, Datagram), expected: DropReason) {
    let before = world.plane(at).drops().clone();
    assert_eq!(world.inject(at, &datagram), Verdict::Drop(expected));
    let counted: Vec<_> = world.plane(at).drops().iter().collect();
    for (reason, count) in counted {
        let more = u64::from(reason == expected);
        assert_eq!(count, before.count(reason) + more, "{}", reason.name());
    }
}

#[test]
fn each_early_reason_has_its_packet() {
    let change = |change: fn(&mut Vec<u8>), expected| {
        let (world, mut datagram) = send(&[2, 3], 4);
        change(&mut datagram.bytes);
        check(2, (world, datagram), expected);
    };
    change(|bytes| bytes[0] = 0x01, DropReason::NotOurs);
    change(|bytes| bytes[0] = 0x8a, DropReason::Version);
    change(|bytes| bytes.truncate(30), DropReason::Truncated);
    change(|bytes| bytes.clear(), DropReason::NotOurs);
    change(|bytes| bytes[1] = 0x44, DropReason::Header);
    change(|bytes| bytes[1] = 0x23, DropReason::Header);
    change(|bytes| bytes[31] = 1, DropReason::Header);
    change(|bytes| bytes[2] = 0xff, DropReason::UnknownLink);
    change(|bytes| bytes[9] ^= 1, DropReason::LinkTag);
    change(|bytes| bytes[1] = 0x21, DropReason::LinkTag);
}

#[test]
fn unbilled_data_is_not_relayed() {
    check(2, send(&[2], 4), DropReason::Unbilled);
}

#[test]
fn a_path_to_a_node_that_is_no_neighbour_ends() {
    let mut last = send(&[2], 4);
    last.0.plane(2).remove_peer(node(4));
    check(2, last, DropReason::NoAdjacency);
}

#[test]
fn a_packet_from_behind_the_window_is_refused() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    let packet = udp("10.0.1.5:1", "10.0.2.9:2", b"x");
    world.host_sends(1, &packet);
    let early = world.sent.pop().unwrap();
    let mut last = early.clone();
    for _ in 0..8_200 {
        world.host_sends(1, &packet);
        last = world.sent.pop().unwrap();
    }
    assert!(matches!(world.inject(2, &last), Verdict::Deliver { .. }));
    check(2, (world, early), DropReason::Replayed);
}
