//! The headend: a packet of the host in, a sealed datagram out (H.Encaps of RFC 8986, reduced).
//!
//! The packet is wrapped where it lies, between the frame's head- and tailroom. Its inner source
//! must belong to this router's own host or site, because that is what the endpoint will check.
//! What does not fit the path is fragmented if it may be, else answered with "packet too big".

use crate::dataplane::{Dataplane, Transmit};
use crate::drop_reason::DropReason;
use crate::frame::Frame;
use crate::ip::Inner;
use crate::policy::Steering;
use crate::seal::Sealing;
use crate::verdict::{Forward, Verdict};
use crate::{fragment, mss, pmtu};
use rand_chacha::rand_core::Rng;
use srwan_wire::id::LaneLabel;
use srwan_wire::segment::AEAD_TAG_LEN;
use srwan_wire::time::Instant;

impl Dataplane {
    /// Judges a packet that the host sent. The verdict's range counts from the start of the frame's
    /// buffer.
    pub fn headend(&mut self, frame: &mut Frame<'_>, now: Instant) -> Verdict {
        let judged = self.encapsulate(frame, now);
        self.settle(judged)
    }

    fn encapsulate(&mut self, frame: &mut Frame<'_>, now: Instant) -> Result<Verdict, DropReason> {
        let inner = Inner::parse(frame.packet()).map_err(|_| DropReason::InnerMalformed)?;
        if !self.own_sources.allow(inner.source) {
            return Err(DropReason::InnerSource);
        }
        let steering = *self.policies.lookup(inner.destination).ok_or(DropReason::NoPolicy)?;
        if frame.packet().len() > usize::from(steering.inner_mtu) {
            return self.fit(frame, &inner, &steering, now);
        }
        mss::clamp(frame.packet_mut(), &inner, usize::from(steering.inner_mtu));
        let flow = inner.flow(frame.packet(), self.flow_hasher);
        let len = frame.packet().len();
        let sealing = self.admit(&steering, len, now)?;
        let (range, packet) = frame.wrap(sealing.header_len());
        self.seal(&sealing, packet).map_err(|_| DropReason::Expired)?;
        self.count_wrapped((&steering, &sealing), (len, range.len()), now);
        Ok(Verdict::Forward(Forward { to: sealing.first.to, range, tos: inner.tos, flow }))
    }

    /// Finds the way and bills `len` octets to its lane.
    fn admit(
        &mut self,
        steering: &Steering,
        len: usize,
        now: Instant,
    ) -> Result<Sealing, DropReason> {
        let sealing = self.sealing(steering, now)?;
        let octets = u64::try_from(len).unwrap_or(u64::MAX);
        if steering.lane != LaneLabel(0) {
            let hops = (self.me.node, Some(steering.first_hop));
            self.lanes.admit(steering.lane, hops, octets)?.count(octets);
        }
        Ok(sealing)
    }

    /// A packet that the path cannot carry: in fragments if it may be fragmented, else its sender is told.
    fn fit(
        &mut self,
        frame: &mut Frame<'_>,
        inner: &Inner,
        steering: &Steering,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let mtu = usize::from(steering.inner_mtu);
        let fragments = fragment::split(frame.packet(), inner, mtu, self.rng.next_u32());
        if fragments.is_empty() {
            let least = if inner.destination.is_ipv6() { fragment::IPV6_MTU_MIN } else { 0 };
            let told = u16::try_from(mtu.max(least)).unwrap_or(u16::MAX);
            return self.refuse_too_big(frame, inner, told, now);
        }
        for fragment in fragments {
            self.send_apart(&fragment, steering, inner.tos, now)?;
        }
        Ok(Verdict::Consumed)
    }

    /// Wraps a packet in a buffer of its own, which leaves by `poll_transmit`.
    fn send_apart(
        &mut self,
        packet: &[u8],
        steering: &Steering,
        tos: u8,
        now: Instant,
    ) -> Result<(), DropReason> {
        let sealing = self.admit(steering, packet.len(), now)?;
        let mut bytes = vec![0; sealing.header_len()];
        bytes.extend_from_slice(packet);
        bytes.resize(bytes.len() + AEAD_TAG_LEN, 0);
        self.seal(&sealing, &mut bytes).map_err(|_| DropReason::Expired)?;
        self.count_wrapped((steering, &sealing), (packet.len(), bytes.len()), now);
        self.transmit(Transmit { to: sealing.first.to, tos, bytes });
        Ok(())
    }

    fn sealing(&self, steering: &Steering, now: Instant) -> Result<Sealing, DropReason> {
        let endpoint = self.peers.slot(steering.endpoint).ok_or(DropReason::NoSession)?;
        let (_, index, _) = self.current(endpoint, now).ok_or(DropReason::NoSession)?;
        let first = self.peers.slot(steering.first_hop).ok_or(DropReason::NoAdjacency)?;
        Ok(Sealing {
            oam: false,
            first: self.adjacency(first, now)?,
            endpoint: Some(index),
            path: steering.path_id,
            lane: steering.lane,
            segments: steering.segments,
        })
    }

    /// Counts an inner packet and the datagram that carries it.
    fn count_wrapped(
        &mut self,
        (steering, sealing): (&Steering, &Sealing),
        (inner, outer): (usize, usize),
        now: Instant,
    ) {
        self.count_out(sealing.first.peer, outer, now);
        self.note_spoken(sealing.first.peer, now);
        let endpoint = self.peers.slot(steering.endpoint).and_then(|slot| self.peers.get_mut(slot));
        if let Some(peer) = endpoint {
            peer.meter.sealed.add(inner);
            peer.sent = now;
            peer.spoken = now;
        }
    }

    fn refuse_too_big(
        &mut self,
        frame: &mut Frame<'_>,
        inner: &Inner,
        mtu: u16,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        if !self.too_big_budget.take(now) {
            return Err(DropReason::TooBig);
        }
        let range = pmtu::answer_too_big(frame, inner, mtu).map_err(|_| DropReason::TooBig)?;
        Ok(Verdict::Deliver { range, origin: self.me.node })
    }
}
