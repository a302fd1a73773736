//! Replacing keys: on time, under load, without loss; refusing old ones.

use crate::inner::udp;
use crate::world::{World, node};
use srwan_dataplane::{DropReason, Event, KeyLife, REKEY_AFTER, REKEY_AFTER_MIN, Verdict};
use std::time::Duration;

fn rekeys(world: &mut World, at: u32, peer: u32) -> usize {
    world.router(at).events.iter().filter(|event| **event == Event::Rekeyed(node(peer))).count()
}

#[test]
fn ten_rekeys_under_load_lose_nothing_on_any_hop() {
    let mut world = World::connected(3);
    world.delay = Duration::from_millis(70);
    world.records = false;
    world.steer(1, &[2], 3, 77);
    world.steer(3, &[], 1, 0);
    let (there, back) =
        (udp("10.0.1.5:1", "10.0.3.9:2", b"there"), udp("10.0.3.5:1", "10.0.1.9:2", b"back"));
    let mut sent = 0;
    while rekeys(&mut world, 1, 3) < 10 {
        world.host_sends(1, &there);
        world.host_sends(3, &back);
        world.run_millis(25);
        sent += 1;
        assert!(sent < 100_000, "rekeys do not happen");
    }
    world.run_millis(500);
    assert_eq!(world.router(3).delivered.len(), sent);
    assert_eq!(world.router(1).delivered.len(), sent);
    assert_eq!(world.drops, []);
    let meter = world.plane(1).meters().find(|(peer, _)| *peer == node(3)).unwrap().1;
    assert_eq!(meter.handshakes, 11, "the first session and ten renewals");
    assert!(rekeys(&mut world, 2, 1) >= 9 && rekeys(&mut world, 3, 1) >= 9);
    let octets = world.plane(2).lane_octets(srwan_wire::id::LaneLabel(77)).unwrap().0;
    assert_eq!(octets, u64::try_from(sent * there.len()).unwrap());
}

#[test]
fn a_key_is_refused_at_180_seconds() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    let packet = udp("10.0.1.5:1", "10.0.2.9:2", b"x");
    world.cut.extend([(1, 2), (2, 1)]);
    world.host_sends(1, &packet);
    let caught = world.sent.pop().unwrap();
    world.run(Duration::from_secs(170));
    assert!(matches!(world.inject(2, &caught), Verdict::Deliver { .. }));
    world.host_sends(1, &packet);
    let late = world.sent.pop().unwrap();
    world.run(Duration::from_secs(12));
    assert_eq!(world.inject(2, &late), Verdict::Drop(DropReason::UnknownLink));
    assert_eq!(world.host_sends(1, &packet), Verdict::Drop(DropReason::NoSession));
    assert_eq!(world.router(1).events.last(), Some(&Event::PeerDown(node(2))));
    world.cut.clear();
    world.run(Duration::from_secs(15));
    assert_eq!(world.router(1).events.last(), Some(&Event::PeerUp(node(2))));
}

#[test]
fn the_side_with_the_shorter_life_renews_whoever_called() {
    for quick in [1, 2] {
        let mut world = World::connected(2);
        let life = KeyLife::new(REKEY_AFTER_MIN).unwrap();
        world.plane(quick).set_key_life(life);
        world.run(Duration::from_secs(150));
        let before = rekeys(&mut world, 1, 2);
        world.run(Duration::from_secs(21));
        let count = rekeys(&mut world, 1, 2) - before;
        assert!((9..=11).contains(&count), "{count} renewals in 21 s");
        assert!(!world.router(1).events.contains(&Event::PeerDown(node(2))));
    }
}

#[test]
fn a_key_life_out_of_bounds_is_refused() {
    let second = Duration::from_secs(1);
    assert_eq!(KeyLife::new(second), None);
    assert_eq!(KeyLife::new(REKEY_AFTER + second), None);
    assert_eq!(KeyLife::new(REKEY_AFTER), Some(KeyLife::default()));
    assert_eq!(KeyLife::default().reject_after(), Duration::from_secs(180));
}

#[test]
fn an_old_key_is_refused_even_before_the_timer_ran() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", b"x"));
    let caught = world.sent.pop().unwrap();
    world.now = world.now + Duration::from_secs(181);
    assert_eq!(world.inject(2, &caught), Verdict::Drop(DropReason::Expired));
}

#[test]
fn idle_peers_keep_their_sessions_and_send_little() {
    let mut world = World::connected(2);
    world.run(Duration::from_secs(1_200));
    assert!(world.plane(1).is_up(node(2)) && world.plane(2).is_up(node(1)));
    assert!(!world.router(1).events.contains(&Event::PeerDown(node(2))));
    assert!(world.sent.len() < 250, "{}", world.sent.len());
}

#[test]
fn one_way_traffic_is_not_taken_for_silence() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    for _ in 0..1_000 {
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", b"x"));
        world.run_millis(100);
    }
    assert_eq!(rekeys(&mut world, 1, 2), 0);
}
