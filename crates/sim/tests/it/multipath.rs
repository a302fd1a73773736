//! Whole nodes with several paths at once: the sum of two, copies that hide loss, nothing twice.

use srwan_control::SpreadMode;
use srwan_node::multipath::MultipathRule;
use srwan_node::{NodeEvent, Spread};
use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use std::collections::BTreeSet;
use std::time::Duration;

/// Octets of the payload of a packet.
const PAYLOAD: usize = 1_000;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A rule for traffic from router 0 to router 3, over the direct path or router 1 or 2.
fn rule(mode: SpreadMode, via: &[&[&str]]) -> MultipathRule {
    let names = |relays: &&[&str]| relays.iter().map(|name| (*name).to_owned()).collect();
    let explicit = via.iter().map(|relays| (names(relays), 1)).collect();
    MultipathRule { endpoint: "r3".into(), mode, paths: 2, explicit }
}

/// Sites at routers 0 and 3. Over router 1 it takes 40 ms, over 2 44 ms, directly 41 ms.
fn world(rules: Vec<MultipathRule>, rate: Option<u64>, seed: u64) -> World {
    let multipath = rules.into_iter().map(|rule| (0, rule)).collect();
    let mut world = World::new(&WorldConfig { multipath, ..WorldConfig::new(4) }, seed);
    for (a, b, ms) in [(0, 3, 41), (0, 1, 20), (1, 3, 20), (0, 2, 22), (2, 3, 22), (1, 2, 20)] {
        let rate = if (a, b) == (1, 2) || (a, b) == (0, 3) { None } else { rate };
        world.link(a, b, Link { rate, ..Link::with_owd_ms(ms) });
    }
    world.run(secs(30));
    world
}

/// Sends so many packets, one each `gap`; the numbers of those that arrived, in order of arrival.
fn stream(world: &mut World, count: u32, gap: Duration) -> Vec<u32> {
    let before = world.delivered.len();
    for number in 0..count {
        let mut payload = [0; PAYLOAD];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        assert!(world.host_sends(0, 3, &payload), "the paths are engaged");
        world.run(gap);
    }
    world.run(secs(1));
    let arrived = world.delivered[before..].iter().filter(|delivered| delivered.router == 3);
    arrived.map(|d| u32::from_be_bytes(d.packet[28..32].try_into().unwrap())).collect()
}

/// Packets that a transfer has under way: what a path of 1.25 MB/s and 40 ms holds, and as many in its queue.
const WINDOW: usize = 95;

/// Octets a second of a transfer that keeps a window of packets under way, and how often one came twice.
fn transfer(via: &[&[&str]]) -> (u64, usize) {
    const SECONDS: u64 = 5;
    let mut world = world(vec![rule(SpreadMode::Packets, via)], Some(1_250_000), 11);
    let end = world.now() + secs(SECONDS);
    let (mut sent, mut seen, mut arrived) = (0_usize, world.delivered.len(), Vec::new());
    while world.now() < end {
        while sent < arrived.len() + WINDOW {
            let mut payload = [0; PAYLOAD];
            payload[..8].copy_from_slice(&sent.to_be_bytes());
            assert!(world.host_sends(0, 3, &payload), "the paths are engaged");
            sent += 1;
        }
        world.run(Duration::from_millis(1));
        let fresh = &world.delivered[seen..];
        arrived.extend(fresh.iter().filter(|d| d.router == 3).map(|d| d.packet[28..36].to_vec()));
        seen = world.delivered.len();
    }
    let distinct: BTreeSet<&Vec<u8>> = arrived.iter().collect();
    let octets = u64::try_from(distinct.len() * PAYLOAD).unwrap();
    println!("{via:?}: {} kB/s of 1250", octets / SECONDS / 1_000);
    (octets / SECONDS, arrived.len() - distinct.len())
}

#[test]
fn two_equal_paths_carry_more_than_the_better_one() {
    let (one, _) = transfer(&[&["r1"]]);
    let (other, _) = transfer(&[&["r2"]]);
    let (both, twice) = transfer(&[&["r1"], &["r2"]]);
    let best = one.max(other);
    assert!(both * 10 > best * 18, "{both} octets/s over both, {best} over the better one");
    assert_eq!(twice, 0, "each packet is delivered at most once");
}

#[test]
fn packets_that_take_turns_arrive_in_order_although_the_paths_differ() {
    let mut world = world(vec![rule(SpreadMode::Packets, &[&["r1"], &["r2"]])], None, 12);
    for (a, b, ms) in [(0, 1, 20), (2, 3, 22)] {
        world.link(a, b, Link { jitter: Duration::from_millis(3), ..Link::with_owd_ms(ms) });
    }
    let numbers = stream(&mut world, 3_000, Duration::from_millis(1));
    assert_eq!(numbers, (0..3_000).collect::<Vec<_>>());
}

