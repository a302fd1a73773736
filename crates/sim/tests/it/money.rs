//! Money: who earned what, and that nothing was made or lost.

use srwan_node::NodeEvent;
use srwan_node::pay::LanePhase;
use srwan_sim::net::Link;
use srwan_sim::world::{Logged, World, WorldConfig};
use srwan_wire::id::NodeId;
use srwan_wire::receipt::Price;
use std::time::Duration;

/// Two sites 200 ms apart with a relay half-way that makes it 60 ms, after the path over it was engaged.
fn engaged(seed: u64) -> World {
    let mut world = World::new(&WorldConfig::new(3), seed);
    world.link(0, 1, Link::with_owd_ms(30));
    world.link(1, 2, Link::with_owd_ms(30));
    world.link(0, 2, Link::with_owd_ms(200));
    world.run(Duration::from_secs(25));
    assert!(world.host_sends(0, 2, b"first"), "the faster path is engaged");
    world
}

/// Sends `packets` of 1000 octets of payload, one each `every`.
fn send(world: &mut World, packets: u32, every: Duration) {
    for _ in 0..packets {
        world.host_sends(0, 2, &[7; 1_000]);
        world.run(every);
    }
}

#[test]
fn relay_and_endpoint_earn_what_the_payer_signed_and_the_endpoint_delivered() {
    let mut world = engaged(1);
    send(&mut world, 20_000, Duration::from_micros(200));
    world.run(Duration::from_secs(2));
    let now = world.now();
    world.router(0).drain(now);
    world.run(Duration::from_secs(20));
    let octets: u64 =
        world.delivered.iter().filter(|d| d.router == 2).map(|d| wide(d.packet.len())).sum();
    let share = octets * 10 * 9 / 10 / 2;
    for payee in [1, 2] {
        assert_eq!(world.bank.earned[&world.account(payee)], share, "router {payee}");
    }
    assert_eq!(world.view(2).served.iter().map(|l| l.settled.0).max(), Some(octets));
    assert!(world.bank.is_conserved());
    assert_eq!(world.bank.refused, 0);
}

#[test]
fn fast_traffic_is_signed_for_in_larger_steps() {
    let mut world = engaged(6);
    let before = world.log.len();
    // 62 MB at 2 Gbit/s: 59 steps of a stranger's MiB.
    send(&mut world, 60_000, Duration::from_micros(4));
    world.run(Duration::from_secs(1));
    let arrived = world.delivered.iter().filter(|d| d.router == 2).count();
    assert_eq!(arrived, 60_001, "nothing waited for a signature");
    let stored =
        |logged: &&Logged| logged.router == 1 && matches!(logged.event, NodeEvent::Store(_));
    let stored = world.log[before..].iter().filter(stored).count();
    assert!((5..30).contains(&stored), "{stored} receipts and deliveries were kept");
}

#[test]
fn a_halted_ledger_stops_no_paid_traffic_within_the_cap() {
    let mut world = engaged(2);
    world.bank.halted = true;
    send(&mut world, 5_000, Duration::from_micros(400));
    world.run(Duration::from_secs(1));
    let arrived = world.delivered.iter().filter(|d| d.router == 2).count();
    assert_eq!(arrived, 5_001);
    world.bank.halted = false;
    let now = world.now();
    world.router(0).drain(now);
    world.run(Duration::from_secs(20));
    assert!(world.bank.settled > 0 && world.bank.is_conserved());
}

#[test]
fn a_router_with_price_infinity_measures_and_never_carries() {
    let config = WorldConfig { measure_only: vec![1], ..WorldConfig::new(3) };
    let mut world = World::new(&config, 3);
    world.link(0, 1, Link::with_owd_ms(30));
    world.link(1, 2, Link::with_owd_ms(30));
    world.link(0, 2, Link::with_owd_ms(200));
    world.run(Duration::from_secs(25));
    assert!(world.view(0).matrix.is_full());
    assert!(!world.host_sends(0, 2, b"direct"));
}

