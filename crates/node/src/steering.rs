//! Decisions of control as policies of the data plane and routes of the host.
//!
//! Each prefix behind a member always has a policy. While its path is the default one the policy is the direct session,
//! unbilled, and the host has no route to it: nothing gets here but answers of one-ended flows. While a path is engaged
//! the policy is that path and its lane, and the host routes the prefix into the TUN device. A destination without a
//! router follows the path of the egress that was chosen for it.

use ipnet::IpNet;
use srwan_dataplane::{Dataplane, DscpSet, PolicyClass, PolicyEntry, PolicyPath, Spread};
use srwan_wire::id::{LaneLabel, NodeId, PathId};
use srwan_wire::path_group::{GROUP_MEMBERS_MAX, PathGroup};
use srwan_wire::roster::Roster;
use std::collections::{BTreeMap, BTreeSet};

/// Path id of the direct session's unbilled data. Control numbers its paths from zero up and wraps long before.
const DIRECT_PATH: PathId = PathId(0xfe);

/// The paths that are engaged for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engaged {
    /// How traffic is spread over them.
    pub spread: Spread,
    /// The paths; at least one.
    pub paths: Vec<EngagedPath>,
    /// A rule of the operator shares all traffic out over them: classes have no paths of their own.
    pub is_shared: bool,
}

impl Engaged {
    /// One path takes everything that is of no class.
    #[must_use]
    pub fn alone(path: EngagedPath) -> Self {
        Self { spread: Spread::Flows, paths: vec![path], is_shared: false }
    }

    /// The relays of the path with the largest share.
    #[must_use]
    pub fn relays(&self) -> &[NodeId] {
        let largest = self.paths.iter().rev().max_by_key(|path| path.weight);
        largest.map_or(&[], |path| path.relays.as_slice())
    }
}

/// One engaged path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngagedPath {
    /// Relays in order; empty = the direct session.
    pub relays: Vec<NodeId>,
    /// The lane that pays; none without relays.
    pub lane: Option<LaneLabel>,
    /// Its number among the probed paths.
    pub path: PathId,
    /// Its share, relative to the others'.
    pub weight: u8,
    /// The largest inner packet that it carries. **Units:** octets.
    pub inner_mtu: u16,
}

/// Which prefix goes where.
#[derive(Debug, Default)]
pub struct Steering {
    prefixes: BTreeMap<NodeId, Vec<IpNet>>,
    engaged: BTreeMap<NodeId, Engaged>,
    /// Which packets are of a class.
    classes: Vec<DscpSet>,
    /// The engaged paths of classes, by endpoint and by the class's place; the others are on the default path.
    of_classes: BTreeMap<NodeId, BTreeMap<u8, EngagedPath>>,
    /// Which path has which place in its endpoint's group of paths.
    places: BTreeMap<NodeId, Places>,
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
    pub fn new(inner_mtu: u16, classes: Vec<DscpSet>) -> Self {
        Self { inner_mtu, classes, ..Self::default() }
    }

    /// Whether there are classes.
    #[must_use]
    pub fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Prefixes behind a member.
    #[must_use]
    pub fn prefixes(&self, endpoint: NodeId) -> &[IpNet] {
        self.prefixes.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    /// The engaged paths of an endpoint.
    #[must_use]
    pub fn engaged(&self, endpoint: NodeId) -> Option<&Engaged> {
        self.engaged.get(&endpoint)
    }

    /// The engaged paths of classes, by the class's place.
    pub fn of_classes(&self, endpoint: NodeId) -> impl Iterator<Item = (u8, &EngagedPath)> {
        let known = self.of_classes.get(&endpoint).into_iter().flatten();
        let is_shared = self.engaged(endpoint).is_some_and(|engaged| engaged.is_shared);
        known.filter(move |_| !is_shared).map(|(class, path)| (*class, path))
    }

    /// Whether any traffic for an endpoint goes another way than the default path.
    #[must_use]
    pub fn is_engaged(&self, endpoint: NodeId) -> bool {
        self.engaged.contains_key(&endpoint) || self.of_classes(endpoint).next().is_some()
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
            let was_engaged = self.is_engaged(node);
            self.engaged.remove(&node);
            self.of_classes.remove(&node);
            if was_engaged {
                released.push((node, gone));
            }
        }
        self.direct_mtu.retain(|node, _| wanted.contains_key(node));
        self.places.retain(|node, _| wanted.contains_key(node));
        self.prefixes = wanted;
        let nodes: BTreeSet<_> = self.prefixes.keys().chain(self.outside.values()).collect();
        for node in nodes.into_iter().copied() {
            self.install(node, dataplane);
        }
        released
    }

    /// Engages paths, or returns to the default one.
    pub fn set(&mut self, endpoint: NodeId, engaged: Option<Engaged>, dataplane: &mut Dataplane) {
        match engaged {
            Some(engaged) => {
                self.places.entry(endpoint).or_default().take(&engaged.paths);
                self.engaged.insert(endpoint, engaged);
            }
            None => drop(self.engaged.remove(&endpoint)),
        }
        self.install(endpoint, dataplane);
    }

    /// Engages a path for a class, or returns it to the default one.
    pub fn set_class(
        &mut self,
        endpoint: NodeId,
        class: u8,
        path: Option<EngagedPath>,
        dataplane: &mut Dataplane,
    ) {
        let known = self.of_classes.entry(endpoint).or_default();
        match path {
            Some(path) => drop(known.insert(class, path)),
            None => drop(known.remove(&class)),
        }
        self.of_classes.retain(|_, known| !known.is_empty());
        self.install(endpoint, dataplane);
    }

