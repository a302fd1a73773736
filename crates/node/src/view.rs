//! Everything as people may see it: one owned picture, taken between two inputs.

use crate::class::ForwardingClass;
use crate::node::Node;
use crate::pay::payee::ServedView;
use crate::pay::payer::PaidView;
use crate::steering::{Engaged, EngagedPath};
use ipnet::IpNet;
use srwan_control::{
    Bounded, Candidate, Cause, Decision, HopFigures, MatrixView, MemberState, ObservedPath,
    PolicyChange, Preference,
};
use srwan_dataplane::{Count, DropReason, DscpSet, PeerMeter, Totals};
use srwan_wire::id::NodeId;
use srwan_wire::pulse::SignedRow;
use srwan_wire::roster::Member;
use srwan_wire::time::{Instant, Timestamp};
use std::net::SocketAddr;

/// One router, as it is.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its number.
    pub node: NodeId,
    /// When the picture was taken.
    pub at: Instant,
    /// That moment by the router's wall clock.
    pub wall: Timestamp,
    /// Sequence number of the roster in force; zero if none.
    pub roster_seq: u64,
    /// Members of the group in the roster's order, this router included.
    pub members: Vec<Member>,
    /// The other members.
    pub peers: Vec<PeerView>,
    /// The matrix.
    pub matrix: MatrixView,
    /// Endpoints of interest.
    pub endpoints: Vec<EndpointView>,
    /// Paths in use in the group, as their hops measured them.
    pub observations: Vec<ObservedPath>,
    /// Lanes that this router pays for.
    pub paid: Vec<PaidView>,
    /// Lanes that it serves.
    pub served: Vec<ServedView>,
    /// Dropped packets by reason; only reasons that occurred.
    pub drops: Vec<(DropReason, u64)>,
    /// Sums over all links.
    pub totals: Totals,
    /// The group's reporter.
    pub reporter: Option<NodeId>,
    /// Pairs of link statements seen that cannot both be true.
    pub contradictions: u64,
    /// Authentic control messages that could not be read, and own ones that could not be sealed.
    pub message_faults: (u64, u64),
}

/// What a router has counted of the traffic of others: what must not move because of a datagram that is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Octets of all lanes that it serves or pays for.
    pub lanes: u64,
    /// Packets that it delivered, relayed, or took for another copy.
    pub packets: u64,
    /// Octets of datagrams that it took from links.
    pub link_in: u64,
}

/// Another member.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Which.
    pub node: NodeId,
    /// Whether there is a session.
    pub is_up: bool,
    /// How its pulses arrive.
    pub state: MemberState,
    /// Where it proved to be.
    pub address: Option<SocketAddr>,
    /// What went to and came from it.
    pub meter: PeerMeter,
}

/// One endpoint of interest.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Which.
    pub node: NodeId,
    /// What is behind it.
    pub prefixes: Vec<IpNet>,
    /// The engaged paths; `None` = the default path.
    pub engaged: Option<Engaged>,
    /// Each forwarding class, in the order of the configuration; none while a rule shares all traffic out.
    pub classes: Vec<ClassView>,
    /// What was sent over each engaged path since the session's peer is known; octets of inner packets.
    pub sent: Vec<(EngagedPath, Count)>,
    /// Relays of the standby path.
    pub standby: Option<Vec<NodeId>>,
    /// Each candidate with its figures and rule.
    pub candidates: Vec<Candidate>,
    /// The last decisions, oldest first.
    pub decisions: Vec<Decision>,
    /// Offset of its clock over this router's: subtract it from raw delays.
    pub offset: Option<Bounded>,
    /// What the hops of the active path measured.
    pub hops: Vec<(NodeId, HopFigures)>,
}

impl EndpointView {
    /// Whether any traffic goes another way than the default path.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.engaged.is_some() || self.classes.iter().any(|class| class.path.is_some())
    }
}

/// Where a forwarding class goes.
#[derive(Clone, Debug)]
pub struct ClassView {
    /// What people call it.
    pub name: String,
    /// What it wants of paths.
    pub preference: Preference,
    /// Its packets.
    pub dscp: DscpSet,
    /// Its engaged path; `None` = the default path.
    pub path: Option<EngagedPath>,
}

impl Node {
    /// Everything as it is.
    #[must_use]
    pub fn view(&self, now: Instant) -> NodeView {
        NodeView {
            node: self.config.node,
            at: now,
            wall: self.config.clock.at(now),
            roster_seq: self.roster_seq,
            members: self.members.values().cloned().collect(),
            peers: self.peer_views(),
            matrix: self.control.matrix(now),
            endpoints: self.endpoint_views(now),
            observations: self.control.observations(now),
            paid: self.payer.views().collect(),
            served: self.payee.views().collect(),
            drops: self.dataplane.drops().iter().filter(|(_, count)| *count > 0).collect(),
            totals: self.dataplane.totals(),
            reporter: self.control.reporter(),
            contradictions: self.statements.contradictions(),
            message_faults: self.settling.message_faults(),
        }
    }

