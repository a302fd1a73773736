//! Decisions of control as policies of the data plane and routes of the host.
//!
//! Each prefix behind a member always has a policy. While its path is the default one the policy is the direct session,
//! unbilled, and the host has no route to it: nothing gets here but answers of one-ended flows. While a path is engaged
//! the policy is that path and its lane, and the host routes the prefix into the TUN device. A destination without a
//! router follows the path of the egress that was chosen for it.

use ipnet::IpNet;
use srwan_dataplane::{Dataplane, PolicyEntry};
use srwan_wire::id::{LaneLabel, NodeId, PathId};
use srwan_wire::roster::Roster;
use std::collections::{BTreeMap, BTreeSet};

/// Path id of the direct session's unbilled data. Control numbers its paths from zero up and wraps long before.
const DIRECT_PATH: PathId = PathId(0xfe);

/// The path that is engaged for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngagedPath {
    /// Relays in order; empty = pinned to the direct session.
    pub relays: Vec<NodeId>,
    /// The lane that pays; none without relays.
    pub lane: Option<LaneLabel>,
    /// Its number in the session.
    pub path: PathId,
    /// The largest inner packet that it carries. **Units:** octets.
    pub inner_mtu: u16,
}

/// Which prefix goes where.
#[derive(Debug, Default)]
pub struct Steering {
    prefixes: BTreeMap<NodeId, Vec<IpNet>>,
    engaged: BTreeMap<NodeId, EngagedPath>,
    /// Destinations without a router, by the egress that takes their flows.
    outside: BTreeMap<IpNet, NodeId>,
    /// What the direct paths carry that were asked.
    direct_mtu: BTreeMap<NodeId, u16>,
    /// What the host's interface takes: what a path carries that was not asked.
    inner_mtu: u16,
}

impl Steering {
    /// Nothing is steered yet.
    #[must_use]
    pub fn new(inner_mtu: u16) -> Self {
        Self { inner_mtu, ..Self::default() }
    }

    /// Prefixes behind a member.
    #[must_use]
    pub fn prefixes(&self, endpoint: NodeId) -> &[IpNet] {
        self.prefixes.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// The engaged path of an endpoint.
    #[must_use]
    pub fn engaged(&self, endpoint: NodeId) -> Option<&EngagedPath> {
        self.engaged.get(&endpoint)
    }

    /// Takes the prefixes of a roster; returns those endpoints' prefixes that were engaged and are gone.
    pub fn set_roster(
        &mut self,
        roster: &Roster,
        me: NodeId,
        dataplane: &mut Dataplane,
    ) -> Vec<(NodeId, Vec<IpNet>)> {
        let others = roster.members.iter().filter(|m| m.node != me);
        let wanted: BTreeMap<_, _> = others.map(|m| (m.node, m.prefixes.clone())).collect();
        let changed: Vec<NodeId> = self
            .prefixes
            .keys()
            .filter(|n| wanted.get(n) != self.prefixes.get(n))
            .copied()
            .collect();
        let mut released = Vec::new();
        for node in changed {
            let gone = self.prefixes.remove(&node).unwrap_or_default();
            for prefix in &gone {
                dataplane.remove_policy(*prefix);
            }
            if self.engaged.remove(&node).is_some() {
                released.push((node, gone));
            }
        }
        self.direct_mtu.retain(|node, _| wanted.contains_key(node));
        self.prefixes = wanted;
        let nodes: BTreeSet<_> = self.prefixes.keys().chain(self.outside.values()).collect();
        for node in nodes.into_iter().copied() {
            self.install(node, dataplane);
        }
        released
    }

    /// Engages a path, or returns to the default one.
    pub fn set(&mut self, endpoint: NodeId, path: Option<EngagedPath>, dataplane: &mut Dataplane) {
        match path {
            Some(path) => self.engaged.insert(endpoint, path),
            None => self.engaged.remove(&endpoint),
        };
        self.install(endpoint, dataplane);
    }

    /// Sends a destination without a router over the path of `egress`, or no longer.
    pub fn set_outside(
        &mut self,
        destination: IpNet,
        egress: Option<NodeId>,
        dataplane: &mut Dataplane,
    ) {
        match egress {
            Some(egress) => {
                self.outside.insert(destination, egress);
                self.install(egress, dataplane);
            }
            None => {
                self.outside.remove(&destination);
                dataplane.remove_policy(destination);
            }
        }
    }

    /// A path carries inner packets of so many octets: the policy over it follows.
    pub fn set_inner_mtu(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        octets: u16,
        dataplane: &mut Dataplane,
    ) {
        if relays.is_empty() {
            self.direct_mtu.insert(endpoint, octets);
        }
        if let Some(engaged) = self.engaged.get_mut(&endpoint).filter(|e| e.relays == relays) {
            engaged.inner_mtu = octets;
        }
        self.install(endpoint, dataplane);
    }

    fn install(&self, endpoint: NodeId, dataplane: &mut Dataplane) {
        let (mut entry, inner_mtu) = match self.engaged.get(&endpoint) {
            Some(path) => {
                let relays = path.relays.clone();
                (PolicyEntry::new(endpoint, relays, path.lane, path.path), path.inner_mtu)
            }
            None => {
                let known = self.direct_mtu.get(&endpoint).copied();
                let direct = PolicyEntry::new(endpoint, Vec::new(), None, DIRECT_PATH);
                (direct, known.unwrap_or(self.inner_mtu))
            }
        };
        entry.inner_mtu = inner_mtu;
        let outside = self.outside.iter().filter(|(_, egress)| **egress == endpoint);
        for prefix in self.prefixes(endpoint).iter().chain(outside.map(|(prefix, _)| prefix)) {
            let installed = dataplane.install_policy(*prefix, &entry);
            debug_assert!(installed.is_ok(), "control offers loop-free paths only: {installed:?}");
        }
    }
}
