//! The host's side: whose packets are taken, what is said about those that do not fit, what is
//! delivered.

use crate::inner::{checksum, ip, syn, udp, with_tos};
use crate::world::{World, node, prefixes};
use srwan_dataplane::{DropReason, PolicyEntry, Verdict};
use srwan_wire::id::PathId;

fn world() -> World {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    world
}

fn check(packet: &[u8], expected: DropReason) {
    let mut world = world();
    assert_eq!(world.host_sends(1, packet), Verdict::Drop(expected));
    assert_eq!(world.sent, []);
}

#[test]
fn packets_that_are_not_the_hosts_or_not_steered_are_not_wrapped() {
    check(&udp("10.0.9.5:1", "10.0.2.9:2", b"spoofed"), DropReason::InnerSource);
    check(&udp("10.0.1.5:1", "10.0.7.9:2", b"elsewhere"), DropReason::NoPolicy);
    check(&[0x45; 30], DropReason::InnerMalformed);
    check(&[], DropReason::InnerMalformed);
}

#[test]
fn an_inner_source_that_is_not_its_senders_is_not_delivered() {
    let mut world = world();
    world.plane(1).allow_source(node(1), vec!["10.0.0.0/8".parse().unwrap()]).unwrap();
    world.host_sends(1, &udp("10.0.7.5:1", "10.0.2.9:2", b"spoofed"));
    world.run_millis(100);
    assert_eq!(world.drops, [(2, DropReason::InnerSource)]);
    world.plane(2).allow_source(node(1), vec!["0.0.0.0/0".parse().unwrap()]).unwrap();
    world.host_sends(1, &udp("10.0.7.5:1", "10.0.2.9:2", b"egress"));
    world.run_millis(100);
    assert_eq!(world.router(2).delivered.len(), 1);
}

#[test]
fn a_congestion_mark_on_a_packet_that_cannot_carry_it_drops_it() {
    let mut world = world();
    world.host_sends(1, &with_tos(udp("10.0.1.5:1", "10.0.2.9:2", b"x"), 0));
    let mut marked = world.sent.pop().unwrap();
    marked.tos = 0b11;
    assert_eq!(world.inject(2, &marked), Verdict::Drop(DropReason::Congested));
}

#[test]
fn an_ipv4_packet_that_does_not_fit_is_answered_with_the_mtu() {
    let mut world = world();
    let sent = udp("10.0.1.5:1", "10.0.2.9:2", &[7; 1_353]);
    let verdict = world.host_sends(1, &sent);
    assert!(matches!(verdict, Verdict::Deliver { origin, .. } if origin == node(1)), "{verdict:?}");
    let (_, answer) = world.router(1).delivered.pop().unwrap();
    assert_eq!(answer.len(), 576);
    assert_eq!((answer[9], answer[20], answer[21]), (1, 3, 4));
    assert_eq!(answer[26..28], 1_380_u16.to_be_bytes());
    assert_eq!((&answer[12..16], &answer[16..20]), (&[10, 0, 2, 9][..], &[10, 0, 1, 5][..]));
    assert_eq!((checksum(&answer[..20]), checksum(&answer[20..])), (0, 0));
    assert_eq!(answer[28..], sent[..548]);
    assert_eq!(world.sent, []);
}

#[test]
fn an_ipv6_packet_that_does_not_fit_is_answered_with_the_mtu() {
    let mut world = world();
    let sent = udp("[fd00:1::5]:1", "[fd00:2::9]:2", &[7; 1_400]);
    world.host_sends(1, &sent);
    let (_, answer) = world.router(1).delivered.pop().unwrap();
    assert_eq!(answer.len(), 1_280);
    assert_eq!((answer[6], answer[40]), (58, 2));
    assert_eq!(answer[44..48], 1_380_u32.to_be_bytes());
    assert_eq!((&answer[8..24], &answer[24..40]), (&sent[24..40], &sent[8..24]));
    assert_eq!(answer[48..], sent[..1_232]);
    let pseudo = [&answer[8..40], &answer[4..6], &[0, 58], &answer[40..]].concat();
    assert_eq!(checksum(&pseudo), 0);
}

#[test]
fn no_error_is_sent_about_an_error_or_to_many_or_too_often() {
    let mut world = world();
    let (host, far) = ("10.0.1.5".parse().unwrap(), "10.0.2.9".parse().unwrap());
    let mut error = vec![3, 0, 0, 0];
    error.resize(1_400, 0);
    let verdict = world.host_sends(1, &ip(host, far, 1, &error));
    assert_eq!(verdict, Verdict::Drop(DropReason::TooBig));
    let big = udp("10.0.1.5:1", "10.0.2.9:2", &[7; 1_400]);
    let answered =
        (0..1_000).filter(|_| matches!(world.host_sends(1, &big), Verdict::Deliver { .. }));
    assert!(answered.count() <= 100);
}

#[test]
fn a_path_may_have_an_mtu_of_its_own() {
    let mut world = world();
    let mut entry = PolicyEntry::new(node(2), vec![], None, PathId(1));
    entry.inner_mtu = 1_200;
    world.plane(1).install_policy(prefixes(2)[0], &entry).unwrap();
    world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", &[7; 1_172]));
    world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", &[7; 1_173]));
    world.run_millis(100);
    assert_eq!(world.router(2).delivered.len(), 1);
    assert_eq!(world.router(1).delivered.len(), 1);
}

