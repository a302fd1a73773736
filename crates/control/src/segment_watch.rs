//! One segment (from one router to another) as a series of pulses: what to expect of it, and when
//! its delay, loss or jitter changed (W31, docs/routing.md "Detection").
//!
//! Delays are watched as [`crate::level`] says; jitter is the same watch over the mean of the last
//! four differences. Loss is a Bernoulli sequence with a CUSUM of its own, slower than the one of
//! probed paths: a pulse comes every ten seconds, a probe ten times a second.

use core::time::Duration;

use srwan_wire::time::Owd;

use crate::estimate::{Estimate, Recent};
use crate::level::{Floor, LevelWatch, Moved};

/// A delay that moved by less than 2 ms is not worth an alarm. No share of the delay: it contains
/// the offset of two clocks.
const DELAY_FLOOR: Floor = Floor { least: 2_000_000, permille: 0 };

/// Jitter below this harms nobody: half of what makes a path jittery.
const JITTER_FLOOR: Floor = Floor { least: 5_000_000, permille: 500 };

/// Differences whose mean is one sample of the jitter.
const JITTER_OF: i64 = 4;

/// Log-likelihood steps of the CUSUM of losses, in thousandths: 20 % against 1 %, ln(0.2 / 0.01)
/// for a loss and ln(0.8 / 0.99) otherwise.
const CUSUM_LOST: i64 = 2_996;
const CUSUM_ARRIVED: i64 = -213;

/// Alarm at e^8 = 3,000 pulses between false ones at 1 % loss: eight hours at 10 s.
const CUSUM_ALARM: i64 = 8_000;

/// Arrivals in a row after which a lossy segment is well: at 20 % loss one streak in 800 is so long.
const CLEAN_STREAK: u32 = 30;

/// Loss that is told with an alarm: twenty percent, what the alarm tests for.
const LOSS_TOLD_PPM: i64 = 200_000;

/// What of a segment changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Its delay. **Units:** signed nanoseconds, with the offset of the two clocks.
    Delay,
    /// Share of pulses lost. **Units:** parts per million.
    Loss,
    /// Mean difference of consecutive delays. **Units:** nanoseconds.
    Jitter,
}

/// A segment is no longer what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentChange {
    /// What changed.
    pub quantity: Quantity,
    /// Before, in the quantity's unit.
    pub before: i64,
    /// Since, in the quantity's unit.
    pub after: i64,
    /// How many pulses ago it began; the last one is 0.
    pub pulses_ago: u32,
}

/// What one pulse brought to light: at most one change of each quantity.
pub type SegmentChanges = [Option<SegmentChange>; 3];

/// Watches one segment.
#[derive(Clone, Debug)]
pub struct SegmentWatch {
    pulse: u32,
    delay: LevelWatch,
    jitter: LevelWatch,
    recent: Recent,
    last: Option<Owd>,
    jitter_sum: i64,
    cusum: i64,
    streak: u32,
    is_lossy: bool,
}

impl Default for SegmentWatch {
    fn default() -> Self {
        Self {
            pulse: 0,
            delay: LevelWatch::new(DELAY_FLOOR),
            jitter: LevelWatch::new(JITTER_FLOOR),
            recent: Recent::default(),
            last: None,
            jitter_sum: 0,
            cusum: 0,
            streak: 0,
            is_lossy: false,
        }
    }
}

impl SegmentWatch {
    /// A pulse arrived and took so long.
    pub fn arrived(&mut self, delay: Owd) -> SegmentChanges {
        self.pulse = self.pulse.saturating_add(1);
        let moved = self.delay.take(self.pulse, delay.as_nanos());
        if moved.is_some() {
            self.recent = Recent::default();
        }
        self.recent.add(delay);
        let jitter = self.step(delay).and_then(|mean| self.jitter.take(self.pulse, mean));
        [change(Quantity::Delay, moved), self.count(false), change(Quantity::Jitter, jitter)]
    }

    /// A pulse that should have arrived did not.
    pub fn lost(&mut self) -> Option<SegmentChange> {
        self.pulse = self.pulse.saturating_add(1);
        self.count(true)
    }

    /// What the next pulse is expected to take; `None` before the first.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        self.recent.estimate()
    }

    /// Mean of the last differences, four at a time.
    fn step(&mut self, delay: Owd) -> Option<i64> {
        let last = self.last.replace(delay)?;
        let step = (delay - last).as_nanos().saturating_abs();
        self.jitter_sum = self.jitter_sum.saturating_add(step);
        if i64::from(self.pulse) % JITTER_OF != 0 {
            return None;
        }
        Some(core::mem::take(&mut self.jitter_sum) / JITTER_OF)
    }

    fn count(&mut self, is_lost: bool) -> Option<SegmentChange> {
        let step = if is_lost { CUSUM_LOST } else { CUSUM_ARRIVED };
        self.cusum = (self.cusum + step).clamp(0, CUSUM_ALARM);
        self.streak = if is_lost { 0 } else { self.streak.saturating_add(1) };
        if !self.is_lossy && self.cusum == CUSUM_ALARM {
            self.is_lossy = true;
            return Some(self.loss(0, LOSS_TOLD_PPM));
        }
        if self.is_lossy && self.streak >= CLEAN_STREAK {
            (self.is_lossy, self.cusum) = (false, 0);
            return Some(self.loss(LOSS_TOLD_PPM, 0));
        }
        None
    }

    fn loss(&self, before: i64, after: i64) -> SegmentChange {
        SegmentChange { quantity: Quantity::Loss, before, after, pulses_ago: self.streak }
    }
}

fn change(quantity: Quantity, moved: Option<Moved>) -> Option<SegmentChange> {
    let Moved { before, after, steps_ago } = moved?;
    Some(SegmentChange { quantity, before, after, pulses_ago: steps_ago })
}

impl SegmentChange {
    /// How far a delay or a jitter moved.
    #[must_use]
    pub fn size(&self) -> Duration {
        Duration::from_nanos(self.after.abs_diff(self.before))
    }
}
