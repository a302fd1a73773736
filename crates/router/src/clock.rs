//! The two clocks of the host, read here and nowhere else in the packet path.
//!
//! `CLOCK_MONOTONIC_RAW` drives all timers and timestamps: no step or slew of the host's time shows in it. The
//! real-time clock is read once, at start, to give timestamps their epoch, and when a kernel receive time is converted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use srwan_wire::time::{Instant, Timestamp, WallClock};

/// This process's clock: its `Instant::ZERO` is the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Duration,
    wall: WallClock,
}

impl Clock {
    /// Starts at zero; `skew_ms` (test input) moves every timestamp written by this router.
    pub fn start(skew_ms: i64) -> Self {
        let skew = skew_ms.saturating_mul(1_000_000);
        let epoch = nanos(real_time()).saturating_add_signed(skew);
        Self { origin: monotonic(), wall: WallClock::new(Timestamp::from_nanos(epoch)) }
    }

    /// Time since the start.
    pub fn now(self) -> Instant {
        Instant::from_nanos(nanos(monotonic().saturating_sub(self.origin)))
    }

    /// The relation between this clock and the timestamps that this router writes.
    pub fn wall(self) -> WallClock {
        self.wall
    }

    /// When a datagram that the kernel stamped with real time `at` arrived, on our own clock.
    ///
    /// `now` is this clock's reading and `real` the real-time clock's at the same moment: a step between the stamp and
    /// now would move the result, so an age outside of 0 to 1 s counts as zero.
    pub fn received(now: Instant, real: Duration, at: Option<Duration>) -> Instant {
        let age = at.and_then(|at| real.checked_sub(at)).filter(|age| *age < RECEIVE_AGE_MAX);
        Instant::from_nanos(now.as_nanos().saturating_sub(nanos(age.unwrap_or_default())))
    }
}

/// A datagram never waits longer in a socket that is being read: the buffer holds 60 ms of traffic.
const RECEIVE_AGE_MAX: Duration = Duration::from_secs(1);

/// The host's real-time clock, since the UNIX epoch.
pub fn real_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC_RAW).expect("Linux has this clock since 2.6.28").into()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_nanos(5_000_000_000);
    const REAL: Duration = Duration::from_secs(1_000);

    fn check(at: Option<Duration>, expected_nanos: u64) {
        assert_eq!(Clock::received(NOW, REAL, at).as_nanos(), expected_nanos);
    }

    #[test]
    fn a_receive_time_is_put_on_our_clock() {
        check(Some(REAL - Duration::from_millis(2)), 4_998_000_000);
        check(None, 5_000_000_000);
    }

    #[test]
    fn a_stepped_real_time_clock_moves_nothing() {
        check(Some(REAL + Duration::from_secs(3600)), 5_000_000_000);
        check(Some(REAL - Duration::from_secs(900)), 5_000_000_000);
    }

    #[test]
    fn the_skew_of_a_test_moves_timestamps_only() {
        let (straight, skewed) = (Clock::start(0), Clock::start(-10_000));
        let difference =
            straight.wall().at(Instant::ZERO).owd_since(skewed.wall().at(Instant::ZERO));
        assert!((9_000..11_000).contains(&(difference.as_micros() / 1_000)));
        assert!(skewed.now().as_nanos() < 1_000_000_000);
    }
}
