//! All links together: routing, source addresses, order in time, bounds.

use std::time::Duration;

use srwan_lab::fabric::lateness::Lateness;
use srwan_lab::fabric::link::Link;
use srwan_lab::fabric::net::{Net, PARCELS_MAX, SiteRoutes};
use srwan_lab::scenario::LinkShape;

use crate::packet::udp_v4;

const MS: u64 = 1_000_000;
const A: [u8; 4] = [198, 18, 1, 1];
const B: [u8; 4] = [198, 18, 2, 1];

/// Two sites, 10 ms there and 30 ms back.
fn two_sites() -> Net {
    let site = |net: &str| SiteRoutes { prefixes: vec![net.parse().unwrap()] };
    let owd = |ms| LinkShape { owd: Duration::from_millis(ms), ..LinkShape::default() };
    let links = [0, 10, 30, 0].map(|ms| Link::new(owd(ms), 1, ms)).into();
    Net::new(vec![site("198.18.1.0/24"), site("198.18.2.0/24")], links)
}

#[test]
fn packets_arrive_at_their_site_after_the_delay_of_their_direction() {
    let mut net = two_sites();
    net.send(0, udp_v4(A, B, b"there"), 0);
    net.send(1, udp_v4(B, A, b"back"), 0);
    assert_eq!(net.poll_timeout(), Some(10 * MS));
    assert!(net.poll_arrival(10 * MS - 1).is_none());
    let first = net.poll_arrival(40 * MS).unwrap();
    let second = net.poll_arrival(40 * MS).unwrap();
    assert_eq!((first.site, first.due_ns, &first.packet[28..]), (1, 10 * MS, &b"there"[..]));
    assert_eq!((second.site, second.due_ns, &second.packet[28..]), (0, 30 * MS, &b"back"[..]));
    assert_eq!(net.counters().delivered, 2);
}

#[test]
fn a_foreign_source_goes_nowhere() {
    let mut net = two_sites();
    net.send(0, udp_v4([10, 0, 0, 1], B, b"x"), 0);
    assert_eq!((net.counters().foreign_source, net.poll_timeout()), (1, None));
}

#[test]
fn what_has_no_site_is_counted() {
    let mut net = two_sites();
    net.send(0, udp_v4(A, [8, 8, 8, 8], b"x"), 0);
    net.send(0, udp_v4(A, A, b"to itself"), 0);
    net.send(0, vec![0xff; 3], 0);
    net.send(0, Vec::new(), 0);
    assert_eq!((net.counters().no_route, net.poll_timeout()), (4, None));
}

#[test]
fn the_number_of_packets_on_the_way_is_bounded() {
    let mut net = two_sites();
    for _ in 0..PARCELS_MAX + 5 {
        net.send(0, udp_v4(A, B, b""), 0);
    }
    assert_eq!(net.counters().overflow, 5);
    let arrived = std::iter::from_fn(|| net.poll_arrival(10 * MS)).count();
    assert_eq!(arrived, PARCELS_MAX);
}

#[test]
fn quantiles_of_lateness_are_right_within_a_step() {
    let mut lateness = Lateness::default();
    for us in 1..=1000 {
        lateness.record(us * 1000);
    }
    let summary = lateness.summary();
    assert!((500..565).contains(&summary.p50_us), "{summary:?}");
    assert!((990..=1000).contains(&summary.p99_us), "{summary:?}");
    assert_eq!((summary.max_us, summary.is_conclusive()), (1000, true));
    (0..100).for_each(|_| lateness.record(3_000_000));
    assert!(!lateness.summary().is_conclusive());
}
