//! What control hands out: messages to send, and things that happened.

use std::net::IpAddr;

use ipnet::IpNet;
use srwan_wire::id::{NodeId, PathId};
use srwan_wire::oam::Oam;
use srwan_wire::time::{Instant, Owd};

use crate::decision::Cause;
use crate::segment_watch::SegmentChange;
use crate::spread::SpreadMode;

/// A message that is to be sealed for `to` and sent over exactly `via`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlTransmit {
    /// For whom.
    pub to: NodeId,
    /// Over these relays, in order; empty is the direct path.
    pub via: Vec<NodeId>,
    /// What.
    pub oam: Oam,
}

/// How a session with a member goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Datagrams go straight to it.
    Direct,
    /// Only over relays.
    Relayed,
}

/// How well a member is reached, from its pulses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// No session, or nothing heard for three intervals.
    Unreachable,
    /// Its pulses arrive over relays only.
    Relayed,
    /// Its pulses arrive directly.
    Direct,
}

/// Whether the hops of a path serve its lane, as the node found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LaneState {
    /// It is being opened and set up.
    Pending,
    /// Every hop serves it.
    Ready,
    /// A hop refused or stopped serving, or the escrow does not suffice.
    Refused,
}

/// Something that happened, for the node to act on or to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlEvent {
    /// Traffic for an endpoint moves.
    PolicyChange(PolicyChange),
    /// Open and set up a lane for this path: it may soon carry traffic.
    LaneWanted {
        /// Where the path ends.
        endpoint: NodeId,
        /// Its relays in order.
        relays: Vec<NodeId>,
    },
    /// The lane for this path is not needed any more.
    LaneUnwanted {
        /// Where the path ends.
        endpoint: NodeId,
        /// Its relays in order.
        relays: Vec<NodeId>,
    },
    /// Traffic for an endpoint is shared by other paths than before.
    SpreadChange(SpreadChange),
    /// Packets over this path may be so long from this moment.
    InnerMtu {
        /// Where the path ends.
        endpoint: NodeId,
        /// Its relays in order; empty is the direct path.
        relays: Vec<NodeId>,
        /// The largest inner packet. **Units:** octets.
        octets: u16,
    },
    /// There is no direct way to this member: open a session with it over these relays.
    ConnectVia {
        /// The member.
        peer: NodeId,
        /// The relays in order.
        relays: Vec<NodeId>,
    },
    /// There is a direct session with this member, and nothing comes directly any more: call it again at all of its
    /// addresses.
    CallAgain {
        /// The member.
        peer: NodeId,
    },
    /// A member is reached otherwise than before.
    Member {
        /// The member.
        node: NodeId,
        /// How.
        state: MemberState,
    },
    /// A segment that ends here is no longer what it was.
    SegmentAlarm(SegmentAlarm),
    /// Another member (maybe this one) reports the group to the controller.
    Reporter {
        /// The member.
        node: NodeId,
    },
}

/// What the pulses of a member showed of the segment from it to this node (W31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAlarm {
    /// Where the segment starts.
    pub from: NodeId,
    /// What changed, and how far.
    pub change: SegmentChange,
    /// When the pulse came that showed it.
    pub at: Instant,
}

/// What destinations without a router ask of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationEvent {
    /// Ping this address once over the default path, and tell the result
    /// ([`crate::Control::handle_destination_rtt`]).
    Measure {
        /// The watched destination.
        destination: IpNet,
        /// What to ping.
        address: IpAddr,
    },
    /// Ping this address once for another member, if the egress rules allow it, and answer
    /// ([`crate::Control::answer_destination`]).
    MeasureFor {
        /// Who asked.
        asker: NodeId,
        /// What to ping.
        address: IpAddr,
    },
    /// Traffic for a destination without a router goes elsewhere. Watch the paths to the egress
    /// ([`crate::Control::set_interest`]).
    Change(DestinationChange),
}

/// Traffic for a destination without a router goes over another egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationChange {
    /// The destination.
    pub destination: IpNet,
    /// Over which egress from this moment; `None` is the default path.
    pub egress: Option<NodeId>,
    /// Over which before.
    pub previous: Option<NodeId>,
    /// When it was decided.
    pub at: Instant,
}

/// The paths that share the traffic for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadChange {
    /// Where the traffic goes in the end.
    pub endpoint: NodeId,
    /// How it is spread.
    pub mode: SpreadMode,
    /// Over which paths from this moment; none: the default path.
    pub paths: Vec<SpreadPath>,
    /// When it was decided.
    pub at: Instant,
}

/// One of several paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadPath {
    /// Its relays; empty is the direct path.
    pub relays: Vec<NodeId>,
    /// Its number among the probed paths.
    pub path: PathId,
    /// Its share, relative to the others'.
    pub weight: u8,
}

/// Traffic for an endpoint moves to another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChange {
    /// Where the traffic goes in the end.
    pub endpoint: NodeId,
    /// That of which forwarding class, by its place in [`crate::ControlConfig::classes`]; `None` for all that is of no
    /// class.
    pub class: Option<u8>,
    /// The relays from this moment; `None` is the default path.
    pub active: Option<Vec<NodeId>>,
    /// The relays before; `None` was the default path.
    pub previous: Option<Vec<NodeId>>,
    /// The path's number in the session with the endpoint: its packet counter and replay window.
    pub path: PathId,
    /// Why.
    pub cause: Cause,
    /// Raw delay of the path before minus that of the path from this moment, if both were measured.
    pub gain: Option<Owd>,
    /// When it was decided.
    pub at: Instant,
}
