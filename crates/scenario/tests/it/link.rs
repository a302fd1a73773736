//! One link: delay, jitter, loss, rate and queue are what the file says.

use std::time::Duration;

use proptest::prelude::*;
use srwan_scenario::link::{Fate, Link, LinkDrop};
use srwan_scenario::{BitRate, Impairment, LinkShape, Probability};

const MS: u64 = 1_000_000;

fn link(shape: LinkShape) -> Link {
    Link::new(shape, 7, 1)
}

fn arrival(fate: Fate) -> u64 {
    match fate {
        Fate::Arrives { at_ns, .. } => at_ns,
        Fate::Lost(drop) => panic!("lost: {drop:?}"),
    }
}

#[test]
fn delays_by_exactly_the_one_way_delay() {
    let mut link = link(LinkShape { owd: Duration::from_millis(40), ..LinkShape::default() });
    assert_eq!(arrival(link.pass(5 * MS, 1500)), 45 * MS);
}

#[test]
fn loses_the_fraction_that_was_asked_for() {
    let loss = Probability::from_fraction(0.05).unwrap();
    let mut link = link(LinkShape { loss, ..LinkShape::default() });
    let lost = (0..100_000).filter(|at| link.pass(*at, 100) == Fate::Lost(LinkDrop::Loss)).count();
    assert!((4_700..5_300).contains(&lost), "{lost} of 100000");
}

#[test]
fn serialises_at_the_rate_and_drops_at_the_tail() {
    let rate = BitRate::from_mbps(12.0);
    let mut link = link(LinkShape { rate, queue_octets: 15_000, ..LinkShape::default() });
    let fates: Vec<Fate> = (0..20).map(|_| link.pass(0, 1500)).collect();
    let passed = fates.iter().filter(|fate| matches!(fate, Fate::Arrives { .. })).count();
    assert_eq!(passed, 10, "a queue of ten packets");
    assert_eq!(arrival(fates[0]), MS, "1500 octets at 12 Mbit/s take 1 ms");
    assert_eq!(arrival(fates[9]), 10 * MS);
    assert_eq!(link.counters().queue_full, 10);
}

#[test]
fn a_fault_adds_and_healing_takes_away() {
    let mut link = link(LinkShape { owd: Duration::from_millis(10), ..LinkShape::default() });
    link.set_fault(Some(Impairment { add: Duration::from_millis(150), ..Impairment::default() }));
    assert_eq!(arrival(link.pass(0, 100)), 160 * MS);
    link.set_fault(Some(Impairment::blackhole()));
    assert_eq!(link.pass(0, 100), Fate::Lost(LinkDrop::Blackhole));
    link.set_fault(None);
    assert_eq!(arrival(link.pass(MS, 100)), 11 * MS);
}

#[test]
fn a_packet_that_is_too_big_is_lost_with_or_without_a_word() {
    let fate = |icmp| {
        let shape = LinkShape { mtu: Some(1_280), icmp, ..LinkShape::default() };
        (link(shape.clone()).pass(0, 1_280), link(shape).pass(0, 1_281))
    };
    let told = |told| Fate::Lost(LinkDrop::TooBig { told });
    assert_eq!(fate(true).1, told(Some(1_280)));
    assert_eq!(fate(false).1, told(None));
    assert!(matches!(fate(false).0, Fate::Arrives { .. }));
}

#[test]
fn jitter_has_the_mean_that_was_asked_for_and_is_never_negative() {
    let jitter = Duration::from_millis(2);
    let mut link = link(LinkShape { jitter, ..LinkShape::default() });
    let delays: Vec<u64> =
        (0..20_000).map(|n| n * 5 * MS).map(|at| arrival(link.pass(at, 100)) - at).collect();
    let mean = delays.iter().sum::<u64>() / 20_000;
    assert!((1_850_000..2_150_000).contains(&mean), "mean {mean} ns");
    assert!(delays.iter().all(|delay| *delay <= 10 * MS));
}

#[test]
fn reorders_and_duplicates_only_when_asked() {
    let mut plain = link(LinkShape::default());
    let mut wild = link(LinkShape {
        reorder: Probability::from_fraction(0.1).unwrap(),
        duplicate: Probability::from_fraction(0.2).unwrap(),
        ..LinkShape::default()
    });
    for at in 0..10_000 {
        plain.pass(at * MS, 100);
        wild.pass(at * MS, 100);
    }
    assert_eq!((plain.counters().reordered, plain.counters().duplicated), (0, 0));
    assert!((900..1100).contains(&wild.counters().reordered));
    assert!((1850..2150).contains(&wild.counters().duplicated));
}

proptest! {
    /// Whatever the jitter, packets leave in the order they came, and none before its delay.
    #[test]
    fn keeps_the_order(seed: u64, jitter_ms in 0u64..50, gaps in prop::collection::vec(0u64..30_000_000, 1..200)) {
        let owd = Duration::from_millis(20);
        let shape = LinkShape { owd, jitter: Duration::from_millis(jitter_ms), ..LinkShape::default() };
        let mut link = Link::new(shape, seed, 0);
        let (mut now, mut last) = (0, 0);
        for gap in gaps {
            now += gap;
            let at = arrival(link.pass(now, 1000));
            prop_assert!(at >= now + 20 * MS && at >= last);
            last = at;
        }
    }
}
