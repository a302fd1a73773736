//! Sessions: who calls, what is answered, what is not, and where peers are.

use crate::inner::udp;
use crate::world::{Datagram, PORT, World, node};
use srwan_dataplane::{DropReason, Event, HANDSHAKES_PER_SECOND, OamError, Reach, Verdict};
use srwan_wire::time::Timestamp;
use std::net::SocketAddr;
use std::time::Duration;

fn handshakes(world: &World) -> Vec<&Datagram> {
    world.sent.iter().filter(|datagram| datagram.bytes[0] >> 4 == 0xa).collect()
}

fn kinds(world: &World) -> Vec<usize> {
    handshakes(world).iter().map(|datagram| datagram.bytes.len()).collect()
}

#[test]
fn the_lower_number_calls_and_both_are_up_after_a_cookie_and_an_exchange() {
    let mut world = World::new(2);
    world.connect(2, 1, Reach::Direct);
    world.connect(1, 2, Reach::Direct);
    world.run_millis(100);
    assert_eq!(kinds(&world), [148, 64, 148, 92]);
    assert_eq!(world.router(1).events, [Event::PeerUp(node(2))]);
    let address = world.address(1);
    assert_eq!(world.router(2).events, [Event::PeerUp(node(1)), Event::Roamed(node(1), address)]);
}

#[test]
fn the_higher_number_calls_when_the_lower_does_not() {
    let mut world = World::new(2);
    world.connect(2, 1, Reach::Direct);
    world.run_millis(1_900);
    assert_eq!(kinds(&world), []);
    world.run_millis(200);
    assert!(world.plane(1).is_up(node(2)) && world.plane(2).is_up(node(1)));
}

#[test]
fn two_calls_at_once_end_in_sessions_that_lose_nothing() {
    let mut world = World::new(2);
    world.connect(2, 1, Reach::Direct);
    world.run_millis(1_995);
    world.connect(1, 2, Reach::Direct);
    world.steer(1, &[], 2, 0);
    world.steer(2, &[], 1, 0);
    world.run_millis(80);
    for _ in 0..300 {
        world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", b"there"));
        world.host_sends(2, &udp("10.0.2.5:1", "10.0.1.9:2", b"back"));
        world.run_millis(1_000);
    }
    world.run_millis(100);
    assert_eq!(world.router(2).delivered.len(), 300);
    assert_eq!(world.router(1).delivered.len(), 300);
}

#[test]
fn a_lost_initiation_is_sent_again_soon() {
    let mut world = World::new(2);
    world.cut.insert((1, 2));
    world.connect(1, 2, Reach::Direct);
    world.run_millis(500);
    world.cut.clear();
    world.run_millis(800);
    assert!(world.plane(1).is_up(node(2)));
}

#[test]
fn an_address_that_never_answers_gets_few_octets() {
    let mut world = World::new(2);
    world.cut.insert((1, 2));
    world.connect(1, 2, Reach::Direct);
    world.run(Duration::from_secs(90));
    assert!(kinds(&world).len() <= 21, "{}", kinds(&world).len());
    world.run(Duration::from_secs(86_400));
    assert!(kinds(&world).len() < 70, "{}", kinds(&world).len());
    world.cut.clear();
    world.run(Duration::from_secs(3_700 * 9 / 8));
    assert!(world.plane(1).is_up(node(2)));
}

#[test]
fn a_peer_that_restarts_is_up_again_at_once_and_traffic_flows() {
    let mut world = World::connected(2);
    world.run(Duration::from_secs(30));
    world.boot(2, 1, 0, Timestamp::default());
    world.introduce(2, 2);
    world.connect(2, 1, Reach::Direct);
    world.run(Duration::from_secs(3));
    assert!(world.plane(2).is_up(node(1)));
    assert_eq!(world.router(1).events.last(), Some(&Event::Rekeyed(node(2))));
    world.steer(1, &[], 2, 0);
    world.host_sends(1, &udp("10.0.1.5:1", "10.0.2.9:2", b"x"));
    world.run_millis(100);
    assert_eq!(world.router(2).delivered.len(), 1);
}

