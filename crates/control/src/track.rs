//! One path to one endpoint that is probed: its meter, its lane, the hops on it.

use core::time::Duration;
use std::collections::BTreeMap;

use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::Relays;
use srwan_wire::time::{Instant, Owd};

use crate::config::{LivenessConfig, PolicyConfig};
use crate::event::LaneState;
use crate::graph::{Cost, jitter_cost, loss_cost};
use crate::meter::{PathFigures, PathMeter};
use crate::path_mtu::PathMtu;

/// The number of the default path in every session.
pub(crate) const DEFAULT_PATH: PathId = PathId(0);

/// A path in use is measured at each hop this often (W29).
pub(crate) const HOP_SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

/// Weight of the jitter of a path that is known to be jittery: twice, so that it outweighs the
/// noise margin of the comparison, which counts it once.
const JITTERY_WEIGHT: i64 = 2;

/// What one hop of a path in use measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopFigures {
    /// Raw delay from the headend to the hop.
    pub owd: Owd,
    /// Octets per second of the lane at the hop; zero if it carries none.
    pub throughput: u64,
    /// When the figures came.
    pub at: Instant,
}

/// A probed path.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) relays: Relays,
    pub(crate) meter: PathMeter,
    pub(crate) mtu: PathMtu,
    /// The inner MTU that the node was told.
    pub(crate) told_mtu: Option<u16>,
    pub(crate) since: Instant,
    pub(crate) next_probe: Instant,
    pub(crate) next_hop_sample: Instant,
    /// Whether it was usable at any time.
    pub(crate) was_usable: bool,
    /// Whether its lane was asked for.
    pub(crate) is_lane_asked: bool,
    /// `None`: nobody on it asks for a lane.
    pub(crate) lane: Option<LaneState>,
    pub(crate) hops: BTreeMap<NodeId, HopFigures>,
}

impl Track {
    pub(crate) fn new(
        relays: Relays,
        is_paid: bool,
        liveness: &LivenessConfig,
        start: Start,
    ) -> Self {
        Self {
            relays,
            meter: PathMeter::new(liveness.misses),
            mtu: PathMtu::new(liveness.inner_mtu, start.now),
            told_mtu: None,
            since: start.now,
            next_probe: start.now + start.phase,
            next_hop_sample: start.now,
            was_usable: false,
            is_lane_asked: false,
            lane: is_paid.then_some(LaneState::Pending),
            hops: BTreeMap::new(),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.relays.as_slice().is_empty()
    }

    /// It may carry traffic at this moment: up, confirmed end to end, also for packets of a usual
    /// size, and paid for where that is asked.
    pub(crate) fn is_usable(&self) -> bool {
        let lane_ready = self.lane.is_none_or(|lane| lane == LaneState::Ready);
        lane_ready && self.meter.is_confirmed() && self.mtu.is_proven()
    }

    /// What the path costs at this moment; `None` if it is down or nothing came within the last
    /// windows.
    pub(crate) fn cost(&self, policy: &PolicyConfig, now: Instant) -> Option<Cost> {
        let conditions = self.meter.conditions();
        if conditions.blackout {
            return None;
        }
        let figures = self.figures(policy, now)?;
        let loss = if conditions.lossy { loss_cost(figures.loss) } else { 0 };
        let jitter = if conditions.jittery { jitter_cost(figures.jitter) } else { 0 };
        let quality = loss.saturating_add(jitter.saturating_mul(JITTERY_WEIGHT));
        Some(figures.forward.as_nanos().saturating_add(quality))
    }

    pub(crate) fn figures(&self, policy: &PolicyConfig, now: Instant) -> Option<PathFigures> {
        self.meter.figures(policy.window, now)
    }
}

/// When a track starts, and how far into the probe interval its first probe falls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) now: Instant,
    pub(crate) phase: Duration,
}
