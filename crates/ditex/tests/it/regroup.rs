//! Regrouping and ways between groups, on delays made by hand.

use srwan_ditex::{
    Direction, Placed, RegroupLimits, Standing, TRANSITS_MAX, Transit, regroup, transits,
};
use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::roster::Location;

use crate::network::node;

const MS: i64 = 1_000_000;

fn place(lon: i32) -> Direction {
    Direction::of(&Location { lon_e6: lon * 1_000_000, ..Location::default() })
}

fn standing(raw: u32, group: u32, lon: i32) -> Standing {
    Standing { node: node(raw), group: GroupId(group), place: place(lon), asn: raw }
}

/// Routers 1 to 3 gain by one another (2 is a short cut), 4 to 6 likewise with 5; 3 and 6 stand in
/// the wrong group.
fn misplaced() -> Vec<Standing> {
    vec![
        standing(1, 1, 0),
        standing(2, 1, 10),
        standing(6, 1, 120),
        standing(4, 2, 100),
        standing(5, 2, 110),
        standing(3, 2, 20),
    ]
}

fn delay(a: NodeId, z: NodeId) -> Option<i64> {
    let pair = (a.get().min(z.get()), a.get().max(z.get()));
    Some(match pair {
        (1, 2) | (2, 3) | (4, 5) | (5, 6) => 10 * MS,
        (1, 3) | (4, 6) => 100 * MS,
        _ => 50 * MS,
    })
}

#[test]
fn routers_that_gain_by_one_another_are_brought_together() {
    let routers = misplaced();
    let swaps = regroup(&routers, &delay, RegroupLimits::default(), 1);
    assert_eq!(swaps.len(), 1);
    let mut moved = [swaps[0].left, swaps[0].right];
    moved.sort_unstable();
    assert_eq!(moved, [(node(3), GroupId(2)), (node(6), GroupId(1))]);
}

#[test]
fn a_grouping_that_is_good_is_left_alone() {
    let mut routers = misplaced();
    (routers[2].group, routers[5].group) = (GroupId(2), GroupId(1));
    assert_eq!(regroup(&routers, &delay, RegroupLimits::default(), 1), []);
}

#[test]
fn churn_and_work_are_bounded() {
    let routers = misplaced();
    let none = RegroupLimits { swaps_max: 0, ..RegroupLimits::default() };
    assert_eq!(regroup(&routers, &delay, none, 1), []);
    let idle = RegroupLimits { tries_max: 0, ..RegroupLimits::default() };
    assert_eq!(regroup(&routers, &delay, idle, 1), []);
    assert_eq!(regroup(&[], &delay, RegroupLimits::default(), 1), []);
}

#[test]
fn the_margin_keeps_small_gains_from_moving_anybody() {
    let limits = RegroupLimits { margin_percent: 1_000_000, ..RegroupLimits::default() };
    let swaps = regroup(&misplaced(), &delay, limits, 1);
    // Both groups gain nothing at first, so any gain is above any share of it.
    assert!(swaps.len() <= limits.swaps_max);
    let mut good = misplaced();
    (good[2].group, good[5].group) = (GroupId(2), GroupId(1));
    assert_eq!(regroup(&good, &delay, limits, 1), []);
}

#[test]
fn a_way_between_groups_is_ranked_by_who_stands_near_the_other_end() {
    let placed = |raw, lon| Placed { node: node(raw), place: place(lon) };
    let near = [placed(1, 0), placed(2, 10), placed(3, 80)];
    let far = [placed(4, 81), placed(5, 40), placed(6, 1)];
    let measured = |a: NodeId, z: NodeId| match (a.get(), z.get()) {
        (1, 2) | (2, 3) => Some(20 * MS),
        (1, 3) => Some(70 * MS),
        (6, 5) | (5, 4) => Some(15 * MS),
        (6, 4) => Some(60 * MS),
        _ => None,
    };
    let found = transits(near[0], far[0], &near, &far, &measured);
    assert_eq!(found[0], Transit { expected_ns: 30 * MS, relay: node(5) });
    assert_eq!(found[1], Transit { expected_ns: 40 * MS, relay: node(2) });
    assert!(found.len() <= TRANSITS_MAX);
    assert_eq!(transits(near[0], far[0], &[], &[], &measured), []);
}