#[test]
fn a_restarted_peer_that_stays_silent_is_noticed_and_called() {
    let mut world = World::connected(2);
    world.boot(2, 1, 0, Timestamp::default());
    world.introduce(2, 2);
    for _ in 0..30 {
        world.send_oam(1, &[], 2, b"pulse");
        world.run_millis(1_000);
    }
    assert!(world.plane(2).is_up(node(1)));
}

#[test]
fn a_clock_set_back_locks_nobody_out_if_the_stamp_was_kept() {
    for (is_kept, is_up) in [(true, true), (false, false)] {
        let mut world = World::connected(2);
        let kept = world.plane(1).handshake_stamp();
        let stamp = if is_kept { kept } else { Timestamp::default() };
        world.boot(1, 1, -3_600, stamp);
        world.introduce(1, 2);
        world.connect(1, 2, Reach::Direct);
        world.run(Duration::from_secs(1));
        assert_eq!(world.plane(1).is_up(node(2)), is_up, "kept: {is_kept}");
        let is_refused = world.drops.contains(&(2, DropReason::HandshakeStale));
        assert_eq!(is_refused, !is_up);
    }
}

#[test]
fn clocks_years_apart_connect() {
    let mut world = World::new(2);
    world.boot(1, 1, -1_000_000_000, Timestamp::default());
    world.introduce(1, 2);
    world.connect_all(2);
    assert!(world.plane(1).is_up(node(2)));
}

#[test]
fn replayed_frames_are_not_answered() {
    let mut world = World::new(2);
    world.connect(1, 2, Reach::Direct);
    world.run_millis(100);
    let frames: Vec<Datagram> = handshakes(&world).into_iter().cloned().collect();
    world.sent.clear();
    let [first, cookie, second, response] = frames.as_slice() else { panic!("{frames:?}") };
    for call in [first, second] {
        assert_eq!(world.inject(2, call), Verdict::Drop(DropReason::HandshakeStale));
    }
    for answer in [cookie, response] {
        assert_eq!(world.inject(1, answer), Verdict::Drop(DropReason::HandshakeUnexpected));
    }
    assert_eq!(world.sent, []);
}

#[test]
fn a_call_from_before_a_restart_is_not_answered_whoever_called_since() {
    for calls_itself in [false, true] {
        let mut world = World::new(2);
        world.connect(1, 2, Reach::Direct);
        world.run_millis(100);
        let calls = handshakes(&world).into_iter().filter(|frame| frame.bytes.len() == 148);
        let calls: Vec<Datagram> = calls.cloned().collect();
        world.boot(2, 1, 0, Timestamp::default());
        world.introduce(2, 2);
        if calls_itself {
            world.connect(2, 1, Reach::Direct);
            world.run(Duration::from_secs(3));
            assert!(world.plane(2).is_up(node(1)));
        }
        world.sent.clear();
        for call in &calls {
            assert_eq!(world.inject(2, call), Verdict::Drop(DropReason::HandshakeCookie));
        }
        assert_eq!(kinds(&world), [64, 64]);
        world.run(Duration::from_secs(1));
        assert_eq!(kinds(&world), [64, 64], "nobody takes up a cookie that he did not ask for");
        let (now, config) = (world.now, world.peer_config(2));
        world.plane(1).remove_peer(node(2));
        world.plane(1).set_peer(node(2), config, now);
        world.connect(1, 2, Reach::Direct);
        world.run(Duration::from_secs(1));
        assert!(world.plane(1).is_up(node(2)) && world.plane(2).is_up(node(1)));
    }
}

#[test]
fn a_cookie_is_taken_back_to_the_address_that_gave_it() {
    let mut world = World::new(2);
    let mut config = world.peer_config(2);
    let (now, silent) = (world.now, SocketAddr::from(([203, 0, 113, 1], PORT)));
    config.endpoints.insert(0, silent);
    world.plane(1).set_peer(node(2), config, now);
    world.connect(1, 2, Reach::Direct);
    world.run(Duration::from_secs(2));
    let calls = handshakes(&world).into_iter().filter(|frame| frame.bytes.len() == 148);
    let called: Vec<SocketAddr> = calls.map(|call| call.to).collect();
    let answers = world.address(2);
    assert_eq!(called, [silent, answers, answers]);
    assert!(world.plane(1).is_up(node(2)));
}

