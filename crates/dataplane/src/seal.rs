//! Sealing: what headend packets and control messages have in common.
//!
//! Header, then AEAD for the endpoint over the payload where it lies, then the link tag for the
//! first hop.

use crate::dataplane::Dataplane;
use crate::drop_reason::DropReason;
use crate::peer::PeerSlot;
use crate::session::Exhausted;
use core::net::SocketAddr;
use srwan_wire::id::{LaneLabel, PathId, SessionIndex};
use srwan_wire::segment::{
    AAD_LEN_MAX, AEAD_TAG_LEN, COUNTER_MAX, Header, HeaderView, LINK_TAG_LEN,
};
use srwan_wire::sid::SegmentList;
use srwan_wire::time::Instant;

/// A neighbour to whom a packet can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adjacency {
    pub(crate) peer: PeerSlot,
    pub(crate) session: SessionIndex,
    pub(crate) to: SocketAddr,
}

/// Where a packet goes and under which name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealing {
    pub(crate) oam: bool,
    pub(crate) first: Adjacency,
    /// The session with the endpoint; `None` for a payload that is not sealed.
    pub(crate) endpoint: Option<SessionIndex>,
    pub(crate) path: PathId,
    /// The packet counter, if it was taken already: for copies.
    pub(crate) counter: Option<u64>,
    pub(crate) lane: LaneLabel,
    pub(crate) segments: SegmentList,
}

impl Sealing {
    fn header(&self) -> Header {
        Header {
            oam: self.oam,
            link: srwan_wire::id::LinkIndex(0),
            session: SessionIndex(0),
            path: self.path,
            counter: 0,
            lane: self.lane,
            segments: self.segments,
        }
    }

    /// Octets before the payload: header and link tag.
    pub(crate) fn header_len(&self) -> usize {
        self.header().len() + LINK_TAG_LEN
    }
}

impl Dataplane {
    /// The neighbour behind `slot`, if it is one: its address is proven and its session is live.
    pub(crate) fn adjacency(&self, slot: PeerSlot, now: Instant) -> Result<Adjacency, DropReason> {
        let (peer, session, _) = self.current(slot, now).ok_or(DropReason::NoAdjacency)?;
        let to = peer.address.ok_or(DropReason::NoAdjacency)?;
        Ok(Adjacency { peer: slot, session, to })
    }

    /// Writes the header to the start of `packet` and seals what lies between it and the last
    /// [`AEAD_TAG_LEN`] octets, which get the tag. Without a session with the endpoint the payload
    /// reaches to the end and stays as it is.
    pub(crate) fn seal(&mut self, sealing: &Sealing, packet: &mut [u8]) -> Result<(), Exhausted> {
        let mut header = sealing.header();
        let link = self.sessions.get(sealing.first.session).ok_or(Exhausted)?;
        header.link = link.remote.link();
        if let Some(endpoint) = sealing.endpoint {
            let session = self.sessions.get_mut(endpoint).ok_or(Exhausted)?;
            header.session = session.remote;
            header.counter = match sealing.counter {
                Some(counter) => counter,
                None => session.take_counter(sealing.path)?,
            };
            header.write(packet);
            let (aad, aad_len) = aad_of(packet);
            let nonce = u64::from(header.path.0) << 56 | header.counter & COUNTER_MAX;
            let (rest, tag) = packet.split_at_mut(packet.len() - AEAD_TAG_LEN);
            let payload = &mut rest[header.len() + LINK_TAG_LEN..];
            tag.copy_from_slice(&session.seal.seal(nonce, &aad[..aad_len], payload));
        } else {
            header.write(packet);
        }
        let link = self.sessions.get(sealing.first.session).ok_or(Exhausted)?;
        let tag = link.tag.tag(&packet[..header.len()]);
        packet[header.len()..header.len() + LINK_TAG_LEN].copy_from_slice(&tag);
        Ok(())
    }

    /// Counts a datagram of `len` octets to the neighbour `slot`.
    pub(crate) fn count_out(&mut self, slot: PeerSlot, len: usize, now: Instant) {
        self.totals.link_out.add(len);
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.meter.link_out.add(len);
            peer.sent = now;
        }
    }

    /// Notes that something that is answered sooner or later goes to `slot`, as next hop or as
    /// endpoint.
    pub(crate) fn note_spoken(&mut self, slot: PeerSlot, now: Instant) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.spoken = now;
        }
    }
}

fn aad_of(packet: &[u8]) -> ([u8; AAD_LEN_MAX], usize) {
    let mut aad = [0; AAD_LEN_MAX];
    let len = HeaderView::parse(packet).map_or(0, |view| view.write_aad(&mut aad));
    (aad, len)
}
