//! A row of the segment database: what lies between two routers, one way.

use core::time::Duration;
use std::net::SocketAddr;

use srwan_wire::id::{GroupId, NodeId};
use srwan_wire::pulse::Loss;
use srwan_wire::roster::{Class, Location, Member};
use srwan_wire::time::{Owd, Timestamp};

/// One end of a segment (the whitepaper's A-side and Z-side).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The router.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Address and port of its preferred endpoint.
    pub endpoint: Option<SocketAddr>,
    /// Where it is.
    pub location: Location,
    /// The network that it is in.
    pub asn: u32,
}

impl From<&Member> for Side {
    fn from(member: &Member) -> Self {
        Self {
            node: member.node,
            name: member.name.clone(),
            endpoint: member.endpoints.first().copied(),
            location: member.location.clone(),
            asn: member.asn,
        }
    }
}

/// What was measured of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// One-way delay; `None` if the clocks hide it and nothing is known of the way back.
    pub owd: Option<Owd>,
    /// How far `owd` may be from the truth because of the clocks.
    pub owd_error: Duration,
    /// Variation of the delay.
    pub jitter: Duration,
    /// Share of pulses lost.
    pub loss: Loss,
    /// How long ago the last of them arrived.
    pub age: Duration,
}

/// Where the figures of a segment come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The group whose matrix holds them.
    pub group: GroupId,
    /// Who reported them; the Z-side signed them.
    pub reporter: NodeId,
    /// In which round.
    pub round: u64,
}

/// One row of the segment database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts.
    pub a: Side,
    /// Where it ends; this side measured.
    pub z: Side,
    /// What was measured.
    pub figures: Figures,
    /// When, by the controller's clock.
    pub updated: Timestamp,
    /// What the A-side asks for carrying over it. **Units:** base per MB; `None` = not for sale.
    pub price: Option<u64>,
    /// Under which rules the A-side sells.
    pub class: Class,
    /// Where the figures come from.
    pub source: Source,
}
