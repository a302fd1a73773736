//! The headend: a packet of the host in, a sealed datagram out (H.Encaps of RFC 8986, reduced).
//!
//! The packet is wrapped where it lies, between the frame's head- and tailroom. Its inner source
//! must belong to this router's own host or site, because that is what the endpoint will check.
//! What does not fit the path is fragmented if it may be, else answered with "packet too big".

use crate::dataplane::{Dataplane, Transmit};
use crate::drop_reason::DropReason;
use crate::frame::Frame;
use crate::ip::Inner;
use crate::seal::Sealing;
use crate::steering::Pick;
use crate::verdict::{Forward, Verdict};
use crate::{fragment, mss, pmtu};
use rand_chacha::rand_core::Rng;
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
        let flow = inner.flow(frame.packet(), self.flow_hasher);
        let steering = self.policies.lookup_mut(inner.destination).ok_or(DropReason::NoPolicy)?;
        let pick = steering.pick(flow, inner.tos);
        if frame.packet().len() > usize::from(pick.inner_mtu) {
            return self.fit(frame, &inner, &pick, now);
        }
        mss::clamp(frame.packet_mut(), &inner, usize::from(pick.inner_mtu));
        let sealing = self.choose_path(frame.packet(), &inner, &pick, now)?;
        let len = frame.packet().len();
        let (range, packet) = frame.wrap(sealing.header_len());
        self.seal(&sealing, packet).map_err(|_| DropReason::Expired)?;
        self.count_wrapped(&sealing, (len, range.len()), now);
        Ok(Verdict::Forward(Forward { to: sealing.first.to, range, tos: inner.tos, flow }))
    }

    /// A packet that the path cannot carry: in fragments if it may be fragmented, else its sender is
    /// told.
    fn fit(
        &mut self,
        frame: &mut Frame<'_>,
        inner: &Inner,
        pick: &Pick,
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let mtu = usize::from(pick.inner_mtu);
        let fragments = fragment::split(frame.packet(), inner, mtu, self.rng.next_u32());
        if fragments.is_empty() {
            let least = if inner.destination.is_ipv6() { fragment::IPV6_MTU_MIN } else { 0 };
            let told = u16::try_from(mtu.max(least)).unwrap_or(u16::MAX);
            return self.refuse_too_big(frame, inner, told, now);
        }
        for fragment in fragments {
            let sealing = self.choose_path(&fragment, inner, pick, now)?;
            self.send_apart(&fragment, &sealing, inner.tos, now)?;
        }
        Ok(Verdict::Consumed)
    }

    /// Wraps a packet in a buffer of its own, which leaves by `poll_transmit`.
    pub(crate) fn send_apart(
        &mut self,
        packet: &[u8],
        sealing: &Sealing,
        tos: u8,
        now: Instant,
    ) -> Result<(), DropReason> {
        let mut bytes = vec![0; sealing.header_len()];
        bytes.extend_from_slice(packet);
        bytes.resize(bytes.len() + AEAD_TAG_LEN, 0);
        self.seal(sealing, &mut bytes).map_err(|_| DropReason::Expired)?;
        self.count_wrapped(sealing, (packet.len(), bytes.len()), now);
        self.transmit(Transmit { to: sealing.first.to, tos, bytes });
        Ok(())
    }

    /// Counts an inner packet and the datagram that carries it.
    fn count_wrapped(&mut self, sealing: &Sealing, (inner, outer): (usize, usize), now: Instant) {
        self.count_out(sealing.first.peer, outer, now);
        self.note_spoken(sealing.first.peer, now);
        let endpoint = sealing.endpoint.and_then(|index| self.sessions.get(index));
        let slot = endpoint.map(|session| session.peer);
        if let Some(peer) = slot.and_then(|slot| self.peers.get_mut(slot)) {
            peer.count_sealed(sealing.path, inner);
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
