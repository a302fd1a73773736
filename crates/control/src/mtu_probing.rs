//! Path MTU discovery joined to the rest of control: whose size is asked about when, and who is told.
//!
//! Every probed path has a [`crate::path_mtu::PathMtu`] of its own beside its meter, because relays
//! and links differ. The answer to a padded probe is an ordinary reflection, which comes back by two
//! ways: only the way there is judged.

use core::time::Duration;

use srwan_wire::id::NodeId;
use srwan_wire::oam::Reflection;
use srwan_wire::segment::overhead;
use srwan_wire::time::Instant;

use crate::control::Control;
use crate::endpoint::Endpoint;
use crate::event::ControlEvent;
use crate::outgoing::Outgoing;
use crate::path_mtu::{PROBES_MAX, Pace, SizedProbe};
use crate::track::{DEFAULT_PATH, Track};

/// Round trip of a path that was not measured: an intercontinental one.
pub(crate) const RTT_ASSUMED: Duration = Duration::from_millis(200);

impl Control {
    /// Queues every padded probe that is due, and tells the node what was found out.
    pub(crate) fn run_mtu(&mut self, now: Instant) {
        let mut due = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            due.extend(endpoint.ask_mtu(now));
        }
        due.extend(self.ask_return_paths(now));
        due.into_iter().for_each(|outgoing| self.push(outgoing));
        self.tell_mtu();
    }

    /// Reads the answer to a padded probe.
    pub(crate) fn handle_mtu_answer(
        &mut self,
        from: NodeId,
        reflection: &Reflection,
        now: Instant,
    ) {
        if let Some(endpoint) = self.endpoints.get_mut(&from) {
            let in_use = endpoint.carries(reflection.path);
            if let Some(track) = endpoint.tracks.get_mut(&reflection.path) {
                let pace = track.pace(in_use);
                track.mtu.handle_answer(reflection.seq, pace, now);
            }
        } else {
            self.handle_return_answer(from, reflection.seq, now);
        }
        self.run_mtu(now);
    }

    /// This host refused to send a datagram of so many octets (of UDP payload) to a neighbour: its
    /// interface became too small, or a probe was too large for it.
    pub fn handle_refused(&mut self, neighbour: NodeId, octets: usize, now: Instant) {
        for endpoint in self.endpoints.values_mut() {
            let node = endpoint.node;
            for track in endpoint.tracks.values_mut() {
                let relays = track.relays.as_slice();
                let first = relays.first().copied().unwrap_or(node);
                if let Some(size) = inner_size(octets, relays.len()).filter(|_| first == neighbour)
                {
                    track.mtu.handle_refused(size, now);
                }
            }
        }
        if let Some(size) = inner_size(octets, 0) {
            self.refuse_return_path(neighbour, size, now);
        }
        self.run_mtu(now);
    }

    /// The largest inner packet that a probed path carries, as far as it is known. **Units:** octets.
    #[must_use]
    pub fn inner_mtu(&self, endpoint: NodeId, relays: &[NodeId]) -> Option<u16> {
        let tracks = &self.endpoints.get(&endpoint)?.tracks;
        let track = tracks.values().find(|track| track.relays.as_slice() == relays);
        track.and_then(|track| track.mtu.inner_mtu())
    }

    fn tell_mtu(&mut self) {
        let mut news = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            news.extend(endpoint.mtu_news());
        }
        news.extend(self.return_mtu_news());
        news.into_iter().for_each(|event| self.event(event));
    }
}

/// The inner packet that makes a datagram of so many octets on a path over so many relays.
fn inner_size(octets: usize, relays: usize) -> Option<u16> {
    let size = octets.checked_sub(overhead(relays > 0, relays))?;
    u16::try_from(size).ok()
}

impl Endpoint {
    /// Whether packets go over this path at this moment; over the default one they go past it.
    pub(crate) fn carries(&self, path: srwan_wire::id::PathId) -> bool {
        let is_shared = self.shares().iter().any(|share| share.path == path);
        let is_active = path == self.active && path != DEFAULT_PATH;
        is_shared || is_active || self.class_on(path).is_some()
    }

    /// When the next padded probe of any path is due.
    pub(crate) fn mtu_timeout(&self) -> Option<Instant> {
        self.tracks.values().filter_map(|track| track.mtu.poll_timeout()).min()
    }

    fn ask_mtu(&mut self, now: Instant) -> Vec<Outgoing> {
        let (to, mut due) = (self.node, Vec::new());
        let ids: Vec<_> = self.tracks.keys().map(|id| (*id, self.carries(*id))).collect();
        for (path, in_use) in ids {
            let Some(track) = self.tracks.get_mut(&path) else { continue };
            let via = track.relays.clone();
            let probe =
                |sized: SizedProbe| Outgoing::MtuProbe { to, via: via.clone(), path, sized };
            due.extend(track.ask_mtu(in_use, now).into_iter().map(probe));
        }
        due
    }

    fn mtu_news(&mut self) -> Vec<ControlEvent> {
        let endpoint = self.node;
        let news = |track: &mut Track| {
            let octets = track.mtu.inner_mtu().filter(|octets| track.told_mtu != Some(*octets))?;
            track.told_mtu = Some(octets);
            let relays = track.relays.as_slice().to_vec();
            Some(ControlEvent::InnerMtu { endpoint, relays, octets })
        };
        self.tracks.values_mut().filter_map(news).collect()
    }
}

impl Track {
    fn pace(&self, in_use: bool) -> Pace {
        let rtt = self.meter.shortest_rtt().unwrap_or(RTT_ASSUMED);
        let probes = PROBES_MAX.saturating_add(self.meter.extra_misses());
        Pace { rtt, probes, in_use }
    }

    fn ask_mtu(&mut self, in_use: bool, now: Instant) -> Vec<SizedProbe> {
        let is_up = self.meter.answered() > 0 && !self.meter.conditions().blackout;
        self.mtu.set_up(is_up, now);
        let pace = self.pace(in_use);
        self.mtu.handle_timeout(pace, now)
    }
}
