//! Direct paths that carry answers only: this node has no interest in the far end, and still must
//! not lose large packets on the way there.
//!
//! An egress sends the answers of a one-ended flow straight back to its headend. Nobody probes that path, so its MTU is
//! discovered by itself while packets go over it.

use core::time::Duration;
use std::collections::BTreeMap;

use srwan_wire::id::NodeId;
use srwan_wire::oam::Relays;
use srwan_wire::time::Instant;

use crate::control::Control;
use crate::event::{ControlEvent, Reach};
use crate::mtu_probing::RTT_ASSUMED;
use crate::outgoing::Outgoing;
use crate::path_mtu::{PROBES_MAX, Pace, PathMtu, SizedProbe};
use crate::track::DEFAULT_PATH;

/// Return paths that are watched: every other member of a group of 100, and a few that just left.
pub const RETURN_PATHS_MAX: usize = 128;

/// A return path is watched for so long after the last packet over it: the pauses within a flow are shorter.
const WATCHED_FOR: Duration = Duration::from_secs(60);

/// There is no meter beside these paths: their loss and round trip are taken for usual.
const PACE: Pace = Pace { rtt: RTT_ASSUMED, probes: PROBES_MAX, in_use: true };

/// All return paths, by the member that they end at.
pub(crate) type ReturnPaths = BTreeMap<NodeId, ReturnPath>;

/// One return path.
#[derive(Clone, Debug)]
pub(crate) struct ReturnPath {
    mtu: PathMtu,
    told: Option<u16>,
    until: Instant,
}

impl Control {
    /// Packets went straight to this member lately: tell once a second while they do.
    pub fn note_return(&mut self, to: NodeId, now: Instant) {
        let is_other = !self.endpoints.contains_key(&to) && self.members.contains_key(&to);
        let has_room =
            self.return_paths.len() < RETURN_PATHS_MAX || self.return_paths.contains_key(&to);
        if is_other && has_room {
            let max = self.config.liveness.inner_mtu;
            let new = || ReturnPath { mtu: PathMtu::new(max, now), told: None, until: now };
            self.return_paths.entry(to).or_insert_with(new).until = now + WATCHED_FOR;
        }
    }

    /// When the next padded probe of a return path is due.
    pub(crate) fn return_timeout(&self) -> Option<Instant> {
        self.return_paths.values().filter_map(|path| path.mtu.poll_timeout()).min()
    }

    pub(crate) fn ask_return_paths(&mut self, now: Instant) -> Vec<Outgoing> {
        let (endpoints, members) = (&self.endpoints, &self.members);
        self.return_paths.retain(|node, path| path.until > now && !endpoints.contains_key(node));
        let mut due = Vec::new();
        for (node, path) in &mut self.return_paths {
            let is_up = members.get(node).is_some_and(|m| m.reach == Some(Reach::Direct));
            path.mtu.set_up(is_up, now);
            let (to, via) = (*node, Relays::default());
            let probe = |sized: SizedProbe| Outgoing::MtuProbe {
                to,
                via: via.clone(),
                path: DEFAULT_PATH,
                sized,
            };
            due.extend(path.mtu.handle_timeout(PACE, now).into_iter().map(probe));
        }
        due
    }

    pub(crate) fn handle_return_answer(&mut self, from: NodeId, seq: u32, now: Instant) {
        if let Some(path) = self.return_paths.get_mut(&from) {
            path.mtu.handle_answer(seq, PACE, now);
        }
    }

    pub(crate) fn refuse_return_path(&mut self, to: NodeId, size: u16, now: Instant) {
        if let Some(path) = self.return_paths.get_mut(&to) {
            path.mtu.handle_refused(size, now);
        }
    }

    pub(crate) fn return_mtu_news(&mut self) -> Vec<ControlEvent> {
        let news = |(node, path): (&NodeId, &mut ReturnPath)| {
            let octets = path.mtu.inner_mtu().filter(|octets| path.told != Some(*octets))?;
            path.told = Some(octets);
            Some(ControlEvent::InnerMtu { endpoint: *node, relays: Vec::new(), octets })
        };
        self.return_paths.iter_mut().filter_map(news).collect()
    }
}
