//! Paths in use, as their hops measured them: the paper's extraordinary paths (W29 to W31).
//!
//! A router that is probed as a hop of a path in use keeps what it measured and tells the group
//! with its next pulses. Every member can then list the path with measured values, and compare them
//! with the sum of the cells: both contain the same clock offset, so the difference is true
//! whatever the clocks say.

use core::time::Duration;
use std::collections::BTreeMap;

use srwan_wire::id::NodeId;
use srwan_wire::oam::{PathObservation, Relays};
use srwan_wire::time::{Instant, Owd};

/// Observed paths that are kept: every pair of a group of 100 may use one at a time, a thousand is
/// a bad day.
const OBSERVED_MAX: usize = 1_024;

/// Lanes whose throughput is kept.
const LANES_MAX: usize = 1_024;

/// An observation is listed for this long.
const LISTED_FOR: Duration = Duration::from_secs(3_600);

/// A throughput that the node did not renew within this is over.
const THROUGHPUT_AGE_MAX: Duration = Duration::from_secs(10);

/// A path: where it starts, its relays, where it ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathKey {
    /// Where it starts.
    pub headend: NodeId,
    /// Its relays in order.
    pub relays: Relays,
    /// Where it ends.
    pub endpoint: NodeId,
}

/// A path in use with what was measured of it and what the matrix had promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPath {
    /// The path, up to the observer.
    pub path: PathKey,
    /// Raw delay from the headend to the observer.
    pub owd: Owd,
    /// Octets per second of its lane at the observer.
    pub throughput: u64,
    /// Time since it was measured.
    pub age: Duration,
    /// Sum of the matrix's raw cells along the path; `None` if one is unknown.
    pub expected: Option<Owd>,
    /// Measured minus expected: clock offsets cancel in it.
    pub residual: Option<Owd>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    owd: Owd,
    throughput: u64,
    at: Instant,
}

/// All observations that a member knows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations {
    own: BTreeMap<PathKey, Seen>,
    told: BTreeMap<PathKey, Seen>,
    throughputs: BTreeMap<PathKey, (u64, Instant)>,
    /// The own observation that was told last: the next pulse goes on from there.
    told_last: Option<PathKey>,
}

impl Observations {
    /// The node measured the throughput of a lane that it carries.
    pub(crate) fn set_throughput(&mut self, path: PathKey, octets_per_second: u64, now: Instant) {
        if self.throughputs.len() >= LANES_MAX && !self.throughputs.contains_key(&path) {
            self.throughputs.retain(|_, (_, at)| now.since(*at) <= THROUGHPUT_AGE_MAX);
        }
        if self.throughputs.len() < LANES_MAX || self.throughputs.contains_key(&path) {
            self.throughputs.insert(path, (octets_per_second, now));
        }
    }

    /// Throughput of the lanes that start like `path`, up to this node.
    pub(crate) fn throughput(&self, path: &PathKey, now: Instant) -> u64 {
        let is_prefix = |lane: &PathKey| {
            let prefix = path.relays.as_slice();
            let next = lane.relays.as_slice().get(prefix.len()).unwrap_or(&lane.endpoint);
            lane.headend == path.headend
                && lane.relays.as_slice().starts_with(prefix)
                && *next == path.endpoint
        };
        let fresh = |at: Instant| now.since(at) <= THROUGHPUT_AGE_MAX;
        let lanes = self.throughputs.iter().filter(|(lane, (_, at))| is_prefix(lane) && fresh(*at));
        lanes.fold(0, |sum, (_, (rate, _))| sum.saturating_add(*rate))
    }

    /// This node was probed as a hop of a path in use.
    pub(crate) fn see(&mut self, path: PathKey, owd: Owd, now: Instant) {
        let throughput = self.throughput(&path, now);
        insert(&mut self.own, path, Seen { owd, throughput, at: now });
    }

    /// A member told what it saw.
    pub(crate) fn hear(&mut self, told: &PathObservation, now: Instant) {
        let path =
            PathKey { headend: told.headend, relays: told.relays.clone(), endpoint: told.endpoint };
        insert(&mut self.told, path, Seen { owd: told.owd, throughput: told.throughput, at: now });
    }

    /// What to tell with the next pulses: at most `most`, seen within `within`, in turn.
    pub(crate) fn tell(
        &mut self,
        most: usize,
        within: Duration,
        now: Instant,
    ) -> Vec<PathObservation> {
        let recent: Vec<(&PathKey, &Seen)> =
            self.own.iter().filter(|(_, seen)| now.since(seen.at) <= within).collect();
        let after_last = |(path, _): &&(&PathKey, &Seen)| Some(*path) > self.told_last.as_ref();
        let first = recent.iter().filter(after_last);
        let wrapped = recent.iter().filter(|entry| !after_last(entry));
        let told: Vec<PathObservation> = first
            .chain(wrapped)
            .take(most)
            .map(|(path, seen)| PathObservation {
                headend: path.headend,
                relays: path.relays.clone(),
                endpoint: path.endpoint,
                owd: seen.owd,
                throughput: seen.throughput,
            })
            .collect();
        self.told_last = told.last().map(|last| PathKey {
            headend: last.headend,
            relays: last.relays.clone(),
            endpoint: last.endpoint,
        });
        told
    }

    /// Everything seen or told within the hour, with what the matrix says.
    pub(crate) fn list(
        &self,
        expected: impl Fn(&PathKey) -> Option<Owd>,
        now: Instant,
    ) -> Vec<ObservedPath> {
        let listed = self.own.iter().chain(&self.told);
        let listed = listed.filter(|(_, seen)| now.since(seen.at) <= LISTED_FOR);
        listed
            .map(|(path, seen)| {
                let expected = expected(path);
                ObservedPath {
                    path: path.clone(),
                    owd: seen.owd,
                    throughput: seen.throughput,
                    age: now.since(seen.at),
                    expected,
                    residual: expected.map(|sum| seen.owd - sum),
                }
            })
            .collect()
    }
}

/// Keeps the newest [`OBSERVED_MAX`].
fn insert(map: &mut BTreeMap<PathKey, Seen>, path: PathKey, seen: Seen) {
    if map.len() >= OBSERVED_MAX && !map.contains_key(&path) {
        let oldest = map.iter().min_by_key(|(_, seen)| seen.at).map(|(path, _)| path.clone());
        oldest.map(|path| map.remove(&path));
    }
    map.insert(path, seen);
}
