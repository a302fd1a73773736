//! Control messages: sealed for the endpoint like data, over a path that the caller names.

use crate::dataplane::{Dataplane, Transmit};
use crate::drop_reason::DropReason;
use crate::peer::PeerSlot;
use crate::seal::Sealing;
use crate::session::OAM_PATH;
use core::net::SocketAddr;
use srwan_wire::id::{LaneLabel, NodeId};
use srwan_wire::oam::{PADDED_LEN_MAX, RelayedHandshake, Relays};
use srwan_wire::segment::AEAD_TAG_LEN;
use srwan_wire::sid::{SegmentList, SegmentListError};
use srwan_wire::time::Instant;

/// Why a control message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OamError {
    /// There is no session with the receiver. Connect first.
    #[error("there is no session with {0}")]
    NoSession(NodeId),
    /// The first hop is not a neighbour: its address is not proven or it has no session.
    #[error("{0} is not a neighbour")]
    NoAdjacency(NodeId),
    /// Longer than `PADDED_LEN_MAX`.
    #[error("a control message has at most {PADDED_LEN_MAX} octets")]
    TooLong,
    /// The relays and the receiver are no path.
    #[error("not a path: {0}")]
    Path(#[from] SegmentListError),
    /// All packet counters of the session were used; it is being replaced.
    #[error("the session with {0} is worn out")]
    Exhausted(NodeId),
}

impl Dataplane {
    /// Seals `payload` for `to` into `out` (which it empties first) and says where to send it: over
    /// the relays `via`.
    ///
    /// Send it from the main socket: peers take a new port of this router from control messages.
    ///
    /// # Errors
    /// [`OamError`]; then `out` is of no use.
    pub fn seal_oam(
        &mut self,
        to: NodeId,
        via: &[NodeId],
        payload: &[u8],
        out: &mut Vec<u8>,
        now: Instant,
    ) -> Result<SocketAddr, OamError> {
        if payload.len() > PADDED_LEN_MAX {
            return Err(OamError::TooLong);
        }
        let endpoint = self.peers.slot(to).and_then(|slot| self.current(slot, now));
        let endpoint = endpoint.map(|(_, index, _)| index).ok_or(OamError::NoSession(to))?;
        let mut sealing = self.control_sealing(to, via, now)?;
        sealing.endpoint = Some(endpoint);
        out.clear();
        out.resize(sealing.header_len(), 0);
        out.extend_from_slice(payload);
        out.resize(out.len() + AEAD_TAG_LEN, 0);
        self.seal(&sealing, out).map_err(|_| OamError::Exhausted(to))?;
        self.count_out(sealing.first.peer, out.len(), now);
        self.note_sealed(to, sealing.first.peer, payload, now);
        Ok(sealing.first.to)
    }

    /// Sends an empty control message to a peer the way its session came: it proves the session and
    /// keeps NAT open.
    pub(crate) fn send_keepalive(&mut self, slot: PeerSlot, now: Instant) {
        let Some((peer, _, session)) = self.current(slot, now) else { return };
        let (to, relays) = (peer.node, session.relays.clone());
        let mut bytes = Vec::new();
        if let Ok(address) = self.seal_oam(to, &relays, &[], &mut bytes, now) {
            self.transmit(Transmit { to: address, tos: 0, bytes });
        }
    }

    /// Sends a handshake frame to `to` over `relays`, which must not be empty.
    pub(crate) fn send_relayed(
        &mut self,
        to: NodeId,
        relays: &[NodeId],
        frame: &[u8],
        now: Instant,
    ) -> Result<(), OamError> {
        let sealing = self.control_sealing(to, relays, now)?;
        let listed = Relays::new(relays.to_vec()).unwrap_or_default();
        let message =
            RelayedHandshake { origin: self.me.node, relays: listed, frame: frame.to_vec() };
        let mut bytes = vec![0; sealing.header_len()];
        bytes.extend(message.encode());
        self.seal(&sealing, &mut bytes).map_err(|_| OamError::Exhausted(to))?;
        self.count_out(sealing.first.peer, bytes.len(), now);
        self.transmit(Transmit { to: sealing.first.to, tos: 0, bytes });
        Ok(())
    }

    /// Notes when something went to the receiver; a keepalive is not answered.
    fn note_sealed(&mut self, to: NodeId, first: PeerSlot, payload: &[u8], now: Instant) {
        let Some(slot) = self.peers.slot(to) else { return };
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.sent = now;
        }
        if !payload.is_empty() {
            self.note_spoken(slot, now);
            self.note_spoken(first, now);
        }
    }

    fn control_sealing(
        &self,
        to: NodeId,
        via: &[NodeId],
        now: Instant,
    ) -> Result<Sealing, OamError> {
        let segments = SegmentList::new(via, to)?;
        let first = via.first().copied().unwrap_or(to);
        let slot = self.peers.slot(first).ok_or(OamError::NoAdjacency(first))?;
        let first =
            self.adjacency(slot, now).map_err(|_: DropReason| OamError::NoAdjacency(first))?;
        Ok(Sealing {
            oam: true,
            first,
            endpoint: None,
            path: OAM_PATH,
            counter: None,
            lane: LaneLabel(0),
            segments,
        })
    }
}
