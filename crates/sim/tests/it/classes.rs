//! Whole nodes with forwarding classes: who takes which path, and what happens when it dies.

use srwan_control::Preference;
use srwan_node::view::ClassView;
use srwan_node::{DscpSet, ForwardingClass, NodeEvent};
use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use std::time::Duration;

const EXPEDITED: u8 = 46;
const BEST_EFFORT: u8 = 0;

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn class(name: &str, dscp: u8, preference: Preference) -> ForwardingClass {
    ForwardingClass { name: name.into(), dscp: DscpSet::of([dscp]), preference }
}

/// Sites at routers 0 and 3, directly 50 ms apart; over router 1 it takes `over_one`, over router 2 two more.
fn world(classes: Vec<ForwardingClass>, over_one: u64, seed: u64) -> World {
    let mut world = World::new(&WorldConfig { classes, ..WorldConfig::new(4) }, seed);
    let half = over_one / 2;
    let links = [(0, 3, 50), (0, 1, half), (1, 3, half), (0, 2, half + 1), (2, 3, half + 1)];
    for (a, b, ms) in links {
        world.link(a, b, Link::with_owd_ms(ms));
    }
    world.run(secs(30));
    world
}

fn voice() -> Vec<ForwardingClass> {
    vec![class("voice", EXPEDITED, Preference::Fastest)]
}

/// How long a packet takes from site to site, by the millisecond; `None` if it does not arrive.
fn takes_ms(world: &mut World, dscp: u8) -> Option<u64> {
    let (start, seen) = (world.now(), world.delivered.len());
    world.host_sends_marked(0, 3, dscp, b"x");
    world.run(secs(1));
    let arrived = world.delivered[seen..].iter().find(|delivered| delivered.router == 3)?;
    assert_eq!(arrived.packet[1], dscp << 2, "the mark arrives as well");
    u64::try_from(arrived.at.since(start).as_millis()).ok()
}

/// The one class's view at router 0.
fn view(world: &World) -> ClassView {
    world.view(0).endpoints[0].classes[0].clone()
}

/// Names of the classes that moved at router 0 for a reason that begins so; the rest's moves have none.
fn moved(world: &World, reason: &str) -> Vec<Option<String>> {
    let events = world.log.iter().filter(|logged| logged.router == 0);
    let moves = events.filter_map(|logged| match &logged.event {
        NodeEvent::PathChanged(change) if change.reason.starts_with(reason) => Some(change),
        _ => None,
    });
    moves.map(|change| change.class.clone()).collect()
}

#[test]
fn a_gain_that_only_a_class_wants_moves_only_that_class() {
    let mut world = world(voice(), 46, 1);
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(46));
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(50), "4 ms are no reason for the rest");
    assert_eq!(moved(&world, "another path is faster"), [Some("voice".to_owned())]);
    let path = view(&world).path.expect("the class is engaged");
    assert!(path.lane.is_some(), "the relay is paid");
    assert!(world.view(0).endpoints[0].engaged.is_none());
}

#[test]
fn without_classes_that_gain_moves_nothing() {
    let mut world = world(Vec::new(), 46, 1);
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(50));
    assert!(moved(&world, "").is_empty());
}

#[test]
fn a_class_that_wants_it_cheap_stays_where_the_rest_leaves() {
    let mut world = world(vec![class("bulk", 8, Preference::Cheapest)], 42, 2);
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(42), "8 ms are reason enough");
    assert_eq!(takes_ms(&mut world, 8), Some(50), "and not for those who want twice that");
    assert_eq!(moved(&world, ""), [None]);
}

#[test]
fn a_class_whose_relay_dies_goes_elsewhere_within_a_second_and_the_rest_stays() {
    let mut world = world(voice(), 46, 3);
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(46));
    world.link(0, 1, Link { up: false, ..Link::with_owd_ms(23) });
    world.run(secs(1));
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(50), "the default path is all there is");
    assert_eq!(moved(&world, "nothing arrives"), [Some("voice".to_owned())]);
    world.run(secs(30));
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(48), "the second relay takes over");
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(50));
}

#[test]
fn everybody_leaves_a_default_path_that_dies_and_returns_to_it() {
    let mut world = world(voice(), 60, 4);
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(50));
    world.link(0, 3, Link { up: false, ..Link::with_owd_ms(50) });
    world.run(secs(1));
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(60));
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(60));
    world.link(0, 3, Link::with_owd_ms(50));
    world.run(secs(40));
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(50));
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(50));
    let endpoint = &world.view(0).endpoints[0];
    assert!(!endpoint.is_engaged(), "nothing is left on relays");
}

#[test]
fn a_pin_holds_for_classes_too_and_ends_for_them_too() {
    let mut world = world(voice(), 46, 5);
    let (end, relay) = (world.view(3).node, world.view(2).node);
    let now = world.now();
    world.router(0).pin(end, &[relay], now).unwrap();
    world.run(secs(15));
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(48));
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(48));
    let now = world.now();
    world.router(0).unpin(end, now);
    world.run(secs(30));
    assert_eq!(moved(&world, "the operator took the pin away").len(), 2);
    // The pinned path stands by since: two milliseconds are no reason to probe another one instead.
    assert_eq!(takes_ms(&mut world, EXPEDITED), Some(48));
    assert_eq!(takes_ms(&mut world, BEST_EFFORT), Some(50));
}
