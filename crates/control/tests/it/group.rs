//! Membership and the matrix of whole groups.

use srwan_control::{ControlEvent, MemberState};
use srwan_wire::id::NodeId;
use srwan_wire::time::Owd;

use crate::world::{Link, MS, Plan, SECOND, World, node, secret};

fn all_full(world: &World) -> bool {
    let nodes: Vec<NodeId> = world.controls.keys().copied().collect();
    let now = world.instant();
    world.controls.values().all(|control| {
        nodes.iter().all(|a| nodes.iter().all(|b| a == b || control.cell(*a, *b, now).is_some()))
    })
}

/// How long a fresh group of `nodes` takes until every member holds the full matrix.
fn time_to_full(nodes: u32, pulse_ms: u64, loss_ppm: u32) -> Option<u64> {
    let plan = Plan { pulse_ms, ..Plan::new(nodes) };
    let link = |from: u32, to: u32| Link {
        loss_ppm,
        jitter_ns: MS,
        ..Link::of_ms(5 + u64::from((from * 7 + to * 13) % 90))
    };
    let mut world = World::new(&plan, link);
    world.run_until(30 * SECOND, all_full)
}

#[test]
fn a_fresh_group_has_the_full_matrix_within_seconds() {
    for (nodes, pulse_ms, loss_ppm) in
        [(5, 1_000, 0), (5, 10_000, 0), (12, 2_000, 50_000), (12, 10_000, 50_000)]
    {
        let took = time_to_full(nodes, pulse_ms, loss_ppm);
        println!("{nodes} nodes, {pulse_ms} ms, {loss_ppm} ppm: full after {took:?} ns");
        assert!(took.is_some_and(|took| took <= 10 * SECOND), "{nodes} nodes: {took:?}");
    }
}

#[test]
fn an_asymmetric_link_is_recovered_per_direction() {
    let asymmetric = |from, to| match (from, to) {
        (1, 2) => Link::of_ms(80),
        (2, 1) => Link::of_ms(20),
        _ => Link::of_ms(30),
    };
    let mut world = World::new(&Plan::new(4), asymmetric);
    world.run_for(10 * SECOND);
    for control in world.controls.values() {
        let matrix = control.matrix(world.instant());
        for (from, to, truth_ms) in [(1, 2, 80), (2, 1, 20), (3, 4, 30)] {
            let shown = matrix.between(node(from), node(to)).unwrap().delay.unwrap();
            let off = (shown.value - Owd::from_nanos(truth_ms * 1_000_000)).as_nanos().abs();
            assert!(off < 1_000_000, "{from}->{to} is off by {off} ns");
            assert!(shown.error >= Owd::from_nanos(off));
        }
    }
}

#[test]
fn the_bound_holds_without_synchronised_clocks() {
    let plan = Plan {
        synchronised: false,
        skews: [(1, 7_000_000_000), (2, -3_000_000_000)].into(),
        ..Plan::new(3)
    };
    let mut world = World::new(&plan, |from, _| Link::of_ms(if from == 1 { 80 } else { 20 }));
    world.run_for(10 * SECOND);
    let matrix = world.control(3).matrix(world.instant());
    let shown = matrix.between(node(1), node(2)).unwrap().delay.unwrap();
    let off = (shown.value - Owd::from_nanos(80_000_000)).as_nanos().abs();
    assert!(off <= shown.error.as_nanos() + 500_000, "{shown:?}");
}

#[test]
fn a_clock_that_lies_is_named_and_measurements_win() {
    let plan = Plan { skews: [(2, 10_000_000_000)].into(), ..Plan::new(3) };
    let mut world = World::new(&plan, |_, _| Link::of_ms(20));
    world.run_for(10 * SECOND);
    let now = world.instant();
    assert_eq!(world.control(1).clock_contradictions(now).collect::<Vec<_>>(), [node(2)]);
    let matrix = world.control(1).matrix(now);
    let shown = matrix.between(node(1), node(2)).unwrap().delay.unwrap();
    assert!((shown.value.as_micros() - 20_000).abs() < 1_000, "{shown:?}");
    assert!(shown.error >= Owd::from_nanos(19_000_000));
}

#[test]
fn rows_are_signed_by_their_measurers() {
    let mut world = World::new(&Plan::new(4), |_, _| Link::of_ms(20));
    world.run_for(30 * SECOND);
    let rows: Vec<_> = world.control(1).signed_rows(world.instant()).collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        let key = secret(row.row.measurer.get()).public();
        assert_eq!(row.verify(&key), Ok(()), "row of {}", row.row.measurer);
    }
}

