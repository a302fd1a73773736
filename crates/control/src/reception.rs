//! What arrives from one member: the samples behind one cell of the own row.

use core::time::Duration;
use std::collections::VecDeque;

use srwan_wire::pulse::{AGE_STEPS_PER_INTERVAL, Loss, Measured, Pulse};
use srwan_wire::time::{Instant, Owd};

use crate::config::AGE_INTERVALS_MAX;
use crate::estimate::Estimate;
use crate::segment_watch::{SegmentChanges, SegmentWatch};

/// Samples kept: enough for jitter; the delay is the median of the last [`MEDIAN_OF`].
const SAMPLES_MAX: usize = 8;

/// Of so many samples the median is the cell's delay: one outlier does not move it, a real change
/// does in two pulses.
const MEDIAN_OF: usize = 3;

/// Pulses over which loss is counted: as many as a word has bits, about ten minutes at the default
/// interval.
const HISTORY: u32 = 64;

/// A gap of more pulses than this is a restart of the sender or of the link, not loss.
const GAP_MAX: u32 = 32;

/// What a sender says of its interval is believed within these bounds: a cell must neither flicker
/// nor live for ever.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_secs(600);

/// Pulses received directly from one member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    samples: VecDeque<(Instant, Owd)>,
    last_seq: u32,
    arrived: u64,
    counted: u32,
    clock_epoch: u32,
    interval: Duration,
    watch: SegmentWatch,
    changes: SegmentChanges,
}

impl Reception {
    /// Takes one pulse that came directly; says how much that changed the cell.
    pub(crate) fn handle(&mut self, pulse: &Pulse, raw: Owd, at: Instant) -> Change {
        let was = self.delay(at);
        let gap = match self.order_of(pulse) {
            Order::Repeated => return Change::Small,
            Order::Restarted => {
                *self = Self { clock_epoch: pulse.clock_epoch, ..Self::default() };
                1
            }
            Order::Next(gap) => gap,
        };
        let interval = Duration::from_millis(u64::from(pulse.interval_ms));
        self.interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        self.arrived = self.arrived.checked_shl(gap).unwrap_or(0) | 1;
        self.counted = (self.counted + gap).min(HISTORY);
        self.last_seq = pulse.seq;
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((at, raw));
        self.observe(gap, raw);
        change_between(was, self.delay(at))
    }

    /// What the last pulse showed of the segment, once.
    pub(crate) fn take_changes(&mut self) -> SegmentChanges {
        core::mem::take(&mut self.changes)
    }

    /// What is to be expected of the segment.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        self.watch.estimate()
    }

    fn observe(&mut self, gap: u32, raw: Owd) {
        self.changes = SegmentChanges::default();
        let lost = (1..gap).filter_map(|_| self.watch.lost()).last();
        let arrived = self.watch.arrived(raw);
        self.changes = [arrived[0], arrived[1].or(lost), arrived[2]];
    }

    /// The cell, or `None` if nothing arrived lately.
    pub(crate) fn measured(&self, now: Instant) -> Option<Measured> {
        let raw = self.delay(now)?;
        let age = self.age(now)?;
        let quarter = (self.interval / AGE_STEPS_PER_INTERVAL).max(Duration::from_millis(1));
        let steps = age.as_millis() / quarter.as_millis().max(1);
        Some(Measured {
            raw,
            jitter: self.jitter(),
            loss: self.loss(),
            age_steps: u8::try_from(steps).unwrap_or(u8::MAX),
        })
    }

    /// Time since the last pulse, if that is not too long ago for the cell to be known.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        let (last, _) = self.samples.back()?;
        let age = now.since(*last);
        (age <= self.interval * AGE_INTERVALS_MAX).then_some(age)
    }

    /// Time since the last pulse in units of the sender's interval; `None` if there never was one.
    pub(crate) fn silent_intervals(&self, now: Instant) -> Option<u32> {
        let (last, _) = self.samples.back()?;
        let intervals = now.since(*last).as_millis() / self.interval.as_millis().max(1);
        Some(u32::try_from(intervals).unwrap_or(u32::MAX))
    }

    fn delay(&self, now: Instant) -> Option<Owd> {
        self.age(now)?;
        let mut last: Vec<Owd> = self.samples.iter().rev().take(MEDIAN_OF).map(|s| s.1).collect();
        last.sort_unstable();
        last.get((last.len().saturating_sub(1)) / 2).copied()
    }

    /// Mean difference of consecutive samples (RFC 3550 section 6.4.1 without its smoothing).
    fn jitter(&self) -> Duration {
        let steps = self.samples.iter().zip(self.samples.iter().skip(1));
        let (sum, count) = steps.fold((0_u64, 0_u64), |(sum, count), (a, b)| {
            (sum.saturating_add((b.1 - a.1).as_nanos().unsigned_abs()), count + 1)
        });
        Duration::from_nanos(sum.checked_div(count).unwrap_or(0))
    }

    fn loss(&self) -> Loss {
        let window = if self.counted >= HISTORY { u64::MAX } else { (1 << self.counted) - 1 };
        let arrived = u64::from((self.arrived & window).count_ones());
        let counted = u64::from(self.counted);
        Loss::of(counted.saturating_sub(arrived), counted)
    }

    fn order_of(&self, pulse: &Pulse) -> Order {
        if self.counted == 0 || pulse.clock_epoch != self.clock_epoch {
            return Order::Restarted;
        }
        match pulse.seq.checked_sub(self.last_seq) {
            Some(0) => Order::Repeated,
            Some(gap) if gap <= GAP_MAX => Order::Next(gap),
            Some(_) => Order::Restarted,
            None if self.last_seq - pulse.seq < GAP_MAX => Order::Repeated,
            None => Order::Restarted,
        }
    }
}

/// How a pulse follows the one before.
enum Order {
    /// So many further; one if none is missing.
    Next(u32),
    /// Already counted, or counted as lost.
    Repeated,
    /// Of another clock or counter: nothing before it compares.
    Restarted,
}

/// How much a pulse changed a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// The next regular pulse is soon enough.
    Small,
    /// By more than [`MATERIAL_NS`]: the others should hear of it before.
    Material,
    /// It was unknown: the others should hear of it for certain.
    Known,
}

/// A delay that moved by more than this may change a path: twice the least gain of a switch.
const MATERIAL_NS: u64 = 10_000_000;

fn change_between(was: Option<Owd>, is: Option<Owd>) -> Change {
    match (was, is) {
        (Some(was), Some(is)) if (is - was).as_nanos().unsigned_abs() > MATERIAL_NS => {
            Change::Material
        }
        (None, Some(_)) => Change::Known,
        (Some(_), Some(_) | None) | (None, None) => Change::Small,
    }
}
