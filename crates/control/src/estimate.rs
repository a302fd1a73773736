//! What to expect of a delay, and how sure that is: the mean of what was seen since it last
//! changed, not the median.
//!
//! A path over the Internet often has two delays between which it goes back and forth. The median
//! names one of them; the mean is what traffic will get, and the mean of a sum is the sum of the
//! means. A value of many seconds is a loss by another name, and counts as a second above the median.

use core::time::Duration;

use srwan_wire::pulse::Loss;
use srwan_wire::time::Owd;

use crate::matrix::Cell;

/// Values that the expectation is taken from.
const RECENT_OF: usize = 32;

/// A value counts at most so much above the median: what a lost packet costs the packets behind it.
/// **Units:** nanoseconds.
const ABOVE_MEDIAN_NS_MAX: i64 = 1_000_000_000;

/// Part of the spread that is added to what is expected: of two equal candidates the steadier one
/// is right more often, and the least of a hundred estimates is most likely an underestimate.
/// Fitted on PlanetLab group 0 (docs/routing.md, "Path choice"): 0.3.
const DOUBT_TENTHS: u32 = 3;

/// What a delay is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The mean, with wild values capped.
    pub expected: Owd,
    /// Mean distance from the median, capped likewise.
    pub spread: Duration,
    /// How many values it rests on.
    pub values: u32,
}

impl Estimate {
    /// As a cell of the matrix for ranking: the doubt stands where the jitter does.
    #[must_use]
    pub fn cell(&self, loss: Loss) -> Cell {
        let jitter = self.spread * DOUBT_TENTHS / 10;
        Cell { raw: self.expected, jitter, loss, age: Duration::ZERO }
    }
}

/// The last values of one delay.
#[derive(Clone, Copy, Debug)]
pub struct Recent {
    values: [i64; RECENT_OF],
    len: usize,
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { values: [0; RECENT_OF], len: 0, next: 0 }
    }
}

impl Recent {
    /// Takes a value; the oldest of more than 32 is forgotten.
    pub fn add(&mut self, value: Owd) {
        self.values[self.next] = value.as_nanos();
        self.next = (self.next + 1) % RECENT_OF;
        self.len = (self.len + 1).min(RECENT_OF);
    }

    /// What the next value is expected to be; `None` before the first.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        let mut sorted = self.values;
        let sorted = &mut sorted[..self.len];
        sorted.sort_unstable();
        let median = *sorted.get(self.len.checked_sub(1)? / 2)?;
        let count = i64::try_from(self.len).expect("at most 32");
        let above = |value: &i64| value.saturating_sub(median).min(ABOVE_MEDIAN_NS_MAX);
        let sum = sorted.iter().map(above).fold(0_i64, i64::saturating_add);
        let distance = |value: &i64| above(value).unsigned_abs();
        let spread = sorted.iter().map(distance).fold(0_u64, u64::saturating_add);
        let values = u32::try_from(self.len).expect("at most 32");
        Some(Estimate {
            expected: Owd::from_nanos(median.saturating_add(sum / count)),
            spread: Duration::from_nanos(spread / u64::from(values)),
            values,
        })
    }
}