#[test]
fn a_silent_member_becomes_unknown_after_three_intervals() {
    let mut world = World::new(&Plan::new(4), |_, _| Link::of_ms(20));
    world.run_for(10 * SECOND);
    assert!(all_full(&world));
    world.dead.insert(node(4));
    world.run_for(3 * SECOND);
    assert!(world.control(1).cell(node(4), node(2), world.instant()).is_some());
    world.run_for(8 * SECOND);
    let now = world.instant();
    for (from, to) in [(4, 1), (4, 2), (1, 4), (2, 4)] {
        assert_eq!(world.control(1).cell(node(from), node(to), now), None, "{from}->{to}");
    }
    assert!(world.control(1).cell(node(2), node(3), now).is_some());
    let state = world.control(1).member_states().find(|(id, _)| *id == node(4));
    assert_eq!(state, Some((node(4), MemberState::Unreachable)));
}

/// W8, I32: the group splits, each side goes on, and after healing the matrix is full again within
/// three intervals.
#[test]
fn a_partition_ages_the_other_side_and_heals() {
    let plan = Plan { pulse_ms: 1_000, ..Plan::new(6) };
    let mut world = World::new(&plan, |_, _| Link::of_ms(20));
    world.run_for(10 * SECOND);
    let across: Vec<_> = (1..=3).flat_map(|a| (4..=6).map(move |b| (a, b))).collect();
    across.iter().for_each(|(a, b)| world.change(*a, *b, |link| link.up = false));
    world.run_for(8 * SECOND);
    let now = world.instant();
    let side = world.control(1).matrix(now);
    assert_eq!(side.known(), 6, "three members know one another and nobody else");
    across.iter().for_each(|(a, b)| world.change(*a, *b, |link| link.up = true));
    let healed = world.run_until(3 * SECOND, all_full);
    assert!(healed.is_some(), "full again within three intervals");
}

#[test]
fn an_isolated_pair_exchanges_rows_over_a_relay() {
    let mut world =
        World::new(&Plan::new(4), |from, to| Link { up: from + to != 3, ..Link::of_ms(20) });
    world.run_for(25 * SECOND);
    let now = world.instant();
    let asked = world.events.iter().any(|(_, who, event)| {
        *who == node(1)
            && matches!(event, ControlEvent::ConnectVia { peer, .. } if *peer == node(2))
    });
    assert!(asked);
    let view = world.control(1).matrix(now);
    assert_eq!(view.between(node(1), node(2)), None, "a relayed pulse is no direct sample");
    assert!(view.between(node(3), node(2)).is_some(), "the row of 2 arrives over a relay");
    assert_eq!(view.known(), 10);
    let state = world.control(1).member_states().find(|(id, _)| *id == node(2));
    assert_eq!(state, Some((node(2), MemberState::Relayed)));
}

#[test]
fn the_lowest_heard_member_reports_and_is_replaced_within_two_intervals() {
    let plan = Plan { pulse_ms: 1_000, ..Plan::new(4) };
    let mut world = World::new(&plan, |_, _| Link::of_ms(20));
    world.run_for(5 * SECOND);
    assert!(world.controls.values().all(|control| control.reporter() == Some(node(1))));
    world.dead.insert(node(1));
    world.run_for(3 * SECOND + 200 * MS);
    for raw in 2..=4 {
        assert_eq!(world.control(raw).reporter(), Some(node(2)));
    }
}

/// 32 kbit/s per router in a group of 100 at 10 s, 100 octets of packet around each pulse included.
#[test]
fn pulses_of_a_group_of_a_hundred_stay_within_their_budget() {
    let plan = Plan {
        pulse_ms: 10_000,
        skews: (1..=100).map(|n| (n, i64::from(n) * 77_000_000)).collect(),
        ..Plan::new(100)
    };
    let mut world = World::new(&plan, |from, to| Link {
        jitter_ns: 800_000,
        loss_ppm: 2_000,
        ..Link::of_ms(5 + u64::from((from * 31 + to * 17) % 140))
    });
    let full = world.run_until(15 * SECOND, all_full);
    println!("full after {full:?} ns");
    assert!(full.is_some());
    world.run_for(140 * SECOND);
    world.pulse_octets.clear();
    let seconds = 100;
    world.run_for(seconds * SECOND);
    let rates: Vec<u64> = world.pulse_octets.values().map(|octets| octets * 8 / seconds).collect();
    let (most, mean) = (rates.iter().max().unwrap(), rates.iter().sum::<u64>() / 100);
    println!("pulses: {mean} bit/s per router on average, {most} at most");
    assert!(*most <= 32_000, "{most} bit/s");
}
