//! What the shell is asked to do, what it tells the node, and what people get to see.

use crate::destination::Measurement;
use crate::pay::{Evidence, LaneFact, LanePhase, LaneRequest, PathKey};
use ipnet::IpNet;
use srwan_control::SegmentChange;
use srwan_dataplane::Spread;
use srwan_wire::id::{ChainId, LaneId, LaneLabel, NodeId, Octets};
use std::net::SocketAddr;

/// A datagram that the node made itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// TOS octet or traffic class.
    pub tos: u8,
    /// The datagram.
    pub payload: Vec<u8>,
}

/// What a node asks its shell to do or to tell people.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeEvent {
    /// Let packets for these prefixes take a path: route them into the TUN device, or have the kernel carry them. Told
    /// again when the path or who pays for it changes.
    Engage {
        /// Where the path ends.
        endpoint: NodeId,
        /// Its relays in order.
        relays: Vec<NodeId>,
        /// Whether a lane pays for it: then this node has to count what it carries.
        is_billed: bool,
        /// What goes there.
        prefixes: Vec<IpNet>,
    },
    /// Take the routes of these prefixes back: their traffic takes the host's own default route.
    Release {
        /// Where the path ended.
        endpoint: NodeId,
        /// What went there.
        prefixes: Vec<IpNet>,
    },
    /// Send this echo request over the default path; answer with [`crate::Node::handle_measured`].
    Measure(Measurement),
    /// Route flows to this destination that begin from now on into the TUN device.
    EngageFlows {
        /// A destination without a router.
        destination: IpNet,
        /// Where they leave, with that router's source address.
        egress: NodeId,
    },
    /// Flows to this destination that begin from now on take the host's own default route; those that have begun stay.
    ReleaseFlows {
        /// A destination without a router.
        destination: IpNet,
        /// Where flows left.
        egress: NodeId,
    },
    /// Take the route of what is left of these flows back.
    EndFlows {
        /// A destination without a router.
        destination: IpNet,
        /// Where flows left.
        egress: NodeId,
    },
    /// The path of an endpoint changed.
    PathChanged(PathChange),
    /// Other paths share the traffic for an endpoint than before.
    PathsShared(PathShares),
    /// Open a lane; answer with [`LedgerFact::Opened`] or [`LedgerFact::OpenFailed`].
    OpenLane(LaneRequest),
    /// Close a lane.
    CloseLane(LaneId),
    /// Look a finalized lane up; answer with [`LedgerFact::Lane`].
    LookUpLane(LaneId),
    /// Put this evidence on disk, then answer with [`LedgerFact::Stored`].
    Store(Evidence),
    /// Submit this evidence; answer with [`LedgerFact::Settled`] once it is final.
    Settle(Evidence),
    /// The lane of a path that this router pays for changed; told once per path and phase.
    LaneChanged {
        /// The path it pays for.
        path: PathKey,
        /// Its phase.
        phase: LanePhase,
    },
    /// A session with a router came up.
    PeerUp {
        /// Which.
        node: NodeId,
    },
    /// The sessions with a router are gone.
    PeerDown {
        /// Which.
        node: NodeId,
    },
    /// A segment that ends here is no longer what it was (W31).
    SegmentChanged {
        /// Where it starts.
        from: NodeId,
        /// What changed.
        change: SegmentChange,
    },
    /// Each cell of the matrix between live members is known for the first time.
    MatrixComplete,
    /// This router became the group's reporter, or is no longer.
    Reporter(bool),
    /// The answers to a ping that a person asked for.
    Pinged(crate::ping::PingOutcome),
}

/// A path left, a path taken, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct PathChange {
    /// Where both paths end.
    pub endpoint: NodeId,
    /// Name of the forwarding class that moved; `None` = all that is of no class.
    pub class: Option<String>,
    /// Relays of the path left; `None` = the default path.
    pub from: Option<Vec<NodeId>>,
    /// Relays of the path taken; `None` = the default path.
    pub to: Option<Vec<NodeId>>,
    /// Why, with figures.
    pub reason: String,
}

/// Paths that share the traffic for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathShares {
    /// Where they end.
    pub endpoint: NodeId,
    /// How the traffic is spread.
    pub spread: Spread,
    /// Relays and weight of each; none: the default path.
    pub paths: Vec<(Vec<NodeId>, u8)>,
}

/// What the ledger, or the disk beside it, has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerFact {
    /// Which ledger it is.
    Chain(ChainId),
    /// A lane that was asked for is final.
    Opened {
        /// The request.
        label: LaneLabel,
        /// The lane.
        lane: LaneId,
        /// Its terms.
        fact: LaneFact,
    },
    /// A lane that was asked for will not be.
    OpenFailed {
        /// The request.
        label: LaneLabel,
    },
    /// What a look-up found; `None` = no such lane (yet).
    Lane {
        /// The lane.
        lane: LaneId,
        /// What the ledger shows.
        fact: Option<LaneFact>,
    },
    /// Evidence up to so many octets of the payer's receipt is on disk.
    Stored {
        /// The lane.
        lane: LaneId,
        /// Octets of the stored receipt.
        octets: Octets,
    },
    /// A lane is settled up to so many octets.
    Settled {
        /// The lane.
        lane: LaneId,
        /// Octets in all.
        octets: Octets,
    },
}