#[test]
fn a_node_that_is_no_peer_is_not_answered() {
    let mut world = World::new(2);
    world.plane(2).remove_peer(node(1));
    world.connect(1, 2, Reach::Direct);
    world.run_millis(100);
    assert_eq!(world.drops, [(2, DropReason::HandshakePeer)]);
    assert_eq!(kinds(&world), [148]);
}

#[test]
fn another_psk_gives_no_session() {
    let mut world = World::new(2);
    let mut config = world.peer_config(1);
    config.psk = [1; 32];
    let now = world.now;
    world.plane(2).set_peer(node(1), config, now);
    world.connect(1, 2, Reach::Direct);
    world.run_millis(500);
    assert_eq!(world.drops, [(2, DropReason::HandshakeCookie), (1, DropReason::HandshakeNoise)]);
    assert!(!world.plane(1).is_up(node(2)) && !world.plane(2).is_up(node(1)));
}

/// Real initiations of router 1, which nobody answered; router 2 has heard it before, and so would answer.
fn initiations(world: &mut World, count: usize) -> Vec<Datagram> {
    world.connect(1, 2, Reach::Direct);
    world.run_millis(100);
    world.sent.clear();
    world.cut.insert((1, 2));
    let mut all = Vec::new();
    for _ in 0..count {
        let now = world.now;
        let config = world.peer_config(2);
        world.plane(1).remove_peer(node(2));
        world.plane(1).set_peer(node(2), config, now);
        world.connect(1, 2, Reach::Direct);
        world.plane(1).handle_timeout(now);
        let transmit = world.plane(1).poll_transmit().unwrap();
        all.push(Datagram {
            from: world.address(1),
            to: transmit.to,
            tos: 0,
            bytes: transmit.bytes,
        });
        world.plane(1).remove_peer(node(2));
    }
    world.cut.clear();
    all
}

#[test]
fn a_flood_is_answered_with_less_than_it_sends_and_a_peer_gets_through() {
    let mut world = World::new(3);
    let flood = initiations(&mut world, 2_000);
    let (mut octets_in, mut octets_out, mut admitted) = (0, 0, 0);
    for (i, datagram) in flood.iter().enumerate() {
        let low = u8::try_from(i % 250).unwrap();
        let spoofed =
            Datagram { from: SocketAddr::from(([203, 0, 113, low], PORT)), ..datagram.clone() };
        world.sent.clear();
        let verdict = world.inject(2, &spoofed);
        admitted += usize::from(verdict != Verdict::Drop(DropReason::HandshakeCookie));
        octets_in += spoofed.bytes.len();
        octets_out += world.sent.iter().map(|sent| sent.bytes.len()).sum::<usize>();
        assert!(world.sent.iter().all(|sent| sent.to == spoofed.from));
    }
    assert!(octets_out <= octets_in);
    assert!(admitted > 0, "router 2 answers as long as it is not under load");
    assert!(admitted <= usize::try_from(HANDSHAKES_PER_SECOND).unwrap(), "{admitted}");
    world.sent.clear();
    world.connect(2, 3, Reach::Direct);
    world.connect(3, 2, Reach::Direct);
    world.cut.insert((2, 3));
    world.run_millis(2_100);
    for datagram in &flood {
        world.inject(2, datagram);
    }
    world.cut.clear();
    world.sent.clear();
    let config = world.peer_config(2);
    let now = world.now;
    world.plane(3).remove_peer(node(2));
    world.plane(3).set_peer(node(2), config, now);
    world.connect(3, 2, Reach::Direct);
    world.run_millis(2_100);
    assert!(world.plane(3).is_up(node(2)));
}

#[test]
fn a_flood_meant_for_another_router_fails_at_mac1() {
    let mut world = World::new(3);
    let flood = initiations(&mut world, 50);
    for datagram in &flood {
        world.inject(3, datagram);
    }
    world.drops.retain(|(router, _)| *router == 3);
    assert_eq!(world.drops, [(3, DropReason::HandshakeMac); 50]);
    assert_eq!(world.sent, []);
}

