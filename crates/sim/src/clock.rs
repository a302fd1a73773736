//! One router's monotonic clock against the world's: it drifts, and it is where it was when the router's host started.

use srwan_wire::time::Instant;

/// Most that a crystal is off. **Units:** parts per billion; 100 ppm.
pub const DRIFT_PPB_MAX: i64 = 100_000;

const BILLION: i128 = 1_000_000_000;

/// A clock that runs `drift` parts per billion faster than the world's; both start at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalClock {
    drift_ppb: i64,
}

impl LocalClock {
    /// A clock with this drift, within [`DRIFT_PPB_MAX`] either way.
    #[must_use]
    pub fn new(drift_ppb: i64) -> Self {
        Self { drift_ppb: drift_ppb.clamp(-DRIFT_PPB_MAX, DRIFT_PPB_MAX) }
    }

    /// What it shows at `world`.
    #[must_use]
    pub fn at(self, world: Instant) -> Instant {
        if self.drift_ppb == 0 {
            return world;
        }
        let nanos = i128::from(world.as_nanos());
        from_wide(nanos + nanos * i128::from(self.drift_ppb) / BILLION)
    }

    /// The first moment of the world at which it shows `local` or more.
    #[must_use]
    pub fn when(self, local: Instant) -> Instant {
        if self.drift_ppb == 0 {
            return local;
        }
        let nanos = i128::from(local.as_nanos());
        let rate = BILLION + i128::from(self.drift_ppb);
        let mut world = from_wide((nanos * BILLION).div_euclid(rate));
        while self.at(world) < local {
            world = Instant::from_nanos(world.as_nanos().saturating_add(1));
        }
        world
    }
}

fn from_wide(nanos: i128) -> Instant {
    Instant::from_nanos(u64::try_from(nanos).unwrap_or(if nanos < 0 { 0 } else { u64::MAX }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_goes_off_when_the_clock_shows_its_time_and_not_before() {
        for drift in [-100_000, -7, 0, 3, 50_000, 100_000] {
            let clock = LocalClock::new(drift);
            for nanos in [0, 1, 999_999_999, 1_000_000_000, 86_400_000_000_000] {
                let due = Instant::from_nanos(nanos);
                let world = clock.when(due);
                assert!(clock.at(world) >= due, "{drift} {nanos}");
                let before = Instant::from_nanos(world.as_nanos().saturating_sub(2));
                assert!(nanos == 0 || clock.at(before) < due, "{drift} {nanos}");
            }
        }
    }

    #[test]
    fn a_hundred_ppm_are_a_tenth_of_a_millisecond_a_second() {
        let second = Instant::from_nanos(1_000_000_000);
        assert_eq!(LocalClock::new(100_000).at(second).as_nanos(), 1_000_100_000);
        assert_eq!(LocalClock::new(-1_000_000_000).at(second).as_nanos(), 999_900_000);
    }
}
