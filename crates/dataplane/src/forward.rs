//! Receiving a segment-routed packet, and the relay (End of RFC 8986): check, bill, rewrite, send
//! on.
//!
//! The checks stand in the order of docs/protocol.md, cheapest first, and nothing is counted before
//! the last of them. A relay copies nothing, answers nothing, and sends only to a neighbour with
//! whom it has a session (I21).

use crate::dataplane::Dataplane;
use crate::drop_reason::DropReason;
use crate::ip::fold16;
use crate::peer::PeerSlot;
use crate::seal::Adjacency;
use crate::verdict::{Forward, Verdict};
use core::net::SocketAddr;
use srwan_wire::canary::{self, Canary};
use srwan_wire::id::{LaneLabel, NodeId, SessionIndex};
use srwan_wire::oam::OAM_LEN_MAX;
use srwan_wire::segment::{
    AEAD_TAG_LEN, HeaderError, HeaderView, LINK_TAG_LEN, PacketType, rewrite_for_next_hop,
};
use srwan_wire::sid::{EndpointBehavior, Sid};
use srwan_wire::time::Instant;

/// By which link a packet came, proven by its tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) tos: u8,
    pub(crate) now: Instant,
    /// The session whose link key made the tag.
    pub(crate) link: SessionIndex,
    /// Who sent it.
    pub(crate) previous: PeerSlot,
    /// Who sent it.
    pub(crate) previous_node: NodeId,
}

/// Where a relay sends a packet on, and what it writes into it.
struct NextHop {
    adjacency: Adjacency,
    segments_left: u8,
    header_len: usize,
    flow: u16,
}

impl Dataplane {
    /// Judges a datagram from the network; `tos` is the outer TOS octet or traffic class.
    ///
    /// A verdict's range counts from the start of `datagram`.
    pub fn receive(
        &mut self,
        from: SocketAddr,
        datagram: &mut [u8],
        tos: u8,
        now: Instant,
    ) -> Verdict {
        let judged = match PacketType::of(datagram) {
            Some(PacketType::Data | PacketType::Oam) => self.route(from, datagram, tos, now),
            Some(PacketType::Handshake) => self.take_direct_frame(from, datagram, now),
            None => Err(DropReason::NotOurs),
        };
        self.settle(judged)
    }

    fn route(
        &mut self,
        from: SocketAddr,
        packet: &mut [u8],
        tos: u8,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let header = HeaderView::parse(packet).map_err(reason_of)?;
        let (link, session) =
            self.sessions.by_link(header.link()).ok_or(DropReason::UnknownLink)?;
        if !session.is_live(now) {
            return Err(DropReason::Expired);
        }
        if !session.check.verify(header.tagged(), header.link_tag()) {
            return Err(DropReason::LinkTag);
        }
        let previous = session.peer;
        let node = self.peers.get(previous).ok_or(DropReason::UnknownLink)?.node;
        let arrival = Arrival { from, tos, now, link, previous, previous_node: node };
        if header.segments_left() > 0 {
            let hop = self.judge_relay(&arrival, &header)?;
            return self.relay(&arrival, &hop, packet);
        }
        check_endpoint(&header, self.me.node, node)?;
        if header.packet_type() == PacketType::Oam && header.session() == SessionIndex(0) {
            return self.take_relayed_frame(&arrival, &header);
        }
        let seal = self.judge_seal(&arrival, &header)?;
        self.decapsulate(&arrival, &seal, packet)
    }

    /// The checks of a relay; the last of them bills the packet.
    fn judge_relay(
        &mut self,
        arrival: &Arrival,
        header: &HeaderView<'_>,
    ) -> Result<NextHop, DropReason> {
        let node = next_hop(header, self.me.node, arrival.previous_node)?;
        let slot = self.peers.slot(node).ok_or(DropReason::NoAdjacency)?;
        let adjacency = self.adjacency(slot, arrival.now)?;
        match header.packet_type() {
            PacketType::Data => self.bill(arrival, header, node)?,
            PacketType::Oam | PacketType::Handshake => {
                self.spend_relay_budget(arrival, header.payload().len())?;
            }
        }
        let visited = usize::from(!canary::is(Canary::SegmentsStay));
        Ok(NextHop {
            adjacency,
            segments_left: u8::try_from(header.segments_left() - visited).unwrap_or_default(),
            header_len: header.header_len(),
            flow: fold16(u64::from(arrival.from.port() ^ header.session().link().0)),
        })
    }

    fn relay(
        &mut self,
        arrival: &Arrival,
        hop: &NextHop,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let NextHop { adjacency: next, header_len, flow, .. } = *hop;
        let link = self.sessions.get(next.session).ok_or(DropReason::NoAdjacency)?;
        rewrite_for_next_hop(packet, hop.segments_left, link.remote.link());
        let tag = link.tag.tag(&packet[..header_len]);
        packet[header_len..header_len + LINK_TAG_LEN].copy_from_slice(&tag);
        self.note_arrival(arrival, packet.len());
        self.note_heard(arrival.previous, arrival.now);
        self.count_out(next.peer, packet.len(), arrival.now);
        self.note_spoken(next.peer, arrival.now);
        let range = 0..packet.len();
        Ok(Verdict::Forward(Forward { to: next.to, range, tos: arrival.tos, flow }))
    }

