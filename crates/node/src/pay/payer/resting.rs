//! Ready lanes whose path is no longer wanted.
//!
//! They rest for a while instead of ending: a lane that ends keeps its cap from the escrow until its claim window is
//! over, days later, and a path that was left is often the next to be taken.

use super::{PaidLane, Payer, Phase};
use crate::pay::PathKey;
use srwan_wire::id::LaneLabel;
use srwan_wire::time::Instant;
use std::time::Duration;

/// Lanes that rest at once; beyond it the one that rests longest ends. At the usual cap of a twentieth they hold two
/// fifths of the escrow.
const RESTING_MAX: usize = 8;

/// A lane that nobody wanted for this long ends: much longer than outages that come back, much shorter than a claim
/// window.
const REST_MAX: Duration = Duration::from_secs(600);

impl Payer {
    /// The path is no longer wanted: its ready lane rests, others end.
    pub fn unwant(&mut self, path: &PathKey, now: Instant) {
        for lane in self.lanes.values_mut().filter(|lane| lane.path == *path) {
            match lane.phase {
                Phase::Ready => lane.rests_since = lane.rests_since.or(Some(now)),
                _ => lane.end(now, &mut self.out),
            }
        }
        self.drop_never_opened(path);
        self.end_longest_resting(now);
    }

    fn end_longest_resting(&mut self, now: Instant) {
        let mut resting: Vec<_> =
            self.lanes.iter().filter_map(|(label, lane)| Some((lane.rests()?, *label))).collect();
        resting.sort_unstable();
        let too_many = resting.len().saturating_sub(RESTING_MAX);
        for (_, label) in resting.into_iter().take(too_many) {
            if let Some(lane) = self.lanes.get_mut(&label) {
                lane.end(now, &mut self.out);
            }
        }
    }

    /// The path of a resting lane is wanted again.
    pub(super) fn wake(&mut self, label: LaneLabel) {
        if let Some(lane) = self.lanes.get_mut(&label) {
            lane.rests_since = None;
        }
    }
}

impl PaidLane {
    /// Since when it rests: it is ready, and nobody wants its path.
    pub(super) fn rests(&self) -> Option<Instant> {
        self.rests_since.filter(|_| self.phase == Phase::Ready)
    }

    /// Whether nobody wanted it for long enough.
    pub(super) fn has_rested(&self, now: Instant) -> bool {
        self.rests().is_some_and(|since| now.since(since) > REST_MAX)
    }
}
