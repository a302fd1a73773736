//! Destinations without a router: measured, sent over an egress, taken back.
//!
//! The web lies beside the last router; nobody there runs one. The test is the prober: it answers each measurement.

use ipnet::IpNet;
use srwan_control::Place;
use srwan_node::NodeEvent;
use srwan_node::destination::{FLOWS_LINGER, Measurement};
use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::Roster;
use srwan_wire::time::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(50);

fn web() -> IpNet {
    "203.0.113.0/24".parse().unwrap()
}

fn web_address() -> IpAddr {
    "203.0.113.1".parse().unwrap()
}

/// Three routers, of which the last one is an egress; the first one watches the web.
fn three(seed: u64) -> World {
    let mut world = World::new(&WorldConfig::new(3), seed);
    world.link(0, 1, Link::with_owd_ms(30));
    world.link(1, 2, Link::with_owd_ms(30));
    world.link(0, 2, Link::with_owd_ms(40));
    let mut members = world.view(0).members;
    members[2].egress = true;
    let issued = Timestamp::from_nanos(0);
    let roster = Roster { group: GroupId(1), seq: 2, issued, psk: [7; 32], members };
    let now = world.now();
    for router in 0..3 {
        world.router(router).handle_roster(&roster, now);
    }
    assert!(world.router(0).watch_destination(web(), web_address(), Place::default(), now));
    world
}

/// Lets `length` pass, with `own` as the round trip from the first router to the web and `onward` as that from others.
fn run(world: &mut World, length: Duration, own: Option<u64>, onward: Option<u64>) {
    let end = world.now() + length;
    while world.now() < end {
        let seen = world.log.len();
        world.run(STEP);
        let now = world.now();
        let asked: Vec<(usize, Measurement)> = world.log[seen..]
            .iter()
            .filter_map(|logged| match logged.event {
                NodeEvent::Measure(measurement) => Some((logged.router, measurement)),
                _ => None,
            })
            .collect();
        for (router, measurement) in asked {
            assert_eq!(measurement.address, web_address());
            let rtt = if router == 0 { own } else { onward };
            world.router(router).handle_measured(&measurement, rtt.map(Duration::from_millis), now);
        }
    }
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn egress_of(world: &mut World) -> Option<NodeId> {
    world.router(0).destination_choices().next().and_then(|(_, egress)| egress)
}

fn count(world: &World, is_wanted: impl Fn(&NodeEvent) -> bool) -> usize {
    world.log.iter().filter(|logged| logged.router == 0 && is_wanted(&logged.event)).count()
}

fn is_engaged(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::EngageFlows { destination, .. } if *destination == web())
}

fn is_released(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::ReleaseFlows { destination, .. } if *destination == web())
}

fn is_ended(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::EndFlows { destination, .. } if *destination == web())
}

#[test]
fn a_healthy_default_path_is_not_left() {
    let mut world = three(1);
    run(&mut world, secs(30), Some(90), Some(5));
    assert_eq!(egress_of(&mut world), None);
    assert_eq!(count(&world, is_engaged), 0);
}

#[test]
fn new_flows_take_the_egress_while_the_default_path_is_slow_and_old_ones_linger() {
    let mut world = three(2);
    run(&mut world, secs(15), Some(90), Some(5));
    run(&mut world, secs(10), Some(300), Some(5));
    let egress = world.view(2).node;
    assert_eq!(egress_of(&mut world), Some(egress));
    assert_eq!(count(&world, is_engaged), 1);

    run(&mut world, secs(30), Some(60), Some(5));
    assert_eq!(egress_of(&mut world), None);
    assert_eq!((count(&world, is_released), count(&world, is_ended)), (1, 0));

    run(&mut world, FLOWS_LINGER + secs(1), Some(60), Some(5));
    assert_eq!(count(&world, is_ended), 1);
}

#[test]
fn an_egress_that_does_not_reach_the_web_is_not_used() {
    let mut world = three(3);
    run(&mut world, secs(30), Some(300), None);
    assert_eq!(egress_of(&mut world), None);
}

#[test]
fn a_silent_default_path_is_left_for_an_egress_that_reaches_the_web() {
    let mut world = three(4);
    run(&mut world, secs(15), Some(90), Some(5));
    run(&mut world, secs(10), None, Some(5));
    assert_eq!(egress_of(&mut world), Some(world.view(2).node));
}

#[test]
fn packets_to_the_web_leave_at_the_egress_while_it_is_chosen() {
    let mut world = three(5);
    run(&mut world, secs(15), Some(90), Some(5));
    run(&mut world, secs(10), Some(300), Some(5));
    world.host_sends_outside(0, [203, 0, 113, 9].into(), b"get");
    run(&mut world, secs(1), Some(300), Some(5));
    let last = world.delivered.last().expect("the packet came out of the tunnel");
    assert_eq!((last.router, &last.packet[28..]), (2, &b"get"[..]));
}