    /// Bills a packet to its lane, once.
    fn bill(
        &mut self,
        arrival: &Arrival,
        header: &HeaderView<'_>,
        next: NodeId,
    ) -> Result<(), DropReason> {
        let octets = inner_len(header)?;
        let previous = self.peers.get_mut(arrival.previous).ok_or(DropReason::UnknownLink)?;
        if header.lane() == LaneLabel(0) {
            if !previous.config.relay_unbilled {
                return Err(DropReason::Unbilled);
            }
        } else {
            let hops = (arrival.previous_node, Some(next));
            let billed = u64::try_from(octets).unwrap_or(u64::MAX);
            self.lanes.admit(header.lane(), hops, billed)?.bill(header, billed)?;
        }
        previous.meter.relayed.add(octets);
        Ok(())
    }

    /// A control message costs a token for each usual one that would fit into it, so that long ones
    /// carry no more than short ones.
    fn spend_relay_budget(&mut self, arrival: &Arrival, octets: usize) -> Result<(), DropReason> {
        let tokens = octets.div_ceil(OAM_LEN_MAX + AEAD_TAG_LEN).max(1);
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let previous = self.peers.get_mut(arrival.previous).ok_or(DropReason::UnknownLink)?;
        let has_budget = previous.relay_budget.take_many(tokens, arrival.now);
        if has_budget { Ok(()) } else { Err(DropReason::RelayRate) }
    }

    /// Counts an accepted datagram of the link and takes it as proof that its sender has the link's
    /// session.
    pub(crate) fn note_arrival(&mut self, arrival: &Arrival, len: usize) {
        self.totals.link_in.add(len);
        if let Some(peer) = self.peers.get_mut(arrival.previous) {
            peer.meter.link_in.add(len);
            peer.received = arrival.now;
        }
        self.confirm(arrival.previous, arrival.link);
    }

    /// Notes that a keepalive came from `slot`.
    pub(crate) fn note_received(&mut self, slot: PeerSlot, now: Instant) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.received = now;
        }
    }

    /// Notes that something to be answered came from `slot`, as previous hop or as headend.
    pub(crate) fn note_heard(&mut self, slot: PeerSlot, now: Instant) {
        if let Some(peer) = self.peers.get_mut(slot) {
            (peer.received, peer.heard) = (now, now);
        }
    }
}

/// Octets of the inner packet of a data packet: what is billed.
pub(crate) fn inner_len(header: &HeaderView<'_>) -> Result<usize, DropReason> {
    header.payload().len().checked_sub(AEAD_TAG_LEN).ok_or(DropReason::Truncated)
}

/// The node to which a relay sends the packet on.
///
/// The header lists at most three SIDs; they and this router must all be different nodes, this
/// router must be the one whose turn it is, and the packet must have come from the node before it
/// (I22).
fn next_hop(header: &HeaderView<'_>, me: NodeId, previous: NodeId) -> Result<NodeId, DropReason> {
    let (listed, left) = (header.listed(), header.segments_left());
    if left < listed {
        check_visited(header, left, Sid::new(me, EndpointBehavior::End), previous)?;
    }
    for index in 0..left {
        let node = node_at(header, index)?;
        let is_repeated = (index + 1..listed).any(|other| node_at(header, other) == Ok(node));
        let is_repeated = is_repeated && !canary::is(Canary::ListedTwice);
        if node == me || node == previous || is_repeated {
            return Err(DropReason::Loop);
        }
    }
    node_at(header, left - 1)
}

/// The endpoint's checks of the list: it must be the endpoint, and the packet must have come from
/// the node before it.
fn check_endpoint(header: &HeaderView<'_>, me: NodeId, previous: NodeId) -> Result<(), DropReason> {
    let mine = Sid::new(me, EndpointBehavior::EndDt46);
    if header.listed() == 0 { Ok(()) } else { check_visited(header, 0, mine, previous) }
}

/// Whether it is `mine` at `index` and the previous hop is the node listed before it (the first
/// relay is not listed).
fn check_visited(
    header: &HeaderView<'_>,
    index: usize,
    mine: Sid,
    previous: NodeId,
) -> Result<(), DropReason> {
    if header.sid(index) != Some(mine) {
        return Err(DropReason::NoSuchSid);
    }
    match header.sid(index + 1).and_then(Sid::node) {
        Some(before) if before != previous => Err(DropReason::Loop),
        Some(_) | None => Ok(()),
    }
}

/// The node listed at `index`, which must have the function that belongs there.
fn node_at(header: &HeaderView<'_>, index: usize) -> Result<NodeId, DropReason> {
    let expected = if index == 0 { EndpointBehavior::EndDt46 } else { EndpointBehavior::End };
    let sid = header.sid(index).ok_or(DropReason::Header)?;
    match (sid.node(), sid.behavior()) {
        (Some(node), Some(behavior)) if behavior == expected => Ok(node),
        (_, _) => Err(DropReason::NoSuchSid),
    }
}

