//! Routers that die and come back, with a clock that somebody set meanwhile.

use srwan_dataplane::DropReason;
use srwan_sim::net::Link;
use srwan_sim::world::{World, WorldConfig};
use srwan_wire::time::Timestamp;
use std::time::Duration;

/// An hour back. **Units:** nanoseconds.
const HOUR_BACK: i64 = -3_600_000_000_000;

/// Restarts the first of two routers, an hour back, with this timestamp kept; returns whether the other one has a
/// session with it a second later, and whether it refused a handshake as a replay.
fn restart(keep: impl Fn(Timestamp) -> Timestamp) -> (bool, bool) {
    let mut world = World::new(&WorldConfig::new(2), 1);
    world.link(0, 1, Link::with_owd_ms(20));
    world.run(Duration::from_secs(10));
    let kept = keep(world.router(0).handshake_stamp());
    world.restart(0, HOUR_BACK, kept);
    world.run(Duration::from_secs(1));
    let is_up = world.view(0).peers.iter().any(|peer| peer.is_up);
    let is_stale = |(reason, _): &(DropReason, u64)| *reason == DropReason::HandshakeStale;
    (is_up, world.view(1).drops.iter().any(is_stale))
}

#[test]
fn a_clock_set_back_an_hour_across_a_restart_locks_nobody_out() {
    assert_eq!(restart(|stamp| stamp), (true, false));
    let some_seconds_later =
        |stamp: Timestamp| Timestamp::from_nanos(stamp.as_nanos() + 60_000_000_000);
    assert_eq!(restart(some_seconds_later), (true, false));
}

#[test]
fn a_router_that_forgot_its_handshakes_is_taken_for_a_replay() {
    assert_eq!(restart(|_| Timestamp::default()), (false, true));
}