/// What the host behind router 2 gets of a packet that the path to it is too small for.
fn arrives_over(inner_mtu: u16, packet: &[u8]) -> Vec<Vec<u8>> {
    let mut world = world();
    let mut entry = PolicyEntry::new(node(2), vec![], None, PathId(1));
    entry.inner_mtu = inner_mtu;
    for prefix in prefixes(2) {
        world.plane(1).install_policy(prefix, &entry).unwrap();
    }
    world.host_sends(1, packet);
    world.run_millis(100);
    assert_eq!(world.router(1).delivered, [], "the sender is told nothing");
    world.router(2).delivered.iter().map(|(_, packet)| packet.clone()).collect()
}

#[test]
fn a_packet_that_may_be_fragmented_arrives_in_fragments() {
    let mut packet = udp("10.0.1.5:1", "10.0.2.9:2", &[7; 1_300]);
    packet[6] = 0;
    let fragments = arrives_over(1_000, &packet);
    assert_eq!(fragments.iter().map(Vec::len).collect::<Vec<_>>(), [996, 352]);
    assert!(fragments.iter().all(|fragment| checksum(&fragment[..20]) == 0));
    let payload = [&fragments[0][20..], &fragments[1][20..]].concat();
    assert_eq!(payload, packet[20..]);
}

#[test]
fn an_ipv6_packet_of_the_least_mtu_passes_a_path_that_carries_less() {
    let packet = udp("[fd00:1::5]:1", "[fd00:2::9]:2", &[7; 1_232]);
    assert_eq!(packet.len(), 1_280);
    let fragments = arrives_over(1_176, &packet);
    assert_eq!(fragments.len(), 2);
    assert!(fragments.iter().all(|fragment| fragment.len() <= 1_176));
    let payload = [&fragments[0][48..], &fragments[1][48..]].concat();
    assert_eq!(payload, packet[40..]);
}

#[test]
fn an_ipv6_sender_is_never_told_less_than_the_least_mtu() {
    let mut world = world();
    let mut entry = PolicyEntry::new(node(2), vec![], None, PathId(1));
    entry.inner_mtu = 1_176;
    world.plane(1).install_policy(prefixes(2)[1], &entry).unwrap();
    world.host_sends(1, &udp("[fd00:1::5]:1", "[fd00:2::9]:2", &[7; 1_300]));
    let (_, answer) = world.router(1).delivered.pop().unwrap();
    assert_eq!(answer[44..48], 1_280_u32.to_be_bytes());
}

#[test]
fn fragments_are_billed_to_the_lane_like_any_packet() {
    let mut world = World::connected(3);
    world.steer(1, &[2], 3, 77);
    let mut entry =
        PolicyEntry::new(node(3), vec![node(2)], Some(srwan_wire::id::LaneLabel(77)), PathId(1));
    entry.inner_mtu = 1_000;
    world.plane(1).install_policy(prefixes(3)[0], &entry).unwrap();
    let mut packet = udp("10.0.1.5:1", "10.0.3.9:2", &[7; 1_300]);
    packet[6] = 0;
    world.host_sends(1, &packet);
    world.run_millis(100);
    for raw in 1..=3 {
        let octets = world.plane(raw).lane_octets(srwan_wire::id::LaneLabel(77));
        assert_eq!(octets.map(|octets| octets.0), Some(996 + 352), "router {raw}");
    }
}

#[test]
fn a_delivered_syn_is_clamped_to_the_path_that_its_answers_take() {
    let mut world = world();
    world.steer(2, &[], 1, 0);
    let mut back = PolicyEntry::new(node(1), vec![], None, PathId(1));
    back.inner_mtu = 1_200;
    for prefix in prefixes(1) {
        world.plane(2).install_policy(prefix, &back).unwrap();
    }
    world.host_sends(1, &syn("10.0.1.5", "10.0.2.9", 1_300));
    world.host_sends(1, &syn("fd00:1::5", "fd00:2::9", 1_300));
    world.run_millis(100);
    let delivered = core::mem::take(&mut world.router(2).delivered);
    let mss = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    assert_eq!((mss(&delivered[0].1, 42), mss(&delivered[1].1, 62)), (1_160, 1_140));
}

#[test]
fn the_mss_is_clamped_at_both_ends() {
    let mss = |packet: &[u8], at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let mut world = world();
    world.host_sends(1, &syn("10.0.1.5", "10.0.2.9", 9_000));
    world.host_sends(1, &syn("fd00:1::5", "fd00:2::9", 9_000));
    world.plane(2).set_inner_mtu(1_000);
    world.run_millis(100);
    let delivered = core::mem::take(&mut world.router(2).delivered);
    assert_eq!(mss(&delivered[0].1, 42), 960);
    assert_eq!(mss(&delivered[1].1, 62), 940);
    world.plane(2).set_inner_mtu(9_000);
    world.host_sends(1, &syn("10.0.1.5", "10.0.2.9", 9_000));
    world.run_millis(100);
    assert_eq!(mss(&world.router(2).delivered[0].1, 42), 1_340);
}
