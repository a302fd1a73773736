//! What an executor beside the data plane must know to relay paid packets: links, adjacencies and lanes.
//!
//! The executor (a program in the network driver, say) holds a copy, which the shell keeps in step: after every input
//! it drains [`Dataplane::poll_fib_change`], as it drains transmits and events. A change says how its key is by now,
//! not what happened, so changes of one key between two drains are one, and order does not matter.
//!
//! A copy that lags does no harm. What is missing in it is left to the data plane. A link or an adjacency that is
//! gone here ends there with its keys, at `until`; a lane that is gone here has lost its place in the shared memory
//! at once, and credit and windows are not copied at all ([`crate::shared_lane`]).
//!
//! A session that nobody confirmed yet is no link here: its first packet must come to the data plane, which starts to
//! use it (see `handshake`).

use crate::dataplane::Dataplane;
use crate::shared_lane::LaneSlot;
use core::fmt;
use core::net::SocketAddr;
use srwan_wire::id::{LaneLabel, LinkIndex, NodeId};
use srwan_wire::time::Instant;
use zeroize::Zeroizing;

/// Sixteen octets of a SipHash-2-4 key. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret(Zeroizing<[u8; 16]>);

impl LinkSecret {
    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}

/// A link that packets to be relayed may come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibLink {
    /// Checks link tags.
    pub check: LinkSecret,
    /// Who sends by it.
    pub previous: NodeId,
    /// From when on it is not valid any more.
    pub until: Instant,
}

/// How packets reach a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibAdjacency {
    /// Its proven address.
    pub to: SocketAddr,
    /// How it names the link.
    pub link: LinkIndex,
    /// Makes link tags.
    pub tag: LinkSecret,
    /// From when on the link is not valid any more.
    pub until: Instant,
}

/// A lane whose packets may be carried by others, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibLane {
    /// Where its credit and windows are.
    pub slot: LaneSlot,
    /// Who sends its packets here.
    pub previous: NodeId,
    /// To whom they go.
    pub next: NodeId,
}

/// How a key is by now; `None` = it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FibChange {
    /// A link, by its index in headers that come in.
    Link(LinkIndex, Option<FibLink>),
    /// A neighbour.
    Adjacency(NodeId, Option<FibAdjacency>),
    /// A lane.
    Lane(LaneLabel, Option<FibLane>),
}

impl Dataplane {
    /// The next change for an executor's copy of the FIB; none unless a fast path was enabled.
    pub fn poll_fib_change(&mut self) -> Option<FibChange> {
        if let Some(link) = self.sessions.changed.as_mut().and_then(|set| set.pop_first()) {
            return Some(FibChange::Link(link, self.fib_link(link)));
        }
        if let Some(node) = self.peers.changed.as_mut().and_then(|set| set.pop_first()) {
            return Some(FibChange::Adjacency(node, self.fib_adjacency(node)));
        }
        let label = self.lanes.changed.pop_first()?;
        Some(FibChange::Lane(label, self.fib_lane(label)))
    }

    /// Has everything told anew by [`Dataplane::poll_fib_change`], for an executor that starts from nothing.
    pub fn export_fib(&mut self) {
        self.sessions.change_all();
        self.peers.change_all();
        self.lanes.change_all();
    }

    fn fib_link(&self, link: LinkIndex) -> Option<FibLink> {
        let (index, session) = self.sessions.by_link(link)?;
        let peer = self.peers.get(session.peer)?;
        let is_used = [peer.current, peer.previous].contains(&Some(index));
        is_used.then(|| FibLink {
            check: LinkSecret(session.check.secret()),
            previous: peer.node,
            until: session.ends(),
        })
    }

    fn fib_adjacency(&self, node: NodeId) -> Option<FibAdjacency> {
        let peer = self.peers.get(self.peers.slot(node)?)?;
        let session = self.sessions.get(peer.current?)?;
        Some(FibAdjacency {
            to: peer.address?,
            link: session.remote.link(),
            tag: LinkSecret(session.tag.secret()),
            until: session.ends(),
        })
    }

    fn fib_lane(&self, label: LaneLabel) -> Option<FibLane> {
        let (entry, slot) = self.lanes.slot(label)?;
        Some(FibLane { slot, previous: entry.previous, next: entry.next? })
    }
}