    /// Where members proved to be: sources of authentic datagrams.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.dataplane.addresses()
    }

    /// What this router has counted so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let packets = |m: &PeerMeter| m.delivered.packets + m.relayed.packets + m.copies.packets;
        Counted {
            lanes: self.dataplane.lanes().map(|(_, meter)| meter.octets.0).sum(),
            packets: self.dataplane.meters().map(|(_, meter)| packets(&meter)).sum(),
            link_in: self.dataplane.totals().link_in.octets,
        }
    }

    /// What this router's wall clock shows at `now`.
    #[must_use]
    pub fn wall(&self, now: Instant) -> Timestamp {
        self.config.clock.at(now)
    }

    /// The fresh rows of the group, signed by their measurers: what the reporter hands to the controller.
    #[must_use]
    pub fn signed_rows(&self, now: Instant) -> Vec<SignedRow> {
        self.control.signed_rows(now).cloned().collect()
    }

    /// The evidence of every lane that this router serves, for the shell that is leaving.
    #[must_use]
    pub fn all_evidence(&self) -> Vec<crate::pay::Evidence> {
        self.payee.all_evidence()
    }

    /// Whether lanes are still being wound up: a shell that leaves waits for it, within its patience.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.payer.views().next().is_some() || self.payee.has_unsettled()
    }

    fn peer_views(&self) -> Vec<PeerView> {
        let meters: std::collections::BTreeMap<_, _> = self.dataplane.meters().collect();
        let one = |(node, state)| PeerView {
            node,
            is_up: self.dataplane.is_up(node),
            state,
            address: self.dataplane.address(node),
            meter: meters.get(&node).copied().unwrap_or_default(),
        };
        self.control.member_states().map(one).collect()
    }

    fn endpoint_views(&self, now: Instant) -> Vec<EndpointView> {
        let one = |node| EndpointView {
            node,
            prefixes: self.steering.prefixes(node).to_vec(),
            engaged: self.steering.engaged(node).cloned(),
            classes: self.class_views(node),
            sent: self.sent(node),
            standby: self.control.standby(node).map(<[NodeId]>::to_vec),
            candidates: self.control.candidates(node, now),
            decisions: self.control.decisions(node).cloned().collect(),
            offset: self.control.clock_offset(node, now),
            hops: self.control.hops(node).collect(),
        };
        self.control.active_paths().map(|(node, _)| one(node)).collect()
    }
}

impl Node {
    /// Each class with its path, in the order of the configuration.
    fn class_views(&self, endpoint: NodeId) -> Vec<ClassView> {
        let is_shared = self.steering.engaged(endpoint).is_some_and(|engaged| engaged.is_shared);
        let view = |(class, place): (&ForwardingClass, u8)| {
            let mut paths = self.steering.of_classes(endpoint);
            let path = paths.find(|(other, _)| *other == place).map(|(_, path)| path.clone());
            let (name, preference) = (class.name.clone(), class.preference);
            ClassView { name, preference, dscp: class.dscp, path }
        };
        let classes = self.config.classes.iter().filter(|_| !is_shared);
        classes.zip(0..).map(view).collect()
    }

    fn sent(&self, endpoint: NodeId) -> Vec<(EngagedPath, Count)> {
        let paths = self.steering.engaged(endpoint).map_or(&[][..], |engaged| &engaged.paths);
        let count = |path: &EngagedPath| {
            let id = self.steering.path_id(endpoint, path);
            let found = self.dataplane.path_counts(endpoint).find(|(other, _)| *other == id);
            found.map_or(Count::default(), |(_, count)| count)
        };
        paths.iter().map(|path| (path.clone(), count(path))).collect()
    }
}

/// Why a path was left, in words.
pub(crate) fn cause_text(change: &PolicyChange) -> String {
    let cause = match change.cause {
        Cause::Started => "the endpoint became of interest",
        Cause::Blackout => "nothing arrives over the path any more",
        Cause::Loss => "the path loses packets",
        Cause::AddedDelay => "the path takes longer than it used to",
        Cause::Jitter => "the delay of the path varies",
        Cause::Gain => "another path is faster",
        Cause::Return => "the default path is well again",
        Cause::Pinned => "pinned by the operator",
        Cause::Unpinned => "the operator took the pin away",
        Cause::LaneLost => "a hop no longer serves the lane",
        Cause::StandbyChanged => "another path is kept ready",
        Cause::Shares => "several paths share the traffic",
        Cause::Left => "nothing is sent there any more",
    };
    match change.gain {
        Some(gain) => format!("{cause}; delay changes by {} us", -gain.as_micros()),
        None => cause.to_owned(),
    }
}
