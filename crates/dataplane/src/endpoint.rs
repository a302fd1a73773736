//! The endpoint (End.DT46 of RFC 8986): open, check who may say this, deliver.
//!
//! The seal binds the whole list and the lane, so a packet opens only if it came the way its headend wrote. A counter is
//! recorded after its packet opened; billing and meters move last of all (I17, I18).

use crate::dataplane::{Dataplane, Event};
use crate::drop_reason::DropReason;
use crate::forward::{Arrival, inner_len};
use crate::ip::Inner;
use crate::peer::PeerSlot;
use crate::verdict::{Oam, Verdict};
use crate::{mss, tos};
use core::ops::Range;
use srwan_wire::id::{LaneLabel, NodeId, SessionIndex};
use srwan_wire::segment::{AAD_LEN_MAX, HeaderView, PacketType};

/// What an opened packet proved.
struct Opened {
    origin: PeerSlot,
    origin_node: NodeId,
    session: SessionIndex,
    is_relayed: bool,
    is_newest: bool,
    lane: LaneLabel,
    range: Range<usize>,
}

impl Dataplane {
    pub(crate) fn decapsulate(
        &mut self,
        arrival: &Arrival,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let header = HeaderView::parse(packet).map_err(|_| DropReason::Header)?;
        let kind = header.packet_type();
        let opened = self.open(arrival, packet)?;
        let range = opened.range.clone();
        let verdict = match kind {
            PacketType::Data => self.deliver(arrival, &opened, &mut packet[range])?,
            PacketType::Oam | PacketType::Handshake if range.is_empty() => Verdict::Consumed,
            PacketType::Oam | PacketType::Handshake => {
                let (from, relayed) = (opened.origin_node, opened.is_relayed);
                Verdict::Punt(Oam { from, relayed, range })
            }
        };
        self.note_arrival(arrival, packet.len());
        self.confirm(opened.origin, opened.session);
        if opened.range.is_empty() {
            self.peers.get_mut(opened.origin).map(|origin| origin.received = arrival.now);
        } else {
            self.note_heard(opened.origin, arrival.now);
            self.note_heard(arrival.previous, arrival.now);
        }
        self.roam(arrival, &opened, kind);
        Ok(verdict)
    }

    /// Authenticates the packet end to end and takes its counter.
    fn open(&mut self, arrival: &Arrival, packet: &mut [u8]) -> Result<Opened, DropReason> {
        let header = HeaderView::parse(packet).map_err(|_| DropReason::Header)?;
        let (index, path, counter) = (header.session(), header.path(), header.counter());
        let len = inner_len(&header)?;
        let session = self.sessions.get(index).ok_or(DropReason::UnknownSession)?;
        let origin = session.peer;
        let is_relayed = header.listed() > 0;
        if !is_relayed && origin != arrival.previous {
            return Err(DropReason::UnknownSession);
        }
        if is_relayed && origin == arrival.previous {
            return Err(DropReason::Loop);
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
        let aad_len = header.write_aad(&mut aad);
        let (nonce, start) = (header.path_and_counter(), header.payload_offset());
        let opened = session.open.open(nonce, &aad[..aad_len], &mut packet[start..]);
        opened.map_err(|_| DropReason::Unauthenticated)?;
        let session = self.sessions.get_mut(index).ok_or(DropReason::UnknownSession)?;
        let is_newest = session.accept_counter(path, counter).map_err(|_| DropReason::Replayed)?;
        let origin_node = self.peers.get(origin).ok_or(DropReason::UnknownSession)?.node;
        let range = start..start + len;
        Ok(Opened { origin, origin_node, session: index, is_relayed, is_newest, lane, range })
    }

    /// Checks the inner packet of an authentic data packet and counts it.
    fn deliver(
        &mut self,
        arrival: &Arrival,
        opened: &Opened,
        packet: &mut [u8],
    ) -> Result<Verdict, DropReason> {
        let inner = Inner::parse(packet).map_err(|_| DropReason::InnerMalformed)?;
        let origin = self.peers.get_mut(opened.origin).ok_or(DropReason::UnknownSession)?;
        if !origin.sources.allow(inner.source) {
            return Err(DropReason::InnerSource);
        }
        tos::decapsulate(packet, inner.tos, arrival.tos).map_err(|_| DropReason::Congested)?;
        mss::clamp(packet, &inner, usize::from(self.inner_mtu));
        if opened.lane != LaneLabel(0) {
            let octets = u64::try_from(packet.len()).unwrap_or(u64::MAX);
            self.lanes.admit(opened.lane, (arrival.previous_node, None), octets)?.count(octets);
        }
        origin.meter.delivered.add(packet.len());
        Ok(Verdict::Deliver { range: opened.range.clone(), origin: opened.origin_node })
    }

    /// Takes a new address of a peer from its newest authentic packet that came straight from it (I25).
    ///
    /// Data of one peer comes from several ports (one for each of its flows), so its port alone means nothing; control
    /// messages come from its main socket.
    fn roam(&mut self, arrival: &Arrival, opened: &Opened, kind: PacketType) {
        if opened.is_relayed || !opened.is_newest {
            return;
        }
        let Some(peer) = self.peers.get_mut(opened.origin) else { return };
        let has_moved = match (kind, peer.address) {
            (_, None) => true,
            (PacketType::Data, Some(address)) => address.ip() != arrival.from.ip(),
            (PacketType::Oam | PacketType::Handshake, Some(address)) => address != arrival.from,
        };
        if has_moved {
            peer.address = Some(arrival.from);
            self.emit(Event::Roamed(opened.origin_node, arrival.from));
        }
    }
}
