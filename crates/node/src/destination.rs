//! Destinations without a router of their own: measured from here and from egresses, and sent over the egress that is
//! nearer than the default path.
//!
//! The egress puts its own source address on such flows (BCP 38), so a flow cannot change its side once it began. Only
//! flows that begin while an egress is chosen go there ([`NodeEvent::EngageFlows`]), and they keep their policy for
//! [`FLOWS_LINGER`] after the destination went back to the default path ([`NodeEvent::ReleaseFlows`]), until
//! [`NodeEvent::EndFlows`]. Between two egresses there is no such grace: a destination has one policy at a time.

use crate::event::NodeEvent;
use crate::node::Node;
use ipnet::IpNet;
use srwan_control::{DestinationChange, DestinationEvent, EgressCandidate, Place, RttSource};
use srwan_wire::id::NodeId;
use srwan_wire::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Flows that began over an egress stay there for so long after new ones go elsewhere: longer than nearly every
/// transfer, short enough that a forgotten connection does not keep the policy for ever.
pub const FLOWS_LINGER: Duration = Duration::from_secs(600);

/// Who wants a destination measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeasuredFor {
    /// This router, for the destination that it watches.
    Own(IpNet),
    /// A member, because this router is an egress: only what the egress rules allow may be measured.
    Member(NodeId),
}

/// One echo request to send over the default path; the result goes to [`Node::handle_measured`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// What to ping.
    pub address: IpAddr,
    /// For whom.
    pub wanted_by: MeasuredFor,
}

/// A destination whose flows go, or lately went, over an egress.
#[derive(Clone, Copy, Debug)]
struct Flows {
    egress: NodeId,
    /// When the last of them is given up; `None` while new ones begin.
    until: Option<Instant>,
}

/// All destinations that have flows over an egress.
#[derive(Debug, Default)]
pub(crate) struct OutsideFlows(BTreeMap<IpNet, Flows>);

impl OutsideFlows {
    /// Whether new flows to anywhere go over `egress`.
    fn uses(&self, egress: NodeId) -> bool {
        self.0.values().any(|flows| flows.egress == egress)
    }

    /// Takes out a destination whose grace is over.
    fn pop_ended(&mut self, now: Instant) -> Option<(IpNet, NodeId)> {
        let is_over = |flows: &Flows| flows.until.is_some_and(|until| until <= now);
        let (destination, flows) = self.0.iter().find(|(_, flows)| is_over(flows))?;
        let ended = (*destination, flows.egress);
        self.0.remove(&ended.0);
        Some(ended)
    }
}

impl Node {
    /// Keeps a destination without a router measured by pinging `address` in it; `false` if too many are watched. The
    /// nearest egress takes its flows once that pays.
    pub fn watch_destination(
        &mut self,
        destination: IpNet,
        address: IpAddr,
        place: Place,
        now: Instant,
    ) -> bool {
        let is_watched = self.control.watch_destination(destination, address, place, now);
        self.settle(now);
        is_watched
    }

    /// A measurement that [`NodeEvent::Measure`] asked for is done; `None`: no answer, or not allowed.
    pub fn handle_measured(&mut self, done: &Measurement, rtt: Option<Duration>, now: Instant) {
        match done.wanted_by {
            MeasuredFor::Own(destination) => {
                self.control.handle_destination_rtt(RttSource::Own, &destination, rtt, now);
            }
            MeasuredFor::Member(asker) => {
                self.control.answer_destination(asker, done.address, rtt);
            }
        }
        self.settle(now);
    }

    /// The default path and every egress for a watched destination, as round trips.
    #[must_use]
    pub fn destination_candidates(
        &self,
        destination: &IpNet,
        now: Instant,
    ) -> Vec<EgressCandidate> {
        self.control.destination_candidates(destination, now)
    }

    /// The egress of every watched destination; `None` is the default path.
    pub fn destination_choices(&self) -> impl Iterator<Item = (IpNet, Option<NodeId>)> {
        self.control.destination_choices()
    }

    pub(crate) fn on_destination(&mut self, event: DestinationEvent, now: Instant) {
        match event {
            DestinationEvent::Measure { destination, address } => {
                self.measure(address, MeasuredFor::Own(destination));
            }
            DestinationEvent::MeasureFor { asker, address } => {
                self.measure(address, MeasuredFor::Member(asker));
            }
            DestinationEvent::Change(change) => self.on_destination_change(&change, now),
        }
    }

    fn measure(&mut self, address: IpAddr, wanted_by: MeasuredFor) {
        self.settling.event(NodeEvent::Measure(Measurement { address, wanted_by }));
    }

    fn on_destination_change(&mut self, change: &DestinationChange, now: Instant) {
        let destination = change.destination;
        if self.members.values().any(|member| member.prefixes.contains(&destination)) {
            // It has a router of its own by now: that one's policy stands.
            return;
        }
        match change.egress {
            Some(egress) => self.engage_flows(destination, egress, now),
            None => self.release_flows(destination, now),
        }
    }

    fn engage_flows(&mut self, destination: IpNet, egress: NodeId, now: Instant) {
        let before = self.outside.0.insert(destination, Flows { egress, until: None });
        self.control.set_interest(egress, true, now);
        self.steering.set_outside(destination, Some(egress), &mut self.dataplane);
        self.settling.event(NodeEvent::EngageFlows { destination, egress });
        if let Some(before) = before.filter(|before| before.egress != egress) {
            self.lose_interest(before.egress, now);
        }
    }

    fn release_flows(&mut self, destination: IpNet, now: Instant) {
        let Some(flows) = self.outside.0.get_mut(&destination) else { return };
        flows.until = Some(now + FLOWS_LINGER);
        let egress = flows.egress;
        self.settling.event(NodeEvent::ReleaseFlows { destination, egress });
    }

    /// Gives up the flows whose grace is over.
    pub(crate) fn end_flows(&mut self, now: Instant) {
        while let Some((destination, egress)) = self.outside.pop_ended(now) {
            self.steering.set_outside(destination, None, &mut self.dataplane);
            self.settling.event(NodeEvent::EndFlows { destination, egress });
            self.lose_interest(egress, now);
        }
    }

    /// An egress that no flows use is watched on only if it has a site that this router's hosts may send to.
    fn lose_interest(&mut self, egress: NodeId, now: Instant) {
        let has_prefixes = |node| self.members.get(&node).is_some_and(|m| !m.prefixes.is_empty());
        let is_two_ended = has_prefixes(egress) && has_prefixes(self.config.node);
        if !self.outside.uses(egress) && !is_two_ended {
            self.control.set_interest(egress, false, now);
        }
    }
}
