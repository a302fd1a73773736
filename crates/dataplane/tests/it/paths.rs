//! Packets over 0 to 3 relays, and control messages.

use crate::inner::{udp, with_tos};
use crate::world::{Datagram, World, node, receiver};
use srwan_dataplane::Verdict;
use srwan_wire::segment::HeaderView;

const SECRET: &[u8] = b"nobody on the way shall read this";

fn packet(from: u32, to: u32) -> Vec<u8> {
    udp(&format!("10.0.{from}.5:1000"), &format!("10.0.{to}.9:53"), SECRET)
}

/// One packet from router 1 over `relays` to router 5; the datagrams that carried it.
fn carry(world: &mut World, relays: &[u32], packet: &[u8]) -> Vec<Datagram> {
    world.connect_all(5);
    world.steer(1, relays, 5, 77);
    world.host_sends(1, packet);
    world.run_millis(200);
    let delivered = core::mem::take(&mut world.router(5).delivered);
    assert_eq!(delivered, [(node(1), packet.to_vec())], "over {relays:?}");
    assert_eq!(world.drops, []);
    core::mem::take(&mut world.sent)
}

#[test]
fn a_packet_arrives_unchanged_over_any_number_of_relays() {
    for relays in [&[][..], &[2], &[3, 2], &[2, 4, 3]] {
        let mut world = World::new(5);
        let datagrams = carry(&mut world, relays, &packet(1, 5));
        let hops: Vec<u32> = datagrams.iter().map(receiver).collect();
        assert_eq!(hops, [relays, &[5]].concat());
        for (hop, datagram) in datagrams.iter().enumerate() {
            let view = HeaderView::parse(&datagram.bytes).unwrap();
            assert_eq!(view.segments_left(), relays.len() - hop);
            assert_eq!(view.listed(), relays.len());
            let is_readable = datagram.bytes.windows(SECRET.len()).any(|part| part == SECRET);
            assert!(!is_readable);
        }
    }
}

#[test]
fn ipv6_inside_and_outside_works_in_every_mix() {
    let inner6 = udp("[fd00:1::5]:1000", "[fd00:5::9]:53", SECRET);
    for is_v6 in [false, true] {
        for inner in [&packet(1, 5), &inner6] {
            carry(&mut World::with_family(5, is_v6), &[2, 3], inner);
        }
    }
}

#[test]
fn every_hop_counts_the_same_octets() {
    let mut world = World::connected(4);
    world.steer(1, &[2, 3], 4, 77);
    for size in [1, 100, 1_300] {
        world.host_sends(1, &udp("10.0.1.5:1000", "10.0.4.9:53", &vec![7; size]));
    }
    world.run_millis(200);
    let expected = 3 * 28 + 1_401;
    for raw in 1..=4 {
        let octets = world.plane(raw).lane_octets(srwan_wire::id::LaneLabel(77));
        assert_eq!(octets.map(|octets| octets.0), Some(expected), "router {raw}");
    }
    let meter = |world: &mut World, at: u32, of: u32| {
        world.plane(at).meters().find(|(peer, _)| *peer == node(of)).unwrap().1
    };
    assert_eq!(meter(&mut world, 2, 1).relayed.octets, expected);
    assert_eq!(meter(&mut world, 3, 2).relayed.octets, expected);
    assert_eq!(meter(&mut world, 4, 1).delivered.octets, expected);
    assert_eq!(meter(&mut world, 1, 4).sealed.octets, expected);
}

#[test]
fn both_ends_of_a_link_count_the_same() {
    let mut world = World::connected(4);
    world.steer(1, &[2, 3], 4, 77);
    for _ in 0..50 {
        world.host_sends(1, &packet(1, 4));
    }
    world.send_oam(4, &[3], 1, b"control");
    world.run_millis(200);
    for (a, b) in [(1, 2), (2, 3), (3, 4), (4, 3), (3, 1)] {
        let out = world.plane(a).meters().find(|(peer, _)| *peer == node(b)).unwrap().1.link_out;
        let inn = world.plane(b).meters().find(|(peer, _)| *peer == node(a)).unwrap().1.link_in;
        assert_eq!(out, inn, "{a} to {b}");
    }
    let totals = world.plane(2).totals();
    assert_eq!(totals.link_in.octets, world.plane(2).meters().map(|m| m.1.link_in.octets).sum());
}

#[test]
fn control_messages_arrive_with_their_sender_and_whether_they_were_relayed() {
    let mut world = World::connected(4);
    world.send_oam(1, &[], 4, b"direct");
    world.send_oam(1, &[2, 3], 4, b"over two");
    world.run_millis(200);
    let expected = [(node(1), false, b"direct".to_vec()), (node(1), true, b"over two".to_vec())];
    assert_eq!(world.router(4).punted, expected);
}

#[test]
fn dscp_and_ecn_are_copied_out_carried_on_and_marks_come_home() {
    let mut world = World::connected(4);
    world.steer(1, &[2], 4, 77);
    let sent = with_tos(packet(1, 4), 0b1011_1010);
    world.host_sends(1, &sent);
    world.run_millis(15);
    assert_eq!(world.sent.iter().map(|datagram| datagram.tos).collect::<Vec<_>>(), [0xba; 2]);
    let mut marked = world.sent[1].clone();
    marked.tos |= 0b11;
    world.inject(4, &marked);
    let delivered = core::mem::take(&mut world.router(4).delivered);
    assert_eq!(delivered, [(node(1), with_tos(sent, 0b1011_1011))]);
}

#[test]
fn packets_of_one_flow_share_a_port_and_flows_spread() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    let mut flow = |port: u16| {
        let sent = udp(&format!("10.0.1.5:{port}"), "10.0.2.9:53", b"x");
        let Verdict::Forward(forward) = world.host_sends(1, &sent) else { panic!("not sent") };
        forward.flow % 8
    };
    let first = flow(1);
    assert!((0..5).all(|_| flow(1) == first));
    let ports: std::collections::BTreeSet<u16> = (1..100).map(&mut flow).collect();
    assert_eq!(ports.len(), 8);
}

#[test]
fn packets_may_be_reordered_within_the_window() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    for _ in 0..100 {
        world.host_sends(1, &packet(1, 2));
    }
    let mut sent = core::mem::take(&mut world.sent);
    sent.reverse();
    for datagram in &sent {
        assert!(matches!(world.inject(2, datagram), Verdict::Deliver { .. }));
    }
}
