//! The endpoint (End.DT46 of RFC 8986): open, check who may say this, deliver.
//!
//! The seal binds the whole list and the lane, so a packet opens only if it came the way its
//! headend wrote. A counter is recorded after its packet opened; billing and meters move last of
//! all (I17, I18).

use crate::dataplane::{Dataplane, Event};
use crate::drop_reason::DropReason;
use crate::forward::{Arrival, inner_len};
use crate::ip::Inner;
use crate::peer::PeerSlot;
use crate::reorder::Place;
use crate::sequencer::Position;
use crate::verdict::{Oam, Verdict};
use crate::{mss, tos};
use core::ops::Range;
use srwan_wire::canary::{self, Canary};
use srwan_wire::id::{LaneLabel, NodeId, PathId, SessionIndex};
use srwan_wire::path_group::PathGroup;
use srwan_wire::segment::{AAD_LEN_MAX, HeaderView, PacketType};
use srwan_wire::time::Instant;

/// A packet that ends here, before it is opened: everything that its header says.
pub(crate) struct Sealed {
    kind: PacketType,
    session: SessionIndex,
    origin: PeerSlot,
    origin_node: NodeId,
    is_relayed: bool,
    lane: LaneLabel,
    path: PathId,
    counter: u64,
    nonce: u64,
    aad: [u8; AAD_LEN_MAX],
    aad_len: usize,
    /// Where the plaintext will be.
    range: Range<usize>,
}

impl Dataplane {
    /// The checks before a packet is opened: whose it is, by which way it came, who pays, and that
    /// it is not a replay.
    pub(crate) fn judge_seal(
        &mut self,
        arrival: &Arrival,
        header: &HeaderView<'_>,
    ) -> Result<Sealed, DropReason> {
        let (path, counter) = (header.path(), header.counter());
        let len = inner_len(header)?;
        let session = self.sessions.get(header.session()).ok_or(DropReason::UnknownSession)?;
        let origin = session.peer;
        let is_relayed = header.listed() > 0;
        match (is_relayed, origin == arrival.previous) {
            (false, false) => return Err(DropReason::UnknownSession),
            (true, true) => return Err(DropReason::Loop),
            (false, true) | (true, false) => {}
        }
        if !session.is_live(arrival.now) {
            return Err(DropReason::Expired);
        }
        let lane = match header.packet_type() {
            PacketType::Data => header.lane(),
            PacketType::Oam | PacketType::Handshake => LaneLabel(0),
        };
        if lane != LaneLabel(0) {
            let octets = u64::try_from(len).unwrap_or(u64::MAX);
            self.lanes.admit(lane, (arrival.previous_node, None), octets)?;
        }
        session.check_counter(path, counter).map_err(|_| DropReason::Replayed)?;
        let mut aad = [0; AAD_LEN_MAX];
        let start = header.payload_offset();
        Ok(Sealed {
            kind: header.packet_type(),
            session: header.session(),
            origin,
            origin_node: self.peers.get(origin).ok_or(DropReason::UnknownSession)?.node,
            is_relayed,
            lane,
            path,
            counter,
            nonce: header.path_and_counter(),
            aad_len: header.write_aad(&mut aad),
            aad,
            range: start..start + len,
        })
    }

    pub(crate) fn decapsulate(
        &mut self,
        arrival: &Arrival,
        seal: &Sealed,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        if canary::is(Canary::CountsForged) {
            self.note_arrival(arrival, packet.len());
        }
        let is_newest = self.open(seal, packet)?;
        let range = seal.range.clone();
        let is_keepalive = seal.kind == PacketType::Oam && range.is_empty();
        let verdict = match seal.kind {
            PacketType::Data => self.deliver(arrival, seal, &mut packet[range])?,
            PacketType::Oam | PacketType::Handshake if is_keepalive => Verdict::Consumed,
            PacketType::Oam | PacketType::Handshake => {
                Verdict::Punt(Oam { from: seal.origin_node, relayed: seal.is_relayed, range })
            }
        };
        self.note_arrival(arrival, packet.len());
        self.confirm(seal.origin, seal.session);
        if is_keepalive {
            self.note_received(seal.origin, arrival.now);
        } else {
            self.note_heard(seal.origin, arrival.now);
            self.note_heard(arrival.previous, arrival.now);
        }
        if is_newest {
            self.roam(arrival, seal);
        }
        Ok(verdict)
    }

