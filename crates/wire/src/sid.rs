//! Segment identifiers and segment lists.
//!
//! A SID is 32 bits: 20 bits of node, 12 bits of function. It maps one to one to an SRv6 SID
//! `block:node:function::` in private mode ([`crate::srv6`]), so there is one SID space (docs/protocol.md).

use crate::id::NodeId;
use core::fmt;

/// Most SIDs a packet may list: three relays and the endpoint. Bounds loops (RFC 5095 is why) and the header's size.
pub const SEGMENTS_MAX: usize = 4;

/// Most relays between headend and endpoint.
pub const RELAYS_MAX: usize = SEGMENTS_MAX - 1;

/// What a SID does at the node that owns it.
///
/// - **Source:** RFC 8986 section 4; the numbers are our own 12-bit function values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointBehavior {
    /// `End`: forward to the next segment.
    End,
    /// `End.DT46`: decapsulate, then look the inner IPv4 or IPv6 destination up in the node's table. The UDP overlay's.
    EndDt46,
    /// `End.DX4`: decapsulate, then hand the inner IPv4 packet to a next hop. Kernel SRv6's, as are those below.
    EndDx4,
    /// `End.DT6`: decapsulate, then look the inner IPv6 destination up in the node's table.
    EndDt6,
    /// `End.DX6`: decapsulate, then hand the inner IPv6 packet to a next hop.
    EndDx6,
}

impl EndpointBehavior {
    /// The 12-bit function value.
    #[must_use]
    pub const fn function(self) -> u32 {
        match self {
            Self::End => 0x001,
            Self::EndDt46 => 0x002,
            Self::EndDx4 => 0x003,
            Self::EndDt6 => 0x004,
            Self::EndDx6 => 0x005,
        }
    }

    /// The behavior with this function value.
    #[must_use]
    pub const fn from_function(function: u32) -> Option<Self> {
        match function {
            0x001 => Some(Self::End),
            0x002 => Some(Self::EndDt46),
            0x003 => Some(Self::EndDx4),
            0x004 => Some(Self::EndDt6),
            0x005 => Some(Self::EndDx6),
            _ => None,
        }
    }
}

/// A segment identifier as it stands in a header: any 32 bits, checked when it is resolved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(u32);

impl Sid {
    /// The SID of `behavior` at `node`.
    #[must_use]
    pub const fn new(node: NodeId, behavior: EndpointBehavior) -> Self {
        Self(node.get() << 12 | behavior.function())
    }

    /// The SID with these 32 bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// All 32 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The node that owns this SID; `None` for node zero.
    #[must_use]
    pub const fn node(self) -> Option<NodeId> {
        NodeId::new(self.0 >> 12)
    }

    /// What the SID does; `None` for an unknown function.
    #[must_use]
    pub const fn behavior(self) -> Option<EndpointBehavior> {
        EndpointBehavior::from_function(self.0 & 0xfff)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}:{:03x})", self.0 >> 12, self.0 & 0xfff)
    }
}

/// The reduced segment list of a packet: endpoint first, the first relay left out (it is the outer destination).
///
/// - **Shape:** at most `SEGMENTS_MAX` SIDs, in reverse order of travel (RFC 8754 section 2), no node twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentList {
    sids: [Sid; SEGMENTS_MAX],
    len: u8,
}

/// Why a list of relays and an endpoint is no segment list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentListError {
    /// More relays than `RELAYS_MAX`.
    #[error("a path has at most {RELAYS_MAX} relays")]
    TooManyRelays,
    /// The same node twice, which would be a loop.
    #[error("node {0} stands twice in the path")]
    Repeated(NodeId),
}

impl SegmentList {
    /// The list that leads over `relays` to `endpoint`; empty when there is no relay.
    ///
    /// # Errors
    /// Refuses more than `RELAYS_MAX` relays and any node that stands twice.
    pub fn new(relays: &[NodeId], endpoint: NodeId) -> Result<Self, SegmentListError> {
        if relays.len() > RELAYS_MAX {
            return Err(SegmentListError::TooManyRelays);
        }
        if let Some(twice) = repeated(relays, endpoint) {
            return Err(SegmentListError::Repeated(twice));
        }
        let mut list = Self { sids: [Sid(0); SEGMENTS_MAX], len: 0 };
        if !relays.is_empty() {
            list.push(Sid::new(endpoint, EndpointBehavior::EndDt46));
            relays[1..].iter().rev().for_each(|r| list.push(Sid::new(*r, EndpointBehavior::End)));
        }
        Ok(list)
    }

    /// The SIDs, endpoint first.
    #[must_use]
    pub fn as_slice(&self) -> &[Sid] {
        &self.sids[..usize::from(self.len)]
    }

    fn push(&mut self, sid: Sid) {
        self.sids[usize::from(self.len)] = sid;
        self.len += 1;
    }
}

fn repeated(relays: &[NodeId], endpoint: NodeId) -> Option<NodeId> {
    let seen_before = |i: usize, node: &NodeId| relays[..i].contains(node) || *node == endpoint;
    relays.iter().enumerate().find(|(i, node)| seen_before(*i, node)).map(|(_, node)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    #[test]
    fn the_first_relay_is_left_out_and_the_endpoint_stands_first() {
        let list = SegmentList::new(&[node(1), node(2), node(3)], node(9)).unwrap();
        let expected = [
            Sid::new(node(9), EndpointBehavior::EndDt46),
            Sid::new(node(3), EndpointBehavior::End),
            Sid::new(node(2), EndpointBehavior::End),
        ];
        assert_eq!(list.as_slice(), expected);
    }

    #[test]
    fn every_behavior_has_a_function_of_its_own() {
        let behaviors = (0..=0xfff).filter_map(EndpointBehavior::from_function);
        let functions: Vec<_> = behaviors.map(EndpointBehavior::function).collect();
        assert_eq!(functions, [0x001, 0x002, 0x003, 0x004, 0x005]);
    }

    #[test]
    fn a_direct_path_lists_nothing() {
        assert!(SegmentList::new(&[], node(9)).unwrap().as_slice().is_empty());
    }

    #[test]
    fn loops_and_long_paths_are_refused() {
        let twice = SegmentList::new(&[node(1), node(1)], node(9));
        assert_eq!(twice, Err(SegmentListError::Repeated(node(1))));
        let back = SegmentList::new(&[node(1), node(9)], node(9));
        assert_eq!(back, Err(SegmentListError::Repeated(node(9))));
        let long = SegmentList::new(&[node(1), node(2), node(3), node(4)], node(9));
        assert_eq!(long, Err(SegmentListError::TooManyRelays));
    }
}
