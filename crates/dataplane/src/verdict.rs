//! What is to be done with one packet.

use crate::drop_reason::DropReason;
use core::net::SocketAddr;
use core::ops::Range;
use srwan_wire::id::NodeId;

/// What is to be done with one packet. Ranges count from the start of the buffer that the packet
/// came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Hand the inner packet at `range` to the host.
    Deliver {
        /// Where the inner packet is.
        range: Range<usize>,
        /// Who wrapped it; this router itself when it is a message to its own host ("packet too
        /// big").
        origin: NodeId,
    },
    /// Send the datagram at `range`, which was rewritten in place.
    Forward(Forward),
    /// Hand the opened control message to the control plane.
    Punt(Oam),
    /// An inner packet that is not handed over by this verdict: another copy of it came first, or it
    /// waits for those before it. Drain `poll_delivery`.
    Withheld,
    /// Taken in by the data plane (a handshake, a keepalive): drain the `poll_*` methods.
    Consumed,
    /// Forget it; the reason was counted.
    Drop(DropReason),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Proven address of the next hop.
    pub to: SocketAddr,
    /// Where the datagram is in the buffer.
    pub range: Range<usize>,
    /// TOS octet or traffic class of the outer packet.
    pub tos: u8,
    /// Equal for the packets of a flow: choose the outer source port by it (ECMP, RSS, GRO).
    pub flow: u16,
}

/// A control message that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oam {
    /// Who sealed it.
    pub from: NodeId,
    /// Whether it came over relays.
    pub relayed: bool,
    /// Where its plaintext is in the buffer.
    pub range: Range<usize>,
}