#[test]
fn a_short_escrow_is_told_once_and_traffic_keeps_the_default_path() {
    let mut world = World::new(&WorldConfig { lane_cap: u64::MAX / 2, ..WorldConfig::new(3) }, 4);
    world.link(0, 1, Link::with_owd_ms(30));
    world.link(1, 2, Link::with_owd_ms(30));
    world.link(0, 2, Link::with_owd_ms(200));
    world.run(Duration::from_secs(120));
    let phase = |logged: &Logged| match &logged.event {
        NodeEvent::LaneChanged { phase, .. } if logged.router == 0 => Some(*phase),
        _ => None,
    };
    let told: Vec<_> = world.log.iter().filter_map(phase).collect();
    assert_eq!(told, [LanePhase::Opening, LanePhase::Refused]);
    assert!(world.bank.refused > 2, "it is tried again and again");
    assert!(!world.host_sends(0, 2, b"over the default path"));
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Two sites 200 ms apart with a relay half-way, freshly started.
fn fresh(config: &WorldConfig, seed: u64) -> World {
    let mut world = World::new(config, seed);
    world.link(0, 1, Link::with_owd_ms(30));
    world.link(1, 2, Link::with_owd_ms(30));
    world.link(0, 2, Link::with_owd_ms(200));
    world
}

#[test]
fn routers_that_ask_for_nothing_carry_without_a_lane() {
    let config = WorldConfig { price: Price(0), ..WorldConfig::new(3) };
    let mut world = fresh(&config, 4);
    world.run(Duration::from_secs(25));
    assert!(world.host_sends(0, 2, b"free"), "the faster path is engaged");
    world.run(Duration::from_secs(1));
    assert!(world.delivered.iter().any(|d| d.router == 2 && d.packet.ends_with(b"free")));
    assert!(world.view(0).paid.is_empty() && world.bank.settled == 0);
    assert_eq!(told(&world), [(vec![world.view(1).node], false)]);
}

/// Each path that the first router's shell was told to engage, and whether it is billed.
fn told(world: &World) -> Vec<(Vec<NodeId>, bool)> {
    let path = |logged: &Logged| match &logged.event {
        NodeEvent::Engage { relays, is_billed, .. } => Some((relays.clone(), *is_billed)),
        _ => None,
    };
    world.log.iter().filter(|logged| logged.router == 0).filter_map(path).collect()
}

#[test]
fn the_shell_is_told_of_every_path_that_traffic_moves_to() {
    let mut world = fresh(&WorldConfig { price: Price(0), ..WorldConfig::new(4) }, 6);
    (0..3).for_each(|router| world.link(router, 3, Link::with_owd_ms(30)));
    let (one, other, endpoint) = (world.view(1).node, world.view(2).node, world.view(3).node);
    for relay in [one, other] {
        let now = world.now();
        world.router(0).pin(endpoint, &[relay], now).unwrap();
        world.run(Duration::from_secs(15));
    }
    assert_eq!(told(&world), [(vec![one], false), (vec![other], false)]);
}

#[test]
fn a_path_that_is_pinned_before_anything_is_measured_gets_its_lane() {
    let mut world = fresh(&WorldConfig::new(3), 5);
    let (relay, endpoint, now) = (world.view(1).node, world.view(2).node, world.now());
    world.router(0).pin(endpoint, &[relay], now).unwrap();
    world.run(Duration::from_secs(15));
    assert!(world.host_sends(0, 2, b"pinned"), "the pinned path is engaged");
    assert_eq!(world.view(0).paid.iter().filter(|l| l.phase == LanePhase::Ready).count(), 1);
    assert_eq!(told(&world), [(vec![relay], true)]);
}

#[test]
fn a_lane_whose_cap_is_used_up_while_the_ledger_is_halted_is_left_for_the_default_path() {
    // Two MB at the reference price: used up within a few seconds, long before any other lane can be final.
    let mut world = fresh(&WorldConfig { lane_cap: 20_000_000, ..WorldConfig::new(3) }, 6);
    world.run(Duration::from_secs(25));
    assert!(world.host_sends(0, 2, b"engaged"));
    world.bank.halted = true;
    let payload = vec![0x5a; 1_200];
    let (mut engaged, mut default) = (0, 0);
    for _ in 0..5_000 {
        match world.host_sends(0, 2, &payload) {
            true => engaged += 1,
            false => default += 1,
        }
        world.run(Duration::from_millis(2));
    }
    world.run(Duration::from_secs(1));
    assert!(engaged > 1_400, "the funded cap is used: {engaged} packets");
    assert!(default > 2_000, "and then the default path: {default} packets");
    let arrived = world.delivered.iter().filter(|d| d.packet.ends_with(&payload)).count();
    assert!(arrived + 100 > 5_000, "{arrived} of 5,000 arrived");
    world.bank.halted = false;
    world.run(Duration::from_secs(60));
    assert!(world.host_sends(0, 2, b"engaged again"));
}

#[test]
fn a_path_that_is_taken_again_is_paid_with_the_lane_that_it_had() {
    let mut world = World::new(&WorldConfig::new(6), 31);
    for relay in 1..5 {
        world.link(0, relay, Link::with_owd_ms(20 + u64::try_from(relay).unwrap()));
        world.link(relay, 5, Link::with_owd_ms(20));
    }
    world.link(0, 5, Link::with_owd_ms(30));
    world.run(Duration::from_secs(20));
    for _ in 0..12 {
        let view = world.view(0);
        let watched = view.endpoints.iter().find(|one| one.node.get() == 6);
        let engaged = watched.and_then(|one| one.engaged.as_ref()).map(|path| path.relays()[0]);
        let next = engaged.map_or(5, |relay| usize::try_from(relay.get()).unwrap() - 1);
        set_up(&mut world, next, false);
        world.run(Duration::from_secs(3));
        set_up(&mut world, next, true);
        world.run(Duration::from_secs(3));
    }
    let opened = world.log.iter().filter(|logged| logged.router == 0);
    let opened = opened.filter_map(|logged| match &logged.event {
        NodeEvent::OpenLane(request) => Some(request.path),
        _ => None,
    });
    let mut paths: Vec<_> = opened.collect();
    let count = paths.len();
    paths.sort_unstable();
    paths.dedup();
    assert!(paths.len() >= 4 && paths.len() == count, "{count} lanes for {} paths", paths.len());
}

fn set_up(world: &mut World, to: usize, up: bool) {
    for (from, to) in [(0, to), (to, 0)] {
        world.change_link(from, to, |link| link.up = up);
    }
}
