//! Where traffic goes, and what that rests on.

use super::wire::{Outcome, Received};
use super::{Judge, Promise};
use crate::builder::number;
use crate::header::{Header, Kind};
use crate::world::World;
use srwan_node::NodeEvent;
use srwan_node::view::NodeView;
use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::{Oam, Probe, ProbePurpose, Relays};
use srwan_wire::time::{Instant, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Probes over a path before it may carry traffic (I33).
const PROBES_MIN: u32 = 5;

/// Intervals after which a row is too old (I32), and what clocks and a stalled moment may add.
const INTERVALS_MAX: u32 = 3;
const STALE_SLACK: Duration = Duration::from_millis(100);

/// A standby path is probed ten times a second (I29), and left when nothing comes back for a second or two; three
/// seconds without a probe mean that it is not probed.
const STANDBY_SILENT: Duration = Duration::from_secs(3);

/// Octets around the plaintext of a sealed control message: the header is counted apart.
const AEAD_TAG: usize = 16;

/// A path: headend, relays, endpoint.
type Path = Vec<usize>;

/// Routers, relays and ends as indexes.
#[derive(Default)]
pub(super) struct Paths {
    /// Probes that came to the end of a path.
    proven: BTreeMap<Path, u32>,
    /// When a probe was last sent over a path.
    probed: BTreeMap<Path, Instant>,
    /// When a router last got a control message of another.
    heard: BTreeMap<(usize, usize), Instant>,
    /// Since when a path stands by.
    standing_by: BTreeMap<Path, Instant>,
    /// Moves of traffic, by headend and endpoint.
    moves: BTreeMap<(usize, usize), u32>,
    /// When each router last stood still or started.
    pub(super) disturbed: BTreeMap<usize, Instant>,
}

impl Judge {
    /// A router stood still or started: what rests on its own timers begins anew at `until`.
    pub fn disturbed(&mut self, router: usize, until: Instant) {
        self.paths.disturbed.insert(router, until);
        self.paths.standing_by.retain(|path, _| path.first() != Some(&router));
    }

    /// A router started: no path of its was proven, and it heard nobody.
    pub fn started(&mut self, router: usize, now: Instant) {
        self.disturbed(router, now);
        self.paths.proven.retain(|path, _| path.first() != Some(&router));
        self.paths.heard.retain(|(receiver, _), _| *receiver != router);
        self.money_started(router);
    }

    /// How often the traffic of `headend` to `endpoint` moved.
    #[must_use]
    pub fn moves(&self, headend: usize, endpoint: usize) -> u32 {
        self.paths.moves.get(&(headend, endpoint)).copied().unwrap_or(0)
    }

    pub(super) fn note_on_path(&mut self, seen: &Received, now: Instant) {
        if seen.kind != Kind::Oam || seen.outcome != Outcome::Consumed {
            return;
        }
        let mut path: Path = seen.trail.routers().collect();
        let Some(origin) = path.first().copied() else { return };
        self.paths.heard.insert((seen.router, origin), now);
        let relays = path.len() - 1;
        let is_probe = seen.header.is_some_and(|h| seen.len == probe_len(relays, h.len));
        if is_probe && relays > 0 {
            path.push(seen.router);
            *self.paths.proven.entry(path).or_default() += 1;
        }
    }

    /// A router sends a datagram of its own.
    pub fn made(&mut self, router: usize, first: usize, bytes: &[u8], now: Instant) {
        let Some(header) = Header::read(bytes).filter(|h| h.kind == Kind::Oam) else { return };
        if header.listed == 0 || bytes.len() != probe_len(header.listed, header.len) {
            return;
        }
        // The list has the endpoint first, and all relays but the first.
        let mut path: Path = header.listed_nodes().map(index_of).collect();
        path.push(first);
        path.push(router);
        path.reverse();
        self.paths.probed.insert(path, now);
    }

    pub(super) fn event_of_path(&mut self, router: usize, event: &NodeEvent, now: Instant) {
        match event {
            NodeEvent::Engage { endpoint, relays, .. } if !relays.is_empty() => {
                let path = path_of(router, relays, *endpoint);
                let probes = self.paths.proven.get(&path).copied().unwrap_or(0);
                if probes < PROBES_MIN {
                    let what = format!("path {path:?} is engaged after {probes} probes");
                    self.accuse(now, router, Promise::Unproven, what);
                }
            }
            NodeEvent::PathChanged(change) => {
                let ends = (router, index_of(change.endpoint));
                *self.paths.moves.entry(ends).or_default() += 1;
            }
            _ => {}
        }
    }

    pub(super) fn look_at_paths(&mut self, world: &World, router: usize, view: &NodeView) {
        self.look_at_rows(world, router, view);
        self.look_at_standby(world, router, view);
        if view.contradictions > 0 {
            let what = format!("{} honest statements contradict each other", view.contradictions);
            self.accuse(world.now(), router, Promise::Claim, what);
        }
    }

    /// A cell of a row may be shown only while its measurer was heard.
    fn look_at_rows(&mut self, world: &World, router: usize, view: &NodeView) {
        let now = world.now();
        let limit = world.pulse_interval() * INTERVALS_MAX + STALE_SLACK;
        let members = view.matrix.members.clone();
        for (to, measurer) in members.iter().enumerate().filter(|(_, n)| **n != view.node) {
            let is_shown = (0..members.len()).any(|from| view.matrix.at(from, to).is_some());
            let heard = self.paths.heard.get(&(router, index_of(*measurer)));
            let age = heard.map_or(Duration::MAX, |at| now.since(*at));
            if is_shown && age > limit {
                let what = format!("shows what {measurer} measured, not heard for {age:?}");
                self.accuse(now, router, Promise::Stale, what);
            }
        }
    }

    fn look_at_standby(&mut self, world: &World, router: usize, view: &NodeView) {
        let now = world.now();
        let is_still = world.shell(router).stalled_until > now;
        let standing = view.endpoints.iter().filter_map(|endpoint| {
            Some(path_of(router, endpoint.standby.as_ref()?, endpoint.node))
        });
        let standing: Vec<Path> = standing.filter(|path| path.len() > 2 && !is_still).collect();
        let is_mine = |path: &Path| path.first() == Some(&router);
        self.paths.standing_by.retain(|path, _| !is_mine(path) || standing.contains(path));
        let quiet_from = self.paths.disturbed.get(&router).copied().unwrap_or_default();
        for path in standing {
            let since = *self.paths.standing_by.entry(path.clone()).or_insert(now);
            let probed = self.paths.probed.get(&path).copied().unwrap_or_default();
            if now.since(probed.max(since).max(quiet_from)) > STANDBY_SILENT {
                let what = format!("standby {path:?} is not probed since {probed:?}");
                self.accuse(now, router, Promise::Failover, what);
            }
        }
    }
}

fn path_of(router: usize, relays: &[NodeId], endpoint: NodeId) -> Path {
    let ends = [endpoint];
    [router].into_iter().chain(relays.iter().chain(&ends).map(|n| index_of(*n))).collect()
}

/// The index of the router with this number.
pub(super) fn index_of(node: NodeId) -> usize {
    usize::try_from(node.get()).unwrap_or(usize::MAX).saturating_sub(1)
}

/// Octets of a probe over so many relays, behind a header of `header` octets.
fn probe_len(relays: usize, header: usize) -> usize {
    let relays = Relays::new((0..relays.min(3)).map(number).collect()).unwrap_or_default();
    let (path, sent) = (PathId(1), Timestamp::default());
    let probe = Probe { purpose: ProbePurpose::Liveness, path, seq: 1, sent, relays };
    header + Oam::Probe(probe).encode().len() + AEAD_TAG
}