fn reason_of(error: HeaderError) -> DropReason {
    match error {
        HeaderError::Truncated => DropReason::Truncated,
        HeaderError::NotSegmentRouted => DropReason::NotOurs,
        HeaderError::Version(_) => DropReason::Version,
        HeaderError::SegmentList | HeaderError::SegmentsLeft | HeaderError::Padding => {
            DropReason::Header
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use srwan_wire::id::{LinkIndex, PathId};
    use srwan_wire::segment::Header;
    use srwan_wire::sid::SegmentList;

    fn node(raw: u32) -> NodeId {
        NodeId::new(raw).unwrap()
    }

    /// A packet that lists these SIDs, endpoint first, with `left` of them to visit.
    fn packet(sids: &[Sid], left: u8) -> Vec<u8> {
        let relays: Vec<_> = (100..).take(sids.len()).map(node).collect();
        let header = Header {
            oam: false,
            link: LinkIndex(1),
            session: SessionIndex(2),
            path: PathId(0),
            counter: 0,
            lane: LaneLabel(7),
            segments: SegmentList::new(&relays, node(99)).unwrap(),
        };
        let mut bytes = vec![0; header.len() + LINK_TAG_LEN + 40];
        header.write(&mut bytes);
        bytes[1] = bytes[1] & 0xf0 | left;
        for (slot, sid) in bytes[20..].chunks_exact_mut(4).zip(sids) {
            slot.copy_from_slice(&sid.bits().to_be_bytes());
        }
        bytes
    }

    fn dt46(raw: u32) -> Sid {
        Sid::new(node(raw), EndpointBehavior::EndDt46)
    }

    fn end(raw: u32) -> Sid {
        Sid::new(node(raw), EndpointBehavior::End)
    }

    /// What router 2 does with a packet from router 1.
    fn check(sids: &[Sid], left: u8, expected: Result<u32, DropReason>) {
        let bytes = packet(sids, left);
        let header = HeaderView::parse(&bytes).unwrap();
        let judged = next_hop(&header, node(2), node(1));
        assert_eq!(judged, expected.map(node), "{sids:?}, {left} left");
    }

    #[test]
    fn a_relay_sends_on_only_what_is_its_turn() {
        check(&[dt46(9)], 1, Ok(9));
        check(&[dt46(9), end(3)], 2, Ok(3));
        check(&[dt46(9), end(2)], 1, Ok(9));
        check(&[dt46(9), end(4), end(3)], 3, Ok(3));
        check(&[dt46(9), end(3), end(2)], 2, Ok(3));
        check(&[dt46(9), end(2), end(1)], 1, Ok(9));
        check(&[dt46(9), end(3)], 1, Err(DropReason::NoSuchSid));
        check(&[dt46(9), dt46(2)], 1, Err(DropReason::NoSuchSid));
    }

    #[test]
    fn a_path_that_leads_back_or_twice_to_a_node_is_a_loop() {
        check(&[dt46(1)], 1, Err(DropReason::Loop));
        check(&[dt46(2)], 1, Err(DropReason::Loop));
        check(&[dt46(9), end(2)], 2, Err(DropReason::Loop));
        check(&[dt46(9), end(1)], 2, Err(DropReason::Loop));
        check(&[dt46(2), end(2)], 1, Err(DropReason::Loop));
        check(&[dt46(9), end(9)], 2, Err(DropReason::Loop));
        check(&[dt46(9), end(3), end(3)], 3, Err(DropReason::Loop));
        check(&[dt46(9), end(2), end(9)], 1, Err(DropReason::Loop));
        check(&[dt46(9), end(2), end(3)], 1, Err(DropReason::Loop));
    }

    #[test]
    fn a_sid_has_a_node_and_the_function_of_its_place() {
        let (no_node, no_function) = (Sid::from_bits(0x002), Sid::from_bits(9 << 12 | 0x7ff));
        check(&[no_node], 1, Err(DropReason::NoSuchSid));
        check(&[no_function], 1, Err(DropReason::NoSuchSid));
        check(&[end(9)], 1, Err(DropReason::NoSuchSid));
        check(&[dt46(9), dt46(3)], 2, Err(DropReason::NoSuchSid));
    }

    #[test]
    fn an_endpoint_takes_only_what_ends_there_and_came_by_the_last_relay() {
        let check = |sids: &[Sid], expected| {
            let bytes = packet(sids, 0);
            let header = HeaderView::parse(&bytes).unwrap();
            assert_eq!(check_endpoint(&header, node(2), node(1)), expected, "{sids:?}");
        };
        check(&[dt46(2)], Ok(()));
        check(&[dt46(2), end(1)], Ok(()));
        check(&[dt46(2), end(1), end(3)], Ok(()));
        check(&[dt46(9)], Err(DropReason::NoSuchSid));
        check(&[end(2)], Err(DropReason::NoSuchSid));
        check(&[dt46(2), end(3)], Err(DropReason::Loop));
    }
}
