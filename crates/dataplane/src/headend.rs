//! The headend: a packet of the host in, a sealed datagram out (H.Encaps of RFC 8986, reduced).
//!
//! The packet is wrapped where it lies, between the frame's head- and tailroom. Its inner source
//! must belong to this router's own host or site, because that is what the endpoint will check.
//! What does not fit the path is answered with "packet too big".

use crate::dataplane::Dataplane;
use crate::drop_reason::DropReason;
use crate::frame::Frame;
use crate::ip::Inner;
use crate::policy::Steering;
use crate::seal::Sealing;
use crate::verdict::{Forward, Verdict};
use crate::{mss, pmtu};
use srwan_wire::id::LaneLabel;
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
            return self.refuse_too_big(frame, &inner, steering.inner_mtu, now);
        }
        let sealing = self.sealing(&steering, now)?;
        let octets = u64::try_from(frame.packet().len()).unwrap_or(u64::MAX);
        if steering.lane != LaneLabel(0) {
            let hops = (self.me.node, Some(steering.first_hop));
            self.lanes.admit(steering.lane, hops, octets)?.count(octets);
        }
        mss::clamp(frame.packet_mut(), &inner, usize::from(steering.inner_mtu));
        let flow = inner.flow(frame.packet(), self.flow_hasher);
        let len = frame.packet().len();
        let (range, packet) = frame.wrap(sealing.header_len());
        self.seal(&sealing, packet).map_err(|_| DropReason::Expired)?;
        self.count_out(sealing.first.peer, range.len(), now);
        self.note_spoken(sealing.first.peer, now);
        self.count_sealed(&steering, len, now);
        Ok(Verdict::Forward(Forward { to: sealing.first.to, range, tos: inner.tos, flow }))
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

    fn count_sealed(&mut self, steering: &Steering, len: usize, now: Instant) {
        let endpoint = self.peers.slot(steering.endpoint).and_then(|slot| self.peers.get_mut(slot));
        if let Some(peer) = endpoint {
            peer.meter.sealed.add(len);
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
