//! The newest signed row of each router, and the figures that two rows give one segment.
//!
//! A row holds delays by two clocks. What the clocks' offset hides is uncovered with the reverse
//! cell: the sum of both directions is free of it. If both clocks follow UTC and the raw value
//! lies between zero and that sum, it is the delay; otherwise half the sum is, and is said to be
//! as uncertain as it is large.

use core::time::Duration;
use std::collections::BTreeMap;

use srwan_wire::id::NodeId;
use srwan_wire::pulse::{Row, RowCell, SignedRow};
use srwan_wire::time::{Owd, Timestamp};

use crate::segment::Figures;

/// Pulse intervals after which a figure is too old to be used (promise I32).
pub const STALE_AFTER_INTERVALS: u32 = 3;

/// A row with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRow {
    /// The row as its measurer signed it.
    pub row: SignedRow,
    /// When it arrived, by the controller's clock.
    pub received: Timestamp,
    /// Who reported it.
    pub reporter: NodeId,
    /// The round it arrived in: controller's time divided by the pulse interval.
    pub round: u64,
}

/// All rows, by measurer.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    rows: BTreeMap<NodeId, HeldRow>,
}

impl Matrix {
    /// Keeps the row if it is newer than the one held; says whether it was.
    pub(crate) fn offer(&mut self, offered: HeldRow) -> bool {
        let newer = self.is_news(&offered.row.row, offered.received);
        if newer {
            self.rows.insert(offered.row.row.measurer, offered);
        }
        newer
    }

    /// Says whether a row that arrives `now` would be kept.
    pub(crate) fn is_news(&self, row: &Row, now: Timestamp) -> bool {
        self.rows.get(&row.measurer).is_none_or(|held| is_newer(row, held, now))
    }

    pub(crate) fn remove(&mut self, measurer: NodeId) {
        self.rows.remove(&measurer);
    }

    pub(crate) fn row(&self, measurer: NodeId) -> Option<&HeldRow> {
        self.rows.get(&measurer)
    }

    /// The figures of the segment from `a` to `z`; `None` if `z` lately heard nothing from `a`.
    pub(crate) fn figures(&self, a: NodeId, z: NodeId, now: Timestamp) -> Option<Figures> {
        let held = self.rows.get(&z)?;
        let cell = held.row.row.cell(a)?;
        let (owd, owd_error) = self.delay(a, z, cell);
        let age = age(held, now) + cell.age(held.row.row.interval());
        Some(Figures { owd, owd_error, jitter: cell.jitter(), loss: cell.loss(), age })
    }

    /// The raw delay from `a` to `z` by their two clocks, for sums in which the offsets cancel.
    pub(crate) fn raw(&self, a: NodeId, z: NodeId) -> Option<Owd> {
        Some(self.rows.get(&z)?.row.row.cell(a)?.raw())
    }

    fn delay(&self, a: NodeId, z: NodeId, cell: &RowCell) -> (Option<Owd>, Duration) {
        let clock_error = self.clock_error(a, z);
        let reverse = self.raw(z, a);
        match (clock_error, reverse) {
            (Some(error), Some(back)) if is_plausible(cell.raw(), back, error) => {
                (Some(cell.raw().max(Owd::ZERO)), error)
            }
            (_, Some(back)) => half_of_round_trip(cell.raw() + back),
            (Some(error), None) if cell.raw() >= Owd::ZERO => (Some(cell.raw()), error),
            (_, None) => (None, Duration::ZERO),
        }
    }

    /// How far apart the two clocks may be; `None` unless both say that they follow UTC.
    fn clock_error(&self, a: NodeId, z: NodeId) -> Option<Duration> {
        let error = |node: NodeId| {
            let clock = self.rows.get(&node)?.row.row.clock;
            clock.synchronised().then(|| clock.error())
        };
        error(a)?.checked_add(error(z)?)
    }
}

fn is_plausible(forward: Owd, back: Owd, error: Duration) -> bool {
    let least = Owd::ZERO - Owd::from_duration(error);
    forward >= least && back >= least
}

fn half_of_round_trip(round_trip: Owd) -> (Option<Owd>, Duration) {
    match round_trip.to_duration() {
        Some(whole) => (Some(Owd::from_duration(whole / 2)), whole / 2),
        None => (None, Duration::ZERO),
    }
}

fn age(held: &HeldRow, now: Timestamp) -> Duration {
    now.owd_since(held.received).to_duration().unwrap_or(Duration::ZERO)
}

/// Rows of one clock epoch are ordered by number. A different epoch is a later one if its time is
/// later, or if the held row is so old that its measurer must have started anew.
fn is_newer(new: &Row, held: &HeldRow, now: Timestamp) -> bool {
    let old = &held.row.row;
    if new.clock_epoch == old.clock_epoch {
        return new.seq > old.seq;
    }
    new.measured > old.measured || age(held, now) > old.interval() * STALE_AFTER_INTERVALS
}