    /// Authenticates the packet end to end and takes its counter; whether it is the newest of its
    /// path that came straight from its sender. Those that came over relays do not matter: quicker
    /// relays overtake each packet of a slow direct path.
    fn open(&mut self, seal: &Sealed, packet: &mut [u8]) -> Result<bool, DropReason> {
        let session = self.sessions.get_mut(seal.session).ok_or(DropReason::UnknownSession)?;
        let (aad, sealed) = (&seal.aad[..seal.aad_len], &mut packet[seal.range.start..]);
        session.open.open(seal.nonce, aad, sealed).map_err(|_| DropReason::Unauthenticated)?;
        session.accept_counter(seal.path, seal.counter).map_err(|_| DropReason::Replayed)?;
        Ok(!seal.is_relayed && session.is_newest_direct(seal.path, seal.counter))
    }

    /// Checks the inner packet of an authentic data packet and counts it.
    fn deliver(
        &mut self,
        arrival: &Arrival,
        seal: &Sealed,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let inner = Inner::parse(packet).map_err(|_| DropReason::InnerMalformed)?;
        let origin = self.peers.get(seal.origin).ok_or(DropReason::UnknownSession)?;
        if !origin.sources.allow(inner.source) {
            return Err(DropReason::InnerSource);
        }
        tos::decapsulate(packet, inner.tos, arrival.tos).map_err(|_| DropReason::Congested)?;
        self.clamp_answers(packet, &inner);
        if seal.lane != LaneLabel(0) {
            let octets = u64::try_from(packet.len()).unwrap_or(u64::MAX);
            self.lanes.admit(seal.lane, (arrival.previous_node, None), octets)?.count(octets);
        }
        Ok(self.hand_over(seal, packet, arrival.now))
    }

    /// Delivers a packet that was checked and billed, unless a copy of it came before or it must wait
    /// for others.
    fn hand_over(&mut self, seal: &Sealed, packet: &[u8], now: Instant) -> Verdict {
        let group = PathGroup::of(seal.path);
        let is_first = group.is_none_or(|(group, _)| {
            let session = self.sessions.get_mut(seal.session);
            session.is_some_and(|session| session.accept_in_group(group, seal.counter))
        });
        if let Some(origin) = self.peers.get_mut(seal.origin) {
            let meter = &mut origin.meter;
            let count = if is_first { &mut meter.delivered } else { &mut meter.copies };
            count.add(packet.len());
        }
        let place = match group {
            Some((group, member)) if is_first && group.is_in_order() => {
                let (session, counter, origin) = (seal.session, seal.counter, seal.origin_node);
                let position = Position { session, group, member, counter, origin };
                self.sequencer.arrive(position, packet, now)
            }
            Some(_) | None => Place::Now,
        };
        if is_first && place == Place::Now {
            return Verdict::Deliver { range: seal.range.clone(), origin: seal.origin_node };
        }
        Verdict::Withheld
    }

    /// A SYN tells its receiver how large the segments may be that it sends back: they must fit this
    /// host's interface and this router's path to the sender.
    fn clamp_answers(&self, packet: &mut [u8], inner: &Inner) {
        if mss::is_syn(packet, inner) {
            let path = self.policies.lookup(inner.source).map(|back| back.inner_mtu);
            let mtu = path.map_or(self.inner_mtu, |path| path.min(self.inner_mtu));
            mss::clamp(packet, inner, usize::from(mtu));
        }
    }

    /// Takes a new address of a peer from its newest authentic packet that came straight from it
    /// (I25).
    ///
    /// Data of one peer comes from several ports (one for each of its flows), so its port alone
    /// means nothing; control messages come from its main socket.
    fn roam(&mut self, arrival: &Arrival, seal: &Sealed) {
        let Some(peer) = self.peers.get_mut(seal.origin) else { return };
        let has_moved = match (seal.kind, peer.address) {
            (_, None) => true,
            (PacketType::Data, Some(address)) => address.ip() != arrival.from.ip(),
            (PacketType::Oam | PacketType::Handshake, Some(address)) => address != arrival.from,
        };
        if has_moved {
            peer.address = Some(arrival.from);
            peer.is_proven = true;
            self.peers.touch(seal.origin_node);
            self.emit(Event::Roamed(seal.origin_node, arrival.from));
        }
    }
}
