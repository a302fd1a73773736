//! Promise I17: whatever is changed, nothing is delivered, sent or billed, and nothing panics.

use crate::inner::udp;
use crate::world::{Datagram, World, node, receiver};
use proptest::prelude::*;
use srwan_dataplane::{DropReason, LaneMeter, PeerMeter, Totals, Verdict};

/// Everything that money and people look at.
type Books = (Vec<LaneMeter>, Vec<PeerMeter>, Totals);

fn books(world: &mut World, raw: u32) -> Books {
    let plane = world.plane(raw);
    let lanes = plane.lanes().map(|(_, meter)| meter).collect();
    let peers = plane.meters().map(|(_, meter)| meter).collect();
    (lanes, peers, plane.totals())
}

/// A world and one packet caught on each link of the path 1, 2, 3, 4 before its receiver saw it.
fn caught(payload: &[u8]) -> (World, Vec<Datagram>) {
    let mut world = World::connected(4);
    world.steer(1, &[2, 3], 4, 77);
    let mut all = Vec::new();
    for stop in 2..=4 {
        world.sent.clear();
        world.cut.clear();
        world.cut.insert((stop - 1, stop));
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.4.9:2", payload));
        world.run_millis(100);
        all.push(world.sent.last().unwrap().clone());
    }
    world.cut.clear();
    world.sent.clear();
    (world, all)
}

/// Injects `changed` at the router that `original` was for: nothing may come of it.
fn refuse(world: &mut World, original: &Datagram, changed: &Datagram) {
    let raw = receiver(original);
    let before = books(world, raw);
    let verdict = world.inject(raw, changed);
    assert!(matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
    assert_eq!(books(world, raw), before);
    assert_eq!(world.router(raw).delivered, []);
    assert_eq!(world.sent, []);
}

#[test]
fn every_octet_of_the_header_is_protected_on_every_link() {
    let (mut world, all) = caught(b"payload");
    for original in &all {
        for at in 0..original.bytes.len().min(40) {
            for bit in 0..8 {
                let mut changed = original.clone();
                changed.bytes[at] ^= 1 << bit;
                refuse(&mut world, original, &changed);
            }
        }
    }
}

#[test]
fn a_relay_lets_a_changed_payload_pass_and_the_endpoint_does_not() {
    let (mut world, all) = caught(b"payload");
    let original = &all[2];
    for at in 40..original.bytes.len() {
        let mut changed = original.clone();
        changed.bytes[at] ^= 1;
        refuse(&mut world, original, &changed);
    }
    let mut changed = all[0].clone();
    let last = changed.bytes.len() - 1;
    changed.bytes[last] ^= 1;
    assert!(matches!(world.inject(2, &changed), Verdict::Forward(_)));
    world.run_millis(100);
    assert_eq!(world.drops.last(), Some(&(4, DropReason::Unauthenticated)));
    assert_eq!(world.router(4).delivered, []);
    assert_eq!(books(&mut world, 4).0[0].packets, 0);
}

#[test]
fn a_truncated_or_extended_packet_is_refused() {
    let (mut world, all) = caught(b"payload");
    let original = &all[2];
    for len in 0..original.bytes.len() {
        let mut changed = original.clone();
        changed.bytes.truncate(len);
        refuse(&mut world, original, &changed);
    }
    let mut changed = original.clone();
    changed.bytes.push(0);
    refuse(&mut world, original, &changed);
}

#[test]
fn a_packet_for_one_router_is_refused_by_the_others() {
    let (mut world, all) = caught(b"payload");
    for original in &all {
        for raw in (1..=4).filter(|raw| *raw != receiver(original)) {
            let before = books(&mut world, raw);
            let verdict = world.inject(raw, original);
            assert!(matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
            assert_eq!(books(&mut world, raw), before);
        }
    }
}

#[test]
fn the_refused_originals_are_good_after_all() {
    let (mut world, all) = caught(b"payload");
    for original in &all {
        world.inject(receiver(original), original);
    }
    world.run_millis(100);
    assert_eq!(world.router(4).delivered.len(), 3);
    assert_eq!(world.router(4).delivered[0].0, node(1));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn any_change_of_a_direct_packet_is_refused(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..40),
    ) {
        let mut world = World::connected(2);
        world.steer(1, &[], 2, 0);
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", &payload));
        let original = world.sent.pop().unwrap();
        for (at, flip) in changes {
            let mut changed = original.clone();
            let at = at.index(changed.bytes.len());
            changed.bytes[at] ^= flip;
            refuse(&mut world, &original, &changed);
        }
        let is_delivered = matches!(world.inject(2, &original), Verdict::Deliver { .. });
        prop_assert!(is_delivered);
    }

    #[test]
    fn no_bytes_are_answered_with_more_than_they_are(
        first in prop_oneof![Just(0x81_u8), Just(0x89), Just(0x99), Just(0xa1), any::<u8>()],
        second in prop_oneof![1_u8..4, any::<u8>()],
        len in prop_oneof![Just(148_usize), Just(92), Just(64), 0..200_usize],
        fill in proptest::collection::vec(any::<u8>(), 200),
    ) {
        let mut world = World::connected(2);
        let mut bytes = vec![first, second];
        bytes.extend(fill);
        bytes[2..4].fill(0);
        bytes.truncate(len);
        let junk = Datagram { from: world.address(7), to: world.address(2), tos: 0, bytes };
        refuse(&mut world, &junk, &junk);
    }
}