#[test]
fn under_load_a_peer_connects_with_the_cookie_it_gets() {
    let mut world = World::new(3);
    let flood = initiations(&mut world, 400);
    world.connect(3, 2, Reach::Direct);
    world.run_millis(1_990);
    for _ in 0..20 {
        assert!(keep_under_load(&mut world, &flood) > 0);
        world.run_millis(5);
    }
    assert!(world.plane(3).is_up(node(2)));
    assert_eq!(kinds(&world), [148, 64, 148, 92]);
}

/// Keeps router 2 under load without recording it; how many got a cookie.
fn keep_under_load(world: &mut World, flood: &[Datagram]) -> usize {
    let mut cookies = 0;
    for datagram in flood {
        let mut bytes = datagram.bytes.clone();
        let from = SocketAddr::from(([203, 0, 113, 9], PORT));
        let now = world.now;
        let verdict = world.plane(2).receive(from, &mut bytes, 0, now);
        cookies += usize::from(verdict == Verdict::Drop(DropReason::HandshakeCookie));
    }
    while world.plane(2).poll_transmit().is_some() {}
    cookies
}

#[test]
fn a_peer_is_followed_to_a_new_address_by_its_authentic_packets_only() {
    let mut world = World::connected(2);
    let old = world.address(1);
    world.send_oam(1, &[], 2, b"moved");
    let mut moved = world.sent.pop().unwrap();
    moved.from = SocketAddr::from(([192, 0, 2, 7], 999));
    let mut forged = moved.clone();
    let last = forged.bytes.len() - 1;
    forged.bytes[last] ^= 1;
    world.inject(2, &forged);
    assert_eq!(world.plane(2).address(node(1)), Some(old));
    world.inject(2, &moved);
    assert_eq!(world.plane(2).address(node(1)), Some(moved.from));
    let replayed = Datagram { from: old, ..moved.clone() };
    world.inject(2, &replayed);
    assert_eq!(world.plane(2).address(node(1)), Some(moved.from));
}

#[test]
fn data_from_the_ports_of_many_flows_does_not_move_a_peer() {
    let mut world = World::connected(2);
    world.steer(1, &[], 2, 0);
    let before = world.plane(2).address(node(1));
    for port in 1..50 {
        world.host_sends(1, &udp(&format!("10.0.1.5:{port}"), "10.0.2.9:2", b"x"));
    }
    world.run_millis(100);
    assert_eq!(world.router(2).delivered.len(), 49);
    assert_eq!(world.plane(2).address(node(1)), before);
}

/// Routers 1 and 4 have no direct path; both are connected to 2 and 3.
fn isolated() -> World {
    let mut world = World::new(4);
    world.cut.extend([(1, 4), (4, 1)]);
    for from in 1..=4 {
        for to in (1..=4).filter(|to| *to != from && from + to != 5) {
            world.connect(from, to, Reach::Direct);
        }
    }
    world.connect(2, 3, Reach::Direct);
    world.connect(3, 2, Reach::Direct);
    world.run(Duration::from_secs(4));
    world.sent.clear();
    world
}

#[test]
fn nodes_without_a_direct_path_get_a_session_over_relays() {
    let mut world = isolated();
    world.connect(1, 4, Reach::Via(vec![node(2), node(3)]));
    world.run_millis(500);
    assert!(world.plane(1).is_up(node(4)) && world.plane(4).is_up(node(1)));
    assert_eq!(world.plane(1).address(node(4)), None, "no address was proven");
    world.send_oam(1, &[2], 4, b"there");
    world.send_oam(4, &[3, 2], 1, b"back");
    world.steer(1, &[3], 4, 77);
    world.host_sends(1, &udp("10.0.1.5:1", "10.0.4.9:2", b"data"));
    world.run_millis(500);
    assert_eq!(world.router(4).punted, [(node(1), true, b"there".to_vec())]);
    assert_eq!(world.router(1).punted, [(node(4), true, b"back".to_vec())]);
    assert_eq!(world.router(4).delivered.len(), 1);
    let now = world.now;
    let direct = world.plane(1).seal_oam(node(4), &[], b"x", &mut Vec::new(), now);
    assert_eq!(direct, Err(OamError::NoAdjacency(node(4))));
}