    /// An engaged path is paid by this lane from here on.
    pub fn set_lane(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        lane: LaneLabel,
        dataplane: &mut Dataplane,
    ) {
        if self.change_paths(endpoint, relays, |path| path.lane = Some(lane)) {
            self.install(endpoint, dataplane);
        }
    }

    /// The id under which packets over an engaged path travel.
    #[must_use]
    pub fn path_id(&self, endpoint: NodeId, path: &EngagedPath) -> PathId {
        let engaged = self.engaged.get(&endpoint);
        let group = match engaged.map(|engaged| engaged.spread) {
            Some(Spread::Packets) => PathGroup::IN_ORDER,
            Some(Spread::Copies) => PathGroup::COPIES,
            Some(Spread::Flows) | None => return path.path,
        };
        let place = self.places.get(&endpoint).and_then(|places| places.of(&path.relays));
        place.and_then(|place| group.member(place)).unwrap_or(path.path)
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
        self.change_paths(endpoint, relays, |path| path.inner_mtu = octets);
        self.install(endpoint, dataplane);
    }

    /// Changes every engaged path over these relays; whether there is one.
    fn change_paths(
        &mut self,
        endpoint: NodeId,
        relays: &[NodeId],
        change: impl Fn(&mut EngagedPath),
    ) -> bool {
        let engaged = self.engaged.get_mut(&endpoint).into_iter();
        let of_all = engaged.flat_map(|engaged| engaged.paths.iter_mut());
        let of_classes = self.of_classes.get_mut(&endpoint).into_iter();
        let all = of_all.chain(of_classes.flat_map(BTreeMap::values_mut));
        let these = all.filter(|path| path.relays == relays);
        these.map(change).count() > 0
    }

    fn install(&self, endpoint: NodeId, dataplane: &mut Dataplane) {
        let entry = match self.engaged.get(&endpoint) {
            Some(engaged) => self.entry(endpoint, engaged),
            None => self.direct_entry(endpoint),
        };
        let entry = PolicyEntry { classes: self.class_entries(endpoint), ..entry };
        let outside = self.outside.iter().filter(|(_, egress)| **egress == endpoint);
        for prefix in self.prefixes(endpoint).iter().chain(outside.map(|(prefix, _)| prefix)) {
            let installed = dataplane.install_policy(*prefix, &entry);
            debug_assert!(installed.is_ok(), "control offers loop-free paths only: {installed:?}");
        }
    }

    /// The direct session, unbilled.
    fn direct_entry(&self, endpoint: NodeId) -> PolicyEntry {
        let direct = PolicyEntry::new(endpoint, Vec::new(), None, DIRECT_PATH);
        PolicyEntry { inner_mtu: self.direct_inner_mtu(endpoint), ..direct }
    }

    fn direct_inner_mtu(&self, endpoint: NodeId) -> u16 {
        self.direct_mtu.get(&endpoint).copied().unwrap_or(self.inner_mtu)
    }

    /// Where each class goes: its engaged path, or the direct session while others are engaged.
    fn class_entries(&self, endpoint: NodeId) -> Vec<PolicyClass> {
        let engaged = self.engaged.get(&endpoint);
        let is_shared = engaged.is_some_and(|engaged| engaged.is_shared);
        if is_shared || !self.is_engaged(endpoint) {
            return Vec::new();
        }
        let of_classes = self.of_classes.get(&endpoint);
        let entry = |(dscp, place): (&DscpSet, u8)| {
            let path = of_classes.and_then(|paths| paths.get(&place));
            let path_of = |path: &EngagedPath| PolicyPath {
                relays: path.relays.clone(),
                lane: path.lane,
                path_id: path.path,
                weight: 1,
            };
            let direct =
                || PolicyPath { relays: vec![], lane: None, path_id: DIRECT_PATH, weight: 1 };
            PolicyClass {
                dscp: *dscp,
                path: path.map_or_else(direct, path_of),
                inner_mtu: path.map_or(self.direct_inner_mtu(endpoint), |path| path.inner_mtu),
            }
        };
        self.classes.iter().zip(0..).map(entry).collect()
    }

    /// The policy over all engaged paths, with the MTU that all of them carry.
    fn entry(&self, endpoint: NodeId, engaged: &Engaged) -> PolicyEntry {
        let one = |path: &EngagedPath| PolicyPath {
            relays: path.relays.clone(),
            lane: path.lane,
            path_id: self.path_id(endpoint, path),
            weight: path.weight.max(1),
        };
        let inner_mtu = engaged.paths.iter().map(|path| path.inner_mtu).min();
        PolicyEntry {
            endpoint,
            spread: engaged.spread,
            paths: engaged.paths.iter().map(one).collect(),
            inner_mtu: inner_mtu.unwrap_or(self.inner_mtu),
            classes: Vec::new(),
        }
    }
}

/// The places of paths in a group: a path keeps its place, so that its replay window goes on.
#[derive(Debug, Default)]
struct Places(Vec<Vec<NodeId>>);

impl Places {
    /// Gives each of `paths` a place: its own, a free one, or that of a path that is not among them.
    fn take(&mut self, paths: &[EngagedPath]) {
        for path in paths.iter().filter(|path| self.of(&path.relays).is_none()).collect::<Vec<_>>()
        {
            let is_needed = |known: &Vec<NodeId>| paths.iter().any(|path| path.relays == *known);
            if self.0.len() < usize::from(GROUP_MEMBERS_MAX) {
                self.0.push(path.relays.clone());
            } else if let Some(known) = self.0.iter_mut().find(|known| !is_needed(known)) {
                known.clone_from(&path.relays);
            }
        }
    }

    fn of(&self, relays: &[NodeId]) -> Option<u8> {
        let place = self.0.iter().position(|known| known == relays)?;
        u8::try_from(place).ok()
    }
}
