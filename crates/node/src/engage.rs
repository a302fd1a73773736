//! From a decision of control to traffic on one path, or on several: with the lanes that pay, and with the routes of
//! the host.

use crate::event::{NodeEvent, PathChange, PathShares};
use crate::node::Node;
use crate::pay::PathKey;
use crate::steering::{Engaged, EngagedPath};
use srwan_control::{PolicyChange, SpreadChange, SpreadMode, SpreadPath};
use srwan_dataplane::{LaneEntry, Spread};
use srwan_wire::id::{LaneLabel, NodeId, Octets};
use srwan_wire::receipt::Price;
use srwan_wire::time::Instant;

impl Node {
    pub(crate) fn on_policy(&mut self, change: PolicyChange) {
        let (endpoint, path) = (change.endpoint, change.path);
        let taken = change.active.clone();
        let taken = taken.and_then(|relays| self.payable(endpoint, path_of(relays, path)));
        let was_engaged = self.steering.is_engaged(endpoint);
        match change.class {
            Some(class) => self.steering.set_class(endpoint, class, taken, &mut self.dataplane),
            None => self.steering.set(endpoint, taken.map(Engaged::alone), &mut self.dataplane),
        }
        self.follow(endpoint, was_engaged);
        let reason = crate::view::cause_text(&change);
        let named = |class: u8| self.config.classes.get(usize::from(class));
        let class = change.class.and_then(named).map(|class| class.name.clone());
        let (from, to) = (change.previous, change.active);
        let changed = PathChange { endpoint, class, from, to, reason };
        self.settling.event(NodeEvent::PathChanged(changed));
    }

    pub(crate) fn on_spread(&mut self, change: SpreadChange) {
        let endpoint = change.endpoint;
        let spread = match change.mode {
            SpreadMode::Flows => Spread::Flows,
            SpreadMode::Packets => Spread::Packets,
            SpreadMode::Copies => Spread::Copies,
        };
        let paths = change.paths.into_iter();
        let paths: Vec<_> = paths.filter_map(|path| self.payable(endpoint, path)).collect();
        let told = paths.iter().map(|path| (path.relays.clone(), path.weight)).collect();
        let engaged = (!paths.is_empty()).then_some(Engaged { spread, paths, is_shared: true });
        let was_engaged = self.steering.is_engaged(endpoint);
        self.steering.set(endpoint, engaged, &mut self.dataplane);
        self.follow(endpoint, was_engaged);
        let shares = PathShares { endpoint, spread, paths: told };
        self.settling.event(NodeEvent::PathsShared(shares));
    }

    /// The host's routes lead to the path exactly while something is engaged.
    fn follow(&mut self, endpoint: NodeId, was_engaged: bool) {
        if !self.tell_engaged(endpoint) && was_engaged {
            let prefixes = self.steering.prefixes(endpoint).to_vec();
            self.settling.event(NodeEvent::Release { endpoint, prefixes });
        }
    }

    /// Tells the shell which path an endpoint's traffic takes; `false` if none is engaged.
    ///
    /// Of several paths the first one is named; none but classes' is the direct one. They count as billed: to share
    /// traffic out, or to tell classes apart, takes this node as well.
    fn tell_engaged(&mut self, endpoint: NodeId) -> bool {
        if !self.steering.is_engaged(endpoint) {
            return false;
        }
        let engaged = self.steering.engaged(endpoint).map_or(&[][..], |all| &all.paths);
        let relays = engaged.first().map_or_else(Vec::new, |first| first.relays.clone());
        let is_alone = matches!(engaged, [only] if only.lane.is_none());
        let is_billed = !is_alone || self.steering.has_classes();
        let prefixes = self.steering.prefixes(endpoint).to_vec();
        self.settling.event(NodeEvent::Engage { endpoint, relays, is_billed, prefixes });
        true
    }

    /// The path with the lane that pays for it; `None` if it has relays and no lane is ready.
    fn payable(&mut self, endpoint: NodeId, path: SpreadPath) -> Option<EngagedPath> {
        let SpreadPath { relays, path, weight } = path;
        let key = PathKey { relays, endpoint };
        let lane = self.payer.ready_label(&key);
        let is_free = self.terms(&key).is_some_and(|terms| terms.price == Price(0));
        let inner_mtu = self.control.inner_mtu(endpoint, &key.relays);
        let PathKey { relays, .. } = key;
        (relays.is_empty() || lane.is_some() || is_free).then_some(EngagedPath {
            relays,
            lane,
            path,
            weight,
            inner_mtu: inner_mtu.unwrap_or(self.config.inner_mtu),
        })
    }

    /// A lane is ready: the headend installs it for itself, and an engaged path of its goes over to it.
    pub(crate) fn pay_with(&mut self, path: &PathKey, label: LaneLabel, now: Instant) {
        let Some(lane) = self.payer.views().find(|view| view.label == label) else { return };
        let entry = LaneEntry {
            label,
            previous: self.config.node,
            next: Some(path.relays.first().copied().unwrap_or(path.endpoint)),
            octets: Octets(0),
            allowed: lane.receipt,
        };
        if self.dataplane.install_lane(entry).is_err() {
            return;
        }
        self.settling.hurry(now);
        let engaged = self.steering.engaged(path.endpoint);
        let is_it = |of: &&EngagedPath| of.relays == path.relays;
        let own = engaged.and_then(|all| all.paths.iter().find(is_it));
        let was_free = own.is_some_and(|path| path.lane.is_none());
        self.steering.set_lane(path.endpoint, &path.relays, label, &mut self.dataplane);
        if was_free {
            self.tell_engaged(path.endpoint);
        }
    }
}

/// A path that carries all of the traffic.
fn path_of(relays: Vec<NodeId>, path: srwan_wire::id::PathId) -> SpreadPath {
    SpreadPath { relays, path, weight: 1 }
}
