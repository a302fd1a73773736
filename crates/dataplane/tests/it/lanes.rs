//! Money on the data path: who is carried, how far, and that nothing is billed twice or for
//! nothing.

use crate::inner::udp;
use crate::world::{Datagram, World, node};
use srwan_dataplane::{DropReason, Event, LaneEntry, UNBILLED_RELAY_PER_SECOND, Verdict};
use srwan_wire::id::{LaneLabel, NodeId, Octets};
use std::time::Duration;

const LABEL: LaneLabel = LaneLabel(77);

fn packet() -> Vec<u8> {
    udp("10.0.1.5:1", "10.0.3.9:2", &[7; 72])
}

fn world() -> World {
    let mut world = World::connected(3);
    world.steer(1, &[2], 3, LABEL.0);
    world
}

fn octets(world: &mut World, at: u32) -> u64 {
    world.plane(at).lane_octets(LABEL).unwrap().0
}

fn lane(previous: NodeId, next: Option<NodeId>, allowed: u64) -> LaneEntry {
    LaneEntry { label: LABEL, previous, next, octets: Octets(0), allowed: Octets(allowed) }
}

#[test]
fn each_hop_stops_at_its_credit_and_goes_on_when_it_is_raised() {
    for limited in 1..=3_u32 {
        let mut world = world();
        world.plane(limited).remove_lane(LABEL);
        let previous = node(limited.saturating_sub(1).max(1));
        let next = (limited < 3).then(|| node(limited + 1));
        world.plane(limited).install_lane(lane(previous, next, 250)).unwrap();
        for _ in 0..4 {
            world.host_sends(1, &packet());
        }
        world.run_millis(100);
        assert_eq!(world.router(3).delivered.len(), 2, "limited at {limited}");
        assert_eq!(octets(&mut world, limited), 200);
        assert_eq!(world.drops, [(limited, DropReason::LaneCredit); 2]);
        world.plane(limited).raise_lane(LABEL, Octets(300));
        world.host_sends(1, &packet());
        world.run_millis(100);
        assert_eq!(world.router(3).delivered.len(), 3);
    }
}

#[test]
fn a_packet_of_an_unknown_or_foreign_lane_is_not_carried() {
    for at in [1, 2, 3] {
        let mut world = world();
        world.plane(at).remove_lane(LABEL);
        world.host_sends(1, &packet());
        world.run_millis(100);
        assert_eq!(world.drops, [(at, DropReason::UnknownLane)]);
        world.plane(at).install_lane(lane(node(9), Some(node(3)), 1_000)).unwrap();
        world.host_sends(1, &packet());
        world.run_millis(100);
        assert_eq!(world.drops[1], (at, DropReason::LaneHop));
        assert_eq!(octets(&mut world, at), 0);
    }
}

#[test]
fn a_replayed_packet_is_neither_carried_nor_billed_again() {
    let mut world = world();
    world.host_sends(1, &packet());
    world.run_millis(100);
    let sent = core::mem::take(&mut world.sent);
    assert_eq!(world.inject(2, &sent[0]), Verdict::Drop(DropReason::Replayed));
    assert_eq!(world.inject(3, &sent[1]), Verdict::Drop(DropReason::Replayed));
    assert_eq!((octets(&mut world, 2), octets(&mut world, 3)), (100, 100));
    assert_eq!(world.sent, []);
}

/// Packets caught before a renewal of the headend's session are still known after it, as long as
/// the link key lives.
#[test]
fn a_packet_of_an_earlier_session_is_not_billed_again_either() {
    let mut world = world();
    let mut caught: Vec<(Duration, Datagram)> = Vec::new();
    for second in 0..400_u64 {
        world.sent.clear();
        world.host_sends(1, &packet());
        let sent = world.sent.iter().find(|datagram| datagram.bytes[0] >> 4 == 8).unwrap();
        caught.push((Duration::from_secs(second), sent.clone()));
        world.run_millis(1_000);
    }
    assert!(world.router(1).events.contains(&Event::Rekeyed(node(3))));
    let before = octets(&mut world, 2);
    assert_eq!(before, 40_000);
    for (when, datagram) in &caught {
        let verdict = world.inject(2, datagram);
        assert!(matches!(verdict, Verdict::Drop(_)), "{when:?}: {verdict:?}");
    }
    assert_eq!(octets(&mut world, 2), before);
}

#[test]
fn unbilled_data_is_relayed_only_for_neighbours_that_may() {
    let mut world = World::connected(3);
    world.steer(1, &[2], 3, 0);
    world.host_sends(1, &packet());
    world.run_millis(100);
    assert_eq!(world.drops, [(2, DropReason::Unbilled)]);
    let mut config = world.peer_config(1);
    config.relay_unbilled = true;
    let now = world.now;
    world.plane(2).set_peer(node(1), config, now);
    world.host_sends(1, &packet());
    world.run_millis(100);
    assert_eq!(world.router(3).delivered.len(), 1);
}

#[test]
fn control_messages_are_relayed_at_a_bounded_rate_for_each_neighbour() {
    let mut world = World::connected(4);
    let budget = usize::try_from(UNBILLED_RELAY_PER_SECOND).unwrap();
    for _ in 0..2 * budget {
        world.send_oam(1, &[2], 3, b"too many");
    }
    world.send_oam(4, &[2], 3, b"mine");
    world.run_millis(100);
    let relayed = world.router(3).punted.len();
    assert!(relayed > budget / 4 && relayed <= budget + 1, "{relayed}");
    assert!(world.drops.contains(&(2, DropReason::RelayRate)));
    assert_eq!(world.router(3).punted.last(), Some(&(node(4), true, b"mine".to_vec())));
}

#[test]
fn a_lane_starts_from_what_is_on_record() {
    let mut world = world();
    world.plane(2).remove_lane(LABEL);
    let entry = LaneEntry { octets: Octets(5_000), ..lane(node(1), Some(node(3)), 5_150) };
    world.plane(2).install_lane(entry).unwrap();
    world.host_sends(1, &packet());
    world.host_sends(1, &packet());
    world.run_millis(100);
    assert_eq!(octets(&mut world, 2), 5_100);
    assert_eq!(world.drops, [(2, DropReason::LaneCredit)]);
}
