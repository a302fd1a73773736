//! What a router's shell keeps on disk, as `srwan-router` does: evidence of money owed, and a handshake timestamp.
//!
//! A disk may be full or broken for a while. What it did not take is not acknowledged; what it acknowledged is there
//! after a crash.

use srwan_node::pay::Evidence;
use srwan_wire::id::{LaneId, Octets};
use srwan_wire::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How far the timestamp on disk is ahead of what is in use. Source: `stamp.rs` of the router.
const AHEAD: Duration = Duration::from_secs(60);

/// The timestamp is written again when this much is left.
const LEFT_MIN: Duration = Duration::from_secs(30);

/// One router's disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    evidence: BTreeMap<LaneId, Evidence>,
    reserved: Timestamp,
    /// Whether it takes nothing at the moment.
    pub is_broken: bool,
    /// Records that it did not take.
    pub refused: u64,
}

impl Disk {
    /// Keeps the best evidence of a lane; `false` if the disk did not take it.
    pub fn keep(&mut self, evidence: &Evidence) -> bool {
        if self.is_broken {
            self.refused += 1;
            return false;
        }
        self.evidence.insert(evidence.lane, evidence.clone());
        true
    }

    /// A lane is settled up to `octets`: evidence for no more than that is let go.
    pub fn forget(&mut self, lane: LaneId, octets: Octets) {
        if self.evidence.get(&lane).is_some_and(|held| held.octets() <= octets) {
            self.evidence.remove(&lane);
        }
    }

    /// Everything that is owed.
    #[must_use]
    pub fn owed(&self) -> Vec<Evidence> {
        self.evidence.values().cloned().collect()
    }

    /// Sees to it that the timestamp on disk is well ahead of those in use.
    pub fn reserve(&mut self, newest: Timestamp, wall: Timestamp) {
        let used = newest.max(wall);
        if !self.is_broken && self.reserved < after(used, LEFT_MIN) {
            self.reserved = after(used, AHEAD);
        }
    }

    /// The handshake timestamp that no earlier start went beyond.
    #[must_use]
    pub fn last_stamp(&self) -> Timestamp {
        self.reserved
    }
}

fn after(stamp: Timestamp, length: Duration) -> Timestamp {
    let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(stamp.as_nanos().saturating_add(nanos))
}
