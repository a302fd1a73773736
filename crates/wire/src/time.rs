//! The four kinds of time, and the only place that converts between them.
//!
//! `Instant` is a node's own monotonic clock, `Timestamp` is what a node writes on the wire, `Owd` is a difference of
//! two nodes' timestamps (so it contains the offset between their clocks), and `core::time::Duration` is a length.

use borsh::{BorshDeserialize, BorshSerialize};
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point of a node's monotonic clock.
///
/// - **Units:** nanoseconds since an origin that the shell chooses at start; never compared between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin of the node's monotonic clock.
    pub const ZERO: Self = Self(0);

    /// The instant that lies `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(rhs)))
    }
}

/// A point of a node's wall clock as that node writes it on the wire.
///
/// - **Units:** nanoseconds since the UNIX epoch by the *sender's* clock (monotonic clock plus the boot epoch), so a step
///   of the host's real-time clock never shows in it.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The timestamp `nanos` nanoseconds after the UNIX epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the UNIX epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The signed difference `self - sent`: the raw one-way delay if `self` is the receive time of another clock.
    #[must_use]
    pub fn owd_since(self, sent: Self) -> Owd {
        Owd(saturating_diff(self.0, sent.0))
    }
}

/// A one-way delay as measured between two clocks.
///
/// - **Units:** signed nanoseconds. May be negative until the clock offset is removed.
/// - **Source:** RFC 7679 (a one-way delay metric for IPPM), without its requirement of synchronised clocks.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Owd(i64);

impl Owd {
    /// No delay.
    pub const ZERO: Self = Self(0);

    /// The delay of `nanos` nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Signed nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Signed microseconds, rounded towards zero.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0 / 1_000
    }

    /// The delay as a length; `None` if it is negative.
    #[must_use]
    pub fn to_duration(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }

    /// The length as a delay, saturated at `i64::MAX` nanoseconds.
    #[must_use]
    pub fn from_duration(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add for Owd {
    type Output = Self;

    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Sub for Owd {
    type Output = Self;

    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}

/// The fixed relation between a node's monotonic clock and the timestamps that it writes.
///
/// Set once at start from the host's real-time clock, so that later steps of that clock move nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    epoch: Timestamp,
}

impl WallClock {
    /// A clock whose `Instant::ZERO` is the timestamp `epoch`.
    #[must_use]
    pub const fn new(epoch: Timestamp) -> Self {
        Self { epoch }
    }

    /// The timestamp that this node writes at `now`.
    #[must_use]
    pub fn at(self, now: Instant) -> Timestamp {
        Timestamp(self.epoch.0.saturating_add(now.0))
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn saturating_diff(a: u64, b: u64) -> i64 {
    if a >= b {
        i64::try_from(a - b).unwrap_or(i64::MAX)
    } else {
        i64::try_from(b - a).map_or(i64::MIN, |d| -d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_ahead_makes_the_raw_delay_negative() {
        let sent = Timestamp::from_nanos(10_000);
        let received = Timestamp::from_nanos(9_000);
        assert_eq!(received.owd_since(sent), Owd::from_nanos(-1_000));
    }

    #[test]
    fn differences_saturate_at_the_ends_of_the_range() {
        let lowest = Timestamp::from_nanos(0);
        let highest = Timestamp::from_nanos(u64::MAX);
        assert_eq!(highest.owd_since(lowest), Owd::from_nanos(i64::MAX));
        assert_eq!(lowest.owd_since(highest), Owd::from_nanos(i64::MIN));
    }

    #[test]
    fn a_wall_clock_advances_with_the_monotonic_one() {
        let clock = WallClock::new(Timestamp::from_nanos(1_000));
        let later = Instant::ZERO + Duration::from_nanos(5);
        assert_eq!(clock.at(later), Timestamp::from_nanos(1_005));
    }
}