#[test]
fn copies_hide_a_path_that_loses_three_packets_in_ten() {
    let mut world = world(vec![rule(SpreadMode::Copies, &[&["r1"], &["r2"]])], None, 13);
    world.link(1, 3, Link { loss_per_10k: 3_000, ..Link::with_owd_ms(20) });
    world.run(secs(10));
    let mut numbers = stream(&mut world, 2_000, Duration::from_millis(1));
    assert_eq!(numbers.len(), 2_000, "all arrive, and none twice");
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
}

#[test]
fn copies_on_two_lossy_paths_lose_what_both_lose() {
    let mut world = world(vec![rule(SpreadMode::Copies, &[&["r1"], &["r2"]])], None, 14);
    for relay in [1, 2] {
        world.link(relay, 3, Link { loss_per_10k: 1_000, ..Link::with_owd_ms(20) });
    }
    world.run(secs(10));
    let numbers = stream(&mut world, 2_000, Duration::from_millis(1));
    let distinct: BTreeSet<u32> = numbers.iter().copied().collect();
    assert_eq!(distinct.len(), numbers.len());
    assert!((1_950..2_000).contains(&numbers.len()), "{} of 2000", numbers.len());
}

#[test]
fn each_path_is_paid_by_a_lane_of_its_own() {
    for (mode, octets) in [(SpreadMode::Packets, 500), (SpreadMode::Copies, 1_000)] {
        let mut world = world(vec![rule(mode, &[&["r1"], &["r2"]])], None, 15);
        stream(&mut world, 1_000, Duration::from_millis(1));
        let view = world.view(0);
        assert_eq!(view.paid.len(), 2);
        let least = u64::try_from(octets * (PAYLOAD + 28)).unwrap();
        for lane in &view.paid {
            assert_eq!(lane.delivered.0, least, "{mode:?} over {:?}", lane.path.relays);
        }
        let sent = &view.endpoints[0].sent;
        assert!(sent.iter().all(|(_, count)| count.octets == least), "{sent:?}");
    }
}

#[test]
fn flows_go_on_when_one_of_the_paths_dies_and_the_router_tells_so() {
    let mut world = world(vec![rule(SpreadMode::Flows, &[&["r1"], &["r2"]])], None, 16);
    world.link(1, 3, Link { up: false, ..Link::with_owd_ms(20) });
    world.run(secs(1));
    let numbers = stream(&mut world, 100, Duration::from_millis(10));
    assert_eq!(numbers.len(), 100);
    let shares: Vec<_> = world
        .log
        .iter()
        .filter_map(|logged| match &logged.event {
            NodeEvent::PathsShared(shares) if logged.router == 0 => Some(shares),
            _ => None,
        })
        .collect();
    assert!(shares.iter().all(|shares| shares.spread == Spread::Flows));
    assert!(shares.iter().any(|shares| shares.paths.len() == 2));
    assert_eq!(shares.last().unwrap().paths, [(vec![world.view(2).node], 1)]);
}

#[test]
fn without_a_rule_or_a_path_that_works_the_default_path_has_the_traffic() {
    let mut world = world(vec![rule(SpreadMode::Flows, &[&["r1"], &["nobody"]])], None, 17);
    assert!(world.host_sends(0, 3, b"over r1"));
    assert!(!world.host_sends(3, 0, b"the other router has no rule"));
    world.link(1, 3, Link { up: false, ..Link::with_owd_ms(20) });
    world.run(secs(2));
    assert!(!world.host_sends(0, 3, b"past the tunnel"));
    let unknown = rule(SpreadMode::Flows, &[&["nobody"]]);
    let mut world = self::world(vec![unknown], None, 18);
    assert!(!world.host_sends(0, 3, b"no such path"));
}

#[test]
fn a_chosen_set_includes_the_direct_path_and_carries_packets_of_its_least_mtu() {
    let mut world = world(vec![rule(SpreadMode::Copies, &[])], None, 19);
    let view = world.view(0);
    let engaged = view.endpoints[0].engaged.as_ref().expect("engaged");
    assert_eq!(engaged.paths.len(), 2);
    assert_eq!(engaged.paths[0].relays, []);
    world.link(0, 3, Link { mtu: 1_300, ..Link::with_owd_ms(41) });
    world.run(secs(20));
    let view = world.view(0);
    let mtus: Vec<u16> =
        view.endpoints[0].engaged.iter().flat_map(|e| &e.paths).map(|p| p.inner_mtu).collect();
    assert!(mtus[0] < 1_240 && mtus[1] == 1_380, "{mtus:?}");
    let before = world.delivered.len();
    world.host_sends(0, 3, &[0; 1_300]);
    world.run(secs(1));
    let answer = &world.delivered[before];
    assert_eq!((answer.router, answer.packet[9]), (0, 1), "too big for one of the paths");
}
