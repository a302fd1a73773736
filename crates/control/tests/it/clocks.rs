//! Clocks that are wrong change no path.

use srwan_wire::id::NodeId;

use crate::world::{Link, MS, Plan, SECOND, World, node};

/// Runs the same story with given skews: the direct path gets worse, then heals.
fn story(skews: &[(u32, i64)]) -> Vec<(u64, Option<Vec<NodeId>>)> {
    let plan = Plan { skews: skews.iter().copied().collect(), ..Plan::new(5) };
    let mut world =
        World::new(&plan, |from, to| Link::of_ms(20 + u64::from((from * 5 + to * 3) % 11)));
    world.interest(1, 5);
    world.run_for(15 * SECOND);
    world.change(1, 5, |link| link.delay_ns += 150 * MS);
    world.run_for(20 * SECOND);
    world.change(1, 5, |link| link.delay_ns -= 150 * MS);
    world.run_for(30 * SECOND);
    world.switches(1).into_iter().map(|(at, change)| (at, change.active)).collect()
}

#[test]
fn skewed_clocks_choose_the_same_paths_at_the_same_times() {
    let synchronous = story(&[]);
    assert_eq!(synchronous.len(), 2, "away and back: {synchronous:?}");
    let skewed = story(&[
        (1, 10_000_000_000),
        (2, -10_000_000_000),
        (3, 4_000_000_000),
        (5, -7_000_000_000),
    ]);
    assert_eq!(synchronous, skewed);
}

#[test]
fn a_clock_that_starts_anew_moves_no_traffic() {
    let mut world = World::new(&Plan::new(4), |_, _| Link::of_ms(25));
    world.interest(1, 4);
    world.run_for(15 * SECOND);
    let now = world.instant();
    for (raw, epoch) in [(1, 1_000), (2, 4_000_000_000_000_000_000), (4, 9)] {
        let clock =
            srwan_wire::time::WallClock::new(srwan_wire::time::Timestamp::from_nanos(epoch));
        world.control_mut(raw).reset_clock(clock, now);
    }
    world.run_for(60 * SECOND);
    assert_eq!(world.switches(1), []);
    assert!(world.control(1).matrix(world.instant()).is_full());
    assert_eq!(world.control(1).standby(node(4)).map(<[NodeId]>::len), Some(1));
}