#[test]
fn a_session_over_relays_is_renewed_over_relays() {
    let mut world = isolated();
    world.connect(1, 4, Reach::Via(vec![node(2)]));
    world.run(Duration::from_secs(400));
    let rekeyed = world.router(4).events.iter().filter(|e| **e == Event::Rekeyed(node(1))).count();
    assert!(rekeyed >= 2, "{rekeyed}");
    assert!(!world.router(4).events.contains(&Event::PeerDown(node(1))));
    world.run(Duration::from_secs(60));
    world.send_oam(1, &[2], 4, b"still there");
    world.run_millis(500);
    assert_eq!(world.router(4).punted.len(), 1);
}

#[test]
fn a_direct_path_that_heals_is_used_when_the_node_asks_for_it() {
    let mut world = isolated();
    world.connect(1, 4, Reach::Via(vec![node(2)]));
    world.run_millis(500);
    world.connect(1, 4, Reach::Direct);
    world.run(Duration::from_secs(30));
    assert!(world.plane(1).is_up(node(4)), "the session over relays is kept");
    assert_eq!(world.plane(1).address(node(4)), None);
    world.cut.clear();
    world.run(Duration::from_secs(6));
    assert_eq!(world.plane(1).address(node(4)), Some(world.address(4)));
    world.send_oam(1, &[], 4, b"direct");
    world.run_millis(100);
    assert_eq!(world.router(4).punted, [(node(1), false, b"direct".to_vec())]);
}

#[test]
fn sessions_over_relays_do_not_renew_the_patience_with_a_silent_address() {
    let mut world = isolated();
    world.connect(4, 1, Reach::Via(vec![node(2)]));
    world.connect(1, 4, Reach::Direct);
    world.run(Duration::from_secs(3_600));
    let aimed = handshakes(&world).iter().filter(|sent| sent.to == world.address(4)).count();
    let relays = [2, 3].map(|raw| world.address(raw));
    let direct = handshakes(&world).iter().filter(|d| !relays.contains(&d.from)).count();
    assert!(aimed > 20, "{aimed}");
    assert!(world.plane(4).is_up(node(1)));
    let to_victim = world
        .sent
        .iter()
        .filter(|d| d.from == world.address(1))
        .filter(|d| d.to == world.address(4) && d.bytes.len() == 148 && d.bytes[0] >> 4 == 0xa);
    assert!(to_victim.count() < 40, "{direct}");
}

#[test]
fn a_relayed_handshake_waits_for_its_first_hop() {
    let mut world = World::new(3);
    world.cut.extend([(1, 3), (3, 1)]);
    world.connect(1, 3, Reach::Via(vec![node(2)]));
    world.connect(1, 2, Reach::Direct);
    world.connect(3, 2, Reach::Direct);
    world.run(Duration::from_secs(5));
    assert!(world.plane(1).is_up(node(3)));
}

#[test]
fn a_relayed_handshake_that_lies_about_its_path_is_dropped() {
    let mut world = isolated();
    world.drops.clear();
    world.connect(1, 4, Reach::Via(vec![node(2), node(3)]));
    let now = world.now;
    world.plane(1).handle_timeout(now);
    let sent = world.plane(1).poll_transmit().unwrap();
    // The list of relays stands in the unsealed payload behind the origin, and no tag covers it.
    let at = 16 + 16 + 8;
    let mut bytes = sent.bytes;
    assert_eq!(bytes[at..at + 8], [1, 0, 0, 0, 2, 0, 0, 0]);
    bytes[at + 12] = 2;
    let from = world.address(1);
    world.send(Datagram { from, to: sent.to, tos: 0, bytes });
    world.run_millis(100);
    assert_eq!(world.drops, [(4, DropReason::HandshakePath)]);
}

#[test]
fn another_key_makes_another_peer() {
    let mut world = World::connected(2);
    let mut config = world.peer_config(1);
    config.key.0[0] ^= 1;
    let now = world.now;
    world.plane(2).set_peer(node(1), config, now);
    assert!(!world.plane(2).is_up(node(1)));
    assert_eq!(world.plane(2).poll_event(), Some(Event::PeerDown(node(1))));
}
